import subprocess
import sys

import pandas as pd
import pytest
import yaml
from search_parts import measured, new_ledger, plan, run_all, settings

from nas.ledger.ledger import Proposal
from nas.ledger.trial import Objective, TrialState
from nas.sampling.proposer import Proposer
from nas.study.lease import Lease
from nas.study.preparing import preparing_tasks
from nas.study.status import StudyStatus
from nas.study.study import Study
from search_spaces.errors import InputError


@pytest.fixture
def directory(tmp_path):
    """Six complete trials and one that failed, of eight wanted."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings()))
    ledger = new_ledger(tmp_path)
    proposer = Proposer(ledger, plan(num_trials=7, sampler="exhaustive"))
    failed = proposer.next()
    ledger.fail(failed.number, "ValueError: boom")
    run_all(ledger, proposer)
    return tmp_path


def test_the_columns_are_stable(directory):
    table = Study.open(directory).table()
    assert list(table.columns[:8]) == [
        "number", "state", "placement", "seed", "epochs", "accuracy", "macs",
        "duration_s",
    ]  # fmt: skip
    assert list(table.state) == ["failed"] + ["complete"] * 6
    assert table.accuracy.isna().tolist() == [True] + [False] * 6


def test_written_tables_say_the_same(directory):
    study = Study.open(directory)
    parquet, csv = study.write_table()
    table = study.table()
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), table, check_dtype=False)
    columns = ["number", "state", "placement", "seed", "accuracy", "macs"]
    pd.testing.assert_frame_equal(pd.read_csv(csv)[columns], table[columns])
    assert (directory / "study.index").exists()


def test_trials_objectives_and_name(directory):
    study = Study.open(directory)
    assert study.name == "test"
    assert study.objectives == (
        Objective("accuracy", "maximize"),
        Objective("macs", "minimize"),
    )
    trial = study.trial(3)
    assert trial.number == 3
    assert study.architecture(3).id == trial.architecture_id
    assert trial.metrics == measured(study.architecture(3))
    assert study.trial_directory(3) == directory / "trials" / "3"
    with pytest.raises(InputError, match="has no trial 99; numbers: 0 to 6"):
        study.trial(99)


def test_a_live_study_is_seen_live(directory):
    study = Study.open(directory)
    assert len(study.trials()) == 7
    from search_parts import reopened

    ledger = reopened(directory)
    proposer = Proposer(ledger, plan(num_trials=8, sampler="exhaustive"))
    proposal = proposer.next()
    assert isinstance(proposal, Proposal)
    assert study.trials()[-1].state is TrialState.RUNNING
    ledger.complete(proposal.number, measured(proposal.architecture))
    assert study.trials()[-1].state is TrialState.COMPLETE


def test_status_of_an_interrupted_search(directory):
    status = StudyStatus.of(Study.open(directory))
    assert status.state == "interrupted"
    assert (status.counts["complete"], status.counts["failed"]) == (6, 1)
    assert status.failures == {"ValueError: boom": 1}
    trials = [t for t in Study.open(directory).trials() if t.metrics]
    assert status.best["macs"].metrics["macs"] == min(t.metrics["macs"] for t in trials)


def test_status_shows_what_is_prepared_while_somebody_prepares_it(directory):
    from nas.commands.status import _lines

    study = Study.open(directory)
    (task,) = preparing_tasks(study.layout.preparing, 1)
    task.tell("supernet 0: epoch 3 of 12, loss 1.5")
    with Lease(directory):
        status = StudyStatus.of(study)
    assert status.preparing == ("supernet 0: epoch 3 of 12, loss 1.5",)
    assert status.to_dict()["preparing"] == list(status.preparing)
    line = "  preparing: supernet 0: epoch 3 of 12, loss 1.5"
    assert line in _lines(status, directory)
    assert StudyStatus.of(study).preparing == ()  # killed: nobody does it any more


def test_what_lies_inside_a_study_names_the_study(directory):
    for inside in (directory / "study.log", directory / "config.yaml"):
        with pytest.raises(InputError, match="is not a study") as error:
            Study.open(inside)
        assert error.value.hint == f"it is inside the study {directory}"
    with pytest.raises(InputError) as error:
        Study.open(directory / "nowhere")
    assert "inside" not in error.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a study: it has no config.yaml"),
        ("{}", "must be of format 'nas-study/1', but .*config.yaml has None"),
        ("study: {format: nas-study/9}", "but .*config.yaml has 'nas-study/9'"),
        ("study: [", "config.yaml is damaged"),
        ("!!python/object/apply:os.system ['true']", "config.yaml is damaged"),
    ],
)
def test_what_is_not_a_study_of_ours_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(InputError, match=message):
        Study.open(tmp_path)


def test_a_damaged_ledger_is_a_problem_of_its_line_only(directory):
    path = directory / "study.log"
    lines = path.read_bytes().splitlines(keepends=True)
    victim = next(
        i for i, line in enumerate(lines) if b'"op_code":6' in line and b"[" in line
    )
    lines[victim] = b"\x00" * 10 + b"\n"
    path.write_bytes(b"".join(lines))
    study = Study.open(directory)
    trials = study.trials()
    assert len(trials) == 7
    assert sum(t.state == TrialState.COMPLETE for t in trials) == 5
    assert any(f"line {victim + 1} is damaged" in p for p in study.problems)


def test_missing_and_damaged_files_of_a_trial_are_named(directory):
    study = Study.open(directory)
    with pytest.raises(InputError, match=r"trials/1/metrics\.json of trial 1 cannot"):
        study.read_json(1, "metrics.json")
    study.trial_directory(1).mkdir(parents=True)
    path = study.trial_directory(1) / "metrics.json"
    for content in ('{"metrics": {', "[1]"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"trials/1/metrics\.json is damaged"):
            study.read_json(1, "metrics.json")


def test_a_study_that_cannot_be_written_to_can_be_read(directory, monkeypatch):
    study = Study.open(directory)

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(InputError, match="cannot be written to .*: Permission denied"):
        study.write_table()
    assert len(study.trials()) == 7


def test_reading_a_study_needs_no_heavy_imports(directory):
    code = (
        "import sys; from nas.study.study import Study; "
        f"from nas.study.status import StudyStatus; s = Study.open({str(directory)!r});"
        "StudyStatus.of(s); "
        "print([m for m in ('torch', 'ray', 'optuna', 'pandas') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "[]\n"
