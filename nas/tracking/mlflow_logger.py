"""Trials as runs of MLflow, written by its own client."""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.tracking.tracked_trial import TrackedTrial, numbers

if TYPE_CHECKING:
    from mlflow import MlflowClient

STUDY_TAG = "nas.study.study"


class MLflowLogger:
    """Writes one run a trial into one experiment a study.

    Args:
        client: Of an MLflow server or database.
        experiment: Name of the experiment; an existing one is added to.
        study: The study directory, a tag of every run.
    """

    def __init__(self, client: "MlflowClient", experiment: str, study: Path) -> None:
        self._client = client
        self._experiment = experiment
        self._tags = {STUDY_TAG: str(study)}
        self._experiment_id = ""
        self._runs: dict[TrackedTrial, str] = {}

    def setup(self) -> None:
        """Open the experiment; end what an earlier driver left running there.

        One study has one driver, so such a run has none any more.
        """
        client = self._client
        known = client.get_experiment_by_name(self._experiment)
        self._experiment_id = (
            client.create_experiment(self._experiment)
            if known is None
            else known.experiment_id
        )
        for run in client.search_runs(
            [self._experiment_id],
            f"attributes.status = 'RUNNING' and tags.`{STUDY_TAG}` = "
            f"'{self._tags[STUDY_TAG]}'",
        ):
            client.set_tag(run.info.run_id, "state", "lost")
            client.set_terminated(run.info.run_id, "KILLED")

    def log_trial_start(self, trial: TrackedTrial) -> None:
        """Open a run."""
        from mlflow.entities import Param

        run = self._client.create_run(
            self._experiment_id, tags=self._tags, run_name=trial.name
        )
        self._runs[trial] = run.info.run_id
        params = [Param(name, str(value)) for name, value in trial.config.items()]
        self._client.log_batch(run.info.run_id, params=params)

    def log_trial_result(
        self, iteration: int, trial: TrackedTrial, result: Mapping[str, Any]
    ) -> None:
        """Write numbers at their epoch."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        step = result["training_iteration"]  # the trial's own may be ahead by now
        metrics = [
            Metric(name, value, now, step) for name, value in numbers(result).items()
        ]
        self._client.log_batch(self._runs[trial], metrics=metrics)

    def log_trial_end(self, trial: TrackedTrial, failed: bool = False) -> None:
        """Say how it ended; MLflow's own states know no pruning."""
        run_id = self._runs.pop(trial)
        self._client.set_tag(run_id, "state", trial.state)
        if trial.error:
            self._client.set_tag(run_id, "error", trial.error)
        self._client.set_terminated(run_id, "FAILED" if failed else "FINISHED")

    def on_experiment_end(self, trials: list[Any]) -> None:
        """Nothing: every run was closed with its trial."""


@contextmanager
def mlflow_logger(uri: str, experiment: str, study: Path) -> Iterator[MLflowLogger]:
    """An MLflow logger; the process keeps the server that it may use itself.

    Args:
        uri: MLflow server or database.
        experiment: Name of the experiment.
        study: The study directory.
    """
    # No usage statistics, as with Ray.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    yield MLflowLogger(MlflowClient(tracking_uri=uri), experiment, study)
