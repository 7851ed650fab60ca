from pathlib import Path

import pytest
from tracker_files import finished_run

from nas.tracking.tracked_trial import TrackedTrial
from nas.tracking.wandb_logger import wandb_logger


def trial(name, directory):
    return TrackedTrial(name, name, {"seed": 3, "heads": "2 2"}, directory, "study")


@pytest.mark.parametrize(
    ("state", "failed"), [("complete", False), ("failed", True), ("lost", True)]
)
def test_a_run_holds_its_curve_its_state_and_how_it_ended(tmp_path, state, failed):
    """Two runs are open at once; both are read from the file that W&B wrote."""
    pytest.importorskip("wandb")
    with wandb_logger("p", "study", "offline", tmp_path) as logger:
        logger.setup()
        one, other = trial("one", tmp_path), trial("other", tmp_path)
        logger.log_trial_start(one)
        logger.log_trial_start(other)
        for epoch in (1, 2):
            one.step = epoch
            result = {"val_loss": 1 / epoch, "training_iteration": epoch}
            logger.log_trial_result(0, one, result)
        words = {"state": state, "error": "boom"}
        last = {"accuracy": 0.5, "config": words, "training_iteration": 2}
        logger.log_trial_result(0, one, last)
        logger.log_trial_end(one, failed)
        logger.log_trial_end(other)
        logger.on_experiment_end([])
    runs = {
        run["name"]: run
        for run in map(finished_run, Path(tmp_path / "wandb").glob("offline-*"))
    }
    assert set(runs) == {"one", "other"}
    found = runs["one"]
    assert found["curves"]["val_loss"] == {1: 1.0, 2: 0.5}
    assert found["curves"]["accuracy"] == {2: 0.5}
    assert found["config"]["state"] == state and found["config"]["heads"] == "2 2"
    assert (found["exit_code"], found["group"]) == (int(failed), "study")
    assert runs["other"]["exit_code"] == 0
