import json
import threading
import time
from pathlib import Path

import pytest
from search_parts import climbing_trial, fake_trial, small_space

from nas.execution.trial_worker import TrialWorker, WorkerContext
from nas.scoring.trial_run import TrialOutcome
from nas.study.layout import StudyLayout, TrialLayout
from nas.study.worker_file import read_worker
from search_spaces.errors import InputError


def worker(tmp_path, function, **context):
    """A worker as Tune makes it, but in this process."""
    made = object.__new__(TrialWorker)
    made.setup(job(0), WorkerContext(function, tmp_path, **context))
    return made


def job(number, epochs=4, index=3):
    architecture = list(small_space().enumerate())[index]
    run = {
        "number": number,
        "architecture": architecture.to_dict(),
        "architecture_id": architecture.id,
        "seed": 0,
        "epochs": epochs,
    }
    return {"run": json.dumps(run)}


def outcome(result):
    return json.loads(result["outcome"])


def test_a_trial_is_done_in_one_step_and_the_worker_takes_the_next(tmp_path):
    made = worker(tmp_path, fake_trial)
    for number in (0, 1):
        result = made.step()
        assert result["done"]
        assert outcome(result)["standard_errors"] == {"accuracy": 0.01}
        assert outcome(result)["attributes"]["node"]
        assert read_worker(TrialLayout(tmp_path / "trials" / str(number)))["pid"]
        made.reset_config(job(number + 1))


def test_an_error_is_an_answer_and_its_traceback_is_kept(tmp_path):
    def broken(run):
        raise ValueError("boom")

    result = worker(tmp_path, broken).step()
    assert result["done"]
    assert outcome(result)["error"] == "ValueError: boom"
    text = (tmp_path / "trials" / "0" / "error.txt").read_text()
    assert "in broken" in text


def test_relative_paths_begin_where_the_command_was_started(tmp_path, monkeypatch):
    """A process of a cluster starts elsewhere."""
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "supernets").mkdir()

    def opens(run):
        assert Path("supernets").is_dir()
        return TrialOutcome({}, {})

    monkeypatch.chdir(tmp_path / "user")
    context = WorkerContext(opens, tmp_path)
    monkeypatch.chdir(tmp_path)
    made = object.__new__(TrialWorker)
    made.setup(job(0), context)
    assert "error" not in outcome(made.step())


@pytest.mark.parametrize("answer", [None, {"accuracy": 1.0}])
def test_what_is_no_outcome_is_an_error(tmp_path, answer):
    result = worker(tmp_path, lambda run: answer).step()
    assert "a trial function returns a TrialOutcome" in outcome(result)["error"]


def test_values_that_are_no_numbers_are_left_to_the_gate(tmp_path):
    result = worker(tmp_path, lambda run: TrialOutcome({"a": None, "b": 1})).step()
    assert outcome(result)["metrics"] == {"a": "None", "b": 1.0}


def test_rungs_are_steps_and_a_stopped_trial_gives_way(tmp_path):
    made = worker(tmp_path, climbing_trial, rungs=(1, 2, 4, 8))
    first, second = made.step(), made.step()
    assert (first["rung"], second["rung"]) == (1, 2)  # 4 is the whole budget
    assert outcome(second)["metrics"]["accuracy"] == pytest.approx(
        2 * outcome(first)["metrics"]["accuracy"]
    )
    made.reset_config(job(1))  # stopped at the second rung
    assert made.step()["rung"] == 1
    made.cleanup()


def test_after_the_last_rung_the_trial_ends(tmp_path):
    made = worker(tmp_path, climbing_trial, rungs=(2,))
    assert made.step()["rung"] == 2
    assert made.step()["done"]


def test_a_lost_cuda_context_costs_the_process(tmp_path):
    def broken(run):
        raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(RuntimeError, match="NAS-TRIAL-FAILED: RuntimeError: CUDA"):
        worker(tmp_path, broken).step()


def test_a_node_without_the_study_says_so(tmp_path):
    with pytest.raises(RuntimeError, match="does not see the study directory"):
        worker(tmp_path / "missing", fake_trial)


def test_checkpoints_stay_in_their_directory(tmp_path):
    path = StudyLayout(tmp_path).checkpoint("abc123", 1, 2)
    assert path == tmp_path / "checkpoints" / "abc123-s1-e2.pt"
    with pytest.raises(InputError, match="letters and digits only"):
        StudyLayout(tmp_path).checkpoint("../../etc/passwd", 1, 2)


def watched_trial(run):
    for epoch in range(1, run.epochs + 1):
        run.watch({"epoch": epoch, "train_loss": 1 / epoch})
    return fake_trial(run)


def test_epochs_are_sent_only_if_the_search_is_tracked(tmp_path):
    assert set(worker(tmp_path, watched_trial).step()) == {"done", "outcome"}
    made = worker(tmp_path, watched_trial, is_tracked=True)
    results = [made.step()]
    while not results[-1].get("done"):
        results.append(made.step())
    sent = [one for r in results for one in json.loads(r.get("epochs", "[]"))]
    assert sent == [{"epoch": e, "train_loss": 1 / e} for e in (1.0, 2.0, 3.0, 4.0)]
    assert outcome(results[-1])["metrics"]


def test_a_driver_that_does_not_listen_holds_no_training_up(tmp_path):
    trained = threading.Event()

    def trial(run):
        run.watch({"epoch": 1})
        asked.wait()
        run.watch({"epoch": 2})
        run.watch({"epoch": 3})
        trained.set()
        return fake_trial(run)

    asked = threading.Event()
    made = worker(tmp_path, trial, is_tracked=True, time_limit_s=600)
    assert json.loads(made.step()["epochs"]) == [{"epoch": 1.0}]
    asked.set()
    assert trained.wait(60)  # though nobody has asked for the next step
    made._steps._thread.join()
    listened = time.time()
    last = made.step()
    assert last["done"]
    assert json.loads(last["epochs"]) == [{"epoch": 2.0}, {"epoch": 3.0}]
    # The duration is the trial's, not that of whoever listens.
    assert outcome(last)["attributes"]["duration_s"] <= listened - made._started


def test_epochs_come_before_the_rung_that_stops_the_trial(tmp_path):
    def trial(run):
        for epoch in (1, 2):
            run.watch({"epoch": epoch})
            run.report(epoch, {"accuracy": epoch / 10})
        return fake_trial(run)

    made = worker(tmp_path, trial, is_tracked=True, rungs=(1, 2))
    rungs, epochs = [], []
    for _ in range(10):
        result = made.step()
        epochs += json.loads(result.get("epochs", "[]"))
        if "rung" in result:
            rungs.append(result["rung"])
            assert [one["epoch"] for one in epochs] == list(range(1, rungs[-1] + 1))
        if rungs == [1, 2]:
            break
    made.reset_config(job(1))  # stopped at the second rung; the worker goes on
    while "rung" not in (result := made.step()):
        pass
    assert result["rung"] == 1
    made.cleanup()
