"""Tune's MLflow logger, with the state of a trial and the runs of a dead driver."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.air.integrations.mlflow import MLflowLoggerCallback

from nas.tracking.tracked_trial import TrackedTrial

STUDY_TAG = "nas.study.study"


class MLflowLogger(MLflowLoggerCallback):
    """Writes one run a trial into one experiment a study.

    Args:
        uri: MLflow server or database.
        experiment: Name of the experiment; an existing one is added to.
        study: The study directory, a tag of every run.
    """

    def __init__(self, uri: str, experiment: str, study: Path) -> None:
        self._study_tag = {STUDY_TAG: str(study)}
        super().__init__(uri, experiment_name=experiment, tags=self._study_tag)

    def setup(self, *args: Any, **info: Any) -> None:
        """Open the experiment; end what an earlier driver left running there.

        One study has one driver, so such a run has none any more.
        """
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        super().setup(*args, **info)  # type: ignore[no-untyped-call]
        client = self.mlflow_util._get_client()
        (value,) = self._study_tag.values()
        for run in client.search_runs(
            [str(self.mlflow_util.experiment_id)],
            f"attributes.status = 'RUNNING' and tags.`{STUDY_TAG}` = '{value}'",
        ):
            client.set_tag(run.info.run_id, "state", "lost")
            client.set_terminated(run.info.run_id, "KILLED")

    def log_trial_end(  # type: ignore[override]  # what Tracking hands on
        self, trial: TrackedTrial, failed: bool = False
    ) -> None:
        """Say how it ended; MLflow's own states know no pruning."""
        client = self.mlflow_util._get_client()
        run_id = self._trial_runs[trial]
        client.set_tag(run_id, "state", trial.state)
        if trial.error:
            client.set_tag(run_id, "error", trial.error)
        super().log_trial_end(trial, failed)  # type: ignore[arg-type]


@contextmanager
def mlflow_logger(uri: str, experiment: str, study: Path) -> Iterator[MLflowLogger]:
    """An MLflow logger; what it sets for the whole process is put back.

    Args:
        uri: MLflow server or database.
        experiment: Name of the experiment.
        study: The study directory.
    """
    # No usage statistics, as with Ray.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    try:
        yield MLflowLogger(uri, experiment, study)
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None unsets it
