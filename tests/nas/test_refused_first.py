"""What can be refused without them is refused before images are read or Ray starts."""

import sys
from types import SimpleNamespace

import optuna
import pytest
import yaml

from nas.cli import main
from nas.config import load_config
from nas.ledger.ledger import Ledger
from nas.ledger.location import Location
from nas.scoring.held_out_test import chosen_trials
from nas.search_run import resume, search
from nas.search_summary import is_over
from nas.study.recorded_settings import settings_to_record
from nas.study.study import Study
from search_spaces.errors import InputError


@pytest.fixture(autouse=True)
def neither_images_nor_ray(monkeypatch):
    def never(*_, **__):
        raise AssertionError("images were read, or Ray was started")

    monkeypatch.setattr("nas.data.datasets.load_dataset", never)
    monkeypatch.setattr("nas.execution.cluster.ray_cluster", never)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=bool))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("resources.address=127.0.0.1:9", "nothing answers there"),
        ("resources.cpus_per_trial=4000", "this machine does not have them"),
        ("scoring.kind=nonsense", "unknown scoring.kind 'nonsense'"),
        ("storage=nonsense://host/db", "storage must be a URL"),
        (
            "scoring={kind: supernet}, search.randomise=[split]",
            "runs share theirs",
        ),
    ],
)
def test_a_search(tmp_path, change, said):
    config = load_config("quickstart", change.split(", "))
    with pytest.raises(InputError, match=said):
        search(config, tmp_path / "new" / "study", quiet=True)
    assert not (tmp_path / "new" / "study").exists()


def test_a_name_that_a_database_has_and_a_directory_that_cannot_be_made(tmp_path):
    url = f"sqlite:///{tmp_path}/all.db"
    optuna.create_study(study_name="quickstart", storage=url)
    config = load_config("quickstart", [f"storage={url}"])
    with pytest.raises(InputError, match="holds a study 'quickstart' already"):
        search(config, tmp_path / "study", quiet=True)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"study cannot be made: Not a directory"):
        search(load_config("quickstart"), tmp_path / "file" / "study", quiet=True)


def test_an_interrupted_start_leaves_no_directory(tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("nas.data.datasets.load_dataset", interrupt)
    with pytest.raises(KeyboardInterrupt):
        search(load_config("quickstart"), tmp_path / "study", quiet=True)
    assert not (tmp_path / "study").exists()


def test_a_resumption(published_copy):
    with pytest.raises(InputError, match="must be at least 160 here, got 3"):
        resume(published_copy, 3, quiet=True)
    study = Study.open(published_copy)
    journal = Location("", study.layout.journal)
    recorded = settings_to_record(study.config.to_dict(), "of the images")
    Ledger(journal, study.name, study.objectives).set_note("settings", recorded)
    settings = yaml.safe_load((published_copy / "config.yaml").read_text())
    settings["training"]["epochs"] = 7
    (published_copy / "config.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(InputError, match=r"training.epochs changed from 5 to 7"):
        resume(published_copy, 200, quiet=True)


@pytest.mark.parametrize("trials", [None, 160])
def test_what_has_ended_needs_neither_images_nor_ray(published_copy, trials, capsys):
    study = resume(published_copy, trials)
    said = capsys.readouterr().err
    assert said.startswith("every trial has ended")
    assert "160 complete" in said
    assert study.num_counted == 160
    assert (published_copy / "trials.csv").exists()
    with pytest.raises(SystemExit) as ended:
        words = [] if trials is None else ["--trials", str(trials)]
        main(["resume", str(published_copy), *words])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == str(published_copy)


def test_what_has_ended_without_the_look_at_the_test_images_takes_it(published_copy):
    study = Study.open(published_copy)
    assert is_over(study, None)
    assert not is_over(study, 161)
    weights = study.layout.trial(chosen_trials(study)[0].number).weights
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert not is_over(study, None)
    with pytest.raises(InputError, match=r"data\.root must be a directory"):
        resume(published_copy, quiet=True)


def test_what_has_ended_with_a_trial_under_way_has_not(published_copy):
    study = Study.open(published_copy)
    ledger = Ledger(Location("", study.layout.journal), study.name, study.objectives)
    ledger.enqueue(study.architecture(study.trials()[0].number), [77], 1, params={})
    assert not Study.open(published_copy).has_ended()
