"""Trials as runs of Weights & Biases, written by its own client."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas.tracking.tracked_trial import TrackedTrial


class WandbLogger:
    """Writes one run a trial into one group a study.

    Args:
        project: Name of the project.
        group: Name of the study.
        mode: ``online`` or ``offline``.
        study: The study directory; W&B keeps its files in ``wandb`` there.
    """

    def __init__(self, project: str, group: str, mode: str, study: Path) -> None:
        self._of_all: dict[str, Any] = {
            "project": project, "group": group, "mode": mode, "dir": str(study),
        }  # fmt: skip
        self._runs: dict[TrackedTrial, Any] = {}

    def setup(self) -> None:
        """Nothing: runs are opened one by one."""

    def log_trial_start(self, trial: TrackedTrial) -> None:
        """Open a run."""
        import wandb

        self._runs[trial] = wandb.init(
            id=trial.trial_id,
            name=trial.name,
            config=trial.config,
            reinit="create_new",  # several runs are open at once
            settings=wandb.Settings(console="off", silent=True),
            **self._of_all,
        )

    def log_trial_result(
        self, iteration: int, trial: TrackedTrial, result: Mapping[str, Any]
    ) -> None:
        """Write numbers at their epoch; the texts in ``config`` go into the run's."""
        run = self._runs[trial]
        shown = {name: value for name, value in result.items() if name != "config"}
        run.config.update(result.get("config", {}), allow_val_change=True)
        # The trial's own step may be ahead of this call by now.
        run.log(shown, step=result["training_iteration"])

    def log_trial_end(self, trial: TrackedTrial, failed: bool = False) -> None:
        """Close a run; one that failed is shown as failed."""
        self._runs.pop(trial).finish(exit_code=int(failed))

    def on_experiment_end(self, trials: list[Any]) -> None:
        """Close the runs of trials that the search was stopped in."""
        for run in self._runs.values():
            run.finish(exit_code=1)


@contextmanager
def wandb_logger(
    project: str, group: str, mode: str, study: Path
) -> Iterator[WandbLogger]:
    """A W&B logger.

    Args:
        project: Name of the project.
        group: Name of the study.
        mode: ``online`` or ``offline``.
        study: The study directory.
    """
    # No usage statistics, as with Ray.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    yield WandbLogger(project, group, mode, study)
