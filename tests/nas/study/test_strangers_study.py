"""What a study directory from somebody else must not do to its reader."""

import os
import sqlite3

import pytest
import yaml
from search_parts import (
    OBJECTIVES,
    measured,
    new_ledger,
    plan,
    run_all,
    settings,
    small_space,
)

from nas.ledger.ledger import Ledger
from nas.ledger.location import Location
from nas.sampling.proposer import Proposer
from nas.study.layout import StudyLayout
from nas.study.lease import Lease, is_driven
from nas.study.status import StudyStatus
from nas.study.study import Study
from nas.study.worker_file import read_worker
from search_spaces.errors import InputError


def write_config(directory, **changes):
    (directory / "config.yaml").write_text(yaml.safe_dump(settings(**changes)))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "name", ["study.log", "study.index", "driver.lock", "config.yaml"]
)
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(tmp_path, name):
    write_config(tmp_path)
    ledger = new_ledger(tmp_path)
    run_all(ledger, Proposer(ledger, plan(num_trials=2)))
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    if name in ("study.log", "config.yaml"):
        with pytest.raises(InputError, match=f"not a regular file|no {name}"):
            Study.open(tmp_path)
    else:
        study = Study.open(tmp_path)
        assert StudyStatus.of(study).counts["complete"] == 2
        assert not is_driven(tmp_path)
    if name == "driver.lock":
        with pytest.raises(InputError, match="must be a regular file"):
            Lease(tmp_path).__enter__()


@pytest.mark.timeout(60)
def test_pipes_among_the_files_of_a_trial(tmp_path):
    write_config(tmp_path)
    ledger = new_ledger(tmp_path)
    run_all(ledger, Proposer(ledger, plan(num_trials=2)))
    trial = StudyLayout(tmp_path).trial(0)
    trial.directory.mkdir(parents=True)
    for path in (trial.worker, trial.metrics, tmp_path / "test.csv"):
        os.mkfifo(path)
    assert read_worker(trial) == {}
    study = Study.open(tmp_path)
    assert study.test_results() == {}
    (problem,) = study.problems
    assert "test.csv is damaged: " in problem and "not a regular file" in problem
    with pytest.raises(InputError, match="not a regular file"):
        Study.open(tmp_path).read_json(0, "metrics.json")


def test_a_lease_that_is_a_link_leaves_its_target_alone(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "driver.lock").symlink_to(victim)
    with pytest.raises(InputError, match=r"driver\.lock .* is a symbolic link"):
        Lease(tmp_path).__enter__()
    assert victim.read_text() == "precious"


def test_looking_at_a_study_creates_no_database(tmp_path):
    study = tmp_path / "study"
    study.mkdir()
    target = tmp_path / "elsewhere.db"
    write_config(study, storage=f"sqlite:///{target}")
    with pytest.raises(InputError, match="there is no file"):
        Study.open(study)
    assert not target.exists()


def test_looking_at_a_study_changes_no_other_database(tmp_path):
    target = tmp_path / "bookmarks.db"
    connection = sqlite3.connect(target)
    connection.execute("create table places (url text)")
    connection.commit()
    connection.close()
    before = target.read_bytes()
    study = tmp_path / "study"
    study.mkdir()
    write_config(study, storage=f"sqlite:///{target}")
    with pytest.raises(InputError, match="cannot be read"):
        Study.open(study)
    assert target.read_bytes() == before


def test_a_study_in_a_database_is_read_without_writing(tmp_path):
    target = tmp_path / "with space.db"
    url = f"sqlite:///{target}"
    write_config(tmp_path, storage=url)
    ledger = Ledger(Location(url, tmp_path / "unused"), "test", OBJECTIVES, create=True)
    space = small_space()
    architecture = next(iter(space.enumerate()))
    ledger.enqueue(architecture, [0], 2, params=space.parameters(architecture))
    proposal = ledger.pop(space)
    ledger.complete(proposal.number, measured(proposal.architecture))
    before = target.read_bytes()
    study = Study.open(tmp_path)
    assert study.trials() == ledger.trials()
    assert target.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["config.yaml", "with space.db"]


def test_a_study_whose_search_was_killed_before_its_ledger(tmp_path):
    write_config(tmp_path)
    status = StudyStatus.of(Study.open(tmp_path))
    assert status.state == "interrupted"
    assert "study.log is missing" in status.problems[0]
    assert not (tmp_path / "study.log").exists()
