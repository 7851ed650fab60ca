import os
import shutil

import mlflow
import pytest

from nas.tracking.mlflow_logger import mlflow_logger
from nas.tracking.tracked_trial import TrackedTrial


def shown(name, tmp_path):
    return TrackedTrial(name, name, {"seed": 3}, tmp_path / name, "study")


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A database without runs; making its tables takes MLflow seconds."""
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def uri(empty, tmp_path):
    return f"sqlite:///{shutil.copy(empty, tmp_path)}"


def runs(uri):
    client = mlflow.MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name("e")
    return {r.info.run_name: r for r in client.search_runs([found.experiment_id])}


def test_runs_of_a_killed_driver_are_closed_and_those_of_other_studies_are_not(
    tmp_path, uri
):
    for study in ("mine", "other"):
        with mlflow_logger(uri, "e", tmp_path / study) as logger:
            logger.setup()
            logger.log_trial_start(shown(f"{study}-killed", tmp_path))
            done = shown(f"{study}-done", tmp_path)
            logger.log_trial_start(done)
            done.state = "pruned"
            logger.log_trial_end(done, False)
    with mlflow_logger(uri, "e", tmp_path / "mine") as logger:
        logger.setup()
    states = {
        name: (r.info.status, r.data.tags.get("state")) for name, r in runs(uri).items()
    }
    assert states == {
        "mine-killed": ("KILLED", "lost"),
        "mine-done": ("FINISHED", "pruned"),
        "other-killed": ("RUNNING", None),
        "other-done": ("FINISHED", "pruned"),
    }


def test_a_failed_trial_says_why(tmp_path, uri):
    with mlflow_logger(uri, "e", tmp_path) as logger:
        logger.setup()
        trial = shown("0001-CM", tmp_path)
        logger.log_trial_start(trial)
        trial.state, trial.error = "failed", "ValueError: boom"
        logger.log_trial_end(trial, True)
    (run,) = runs(uri).values()
    assert run.info.status == "FAILED"
    assert run.data.tags["error"] == "ValueError: boom"
    assert run.data.params == {"seed": "3"}


@pytest.mark.parametrize("before", [None, "https://host"])
def test_the_process_keeps_its_own_tracking_server(tmp_path, uri, monkeypatch, before):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if before:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", before)
    kept = mlflow.get_tracking_uri()
    assert kept != uri
    with mlflow_logger(uri, "e", tmp_path) as logger:
        logger.setup()
        assert mlflow.get_tracking_uri() == kept
    assert os.environ.get("MLFLOW_TRACKING_URI") == before
