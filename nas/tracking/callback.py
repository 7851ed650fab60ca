"""The Tune callback that shows a search to trackers: TensorBoard, MLflow, W&B.

Between Tune and the loggers, because what Tune sees of a trial is JSON texts: the
loggers are given readable names, plain hyper-parameters and plain numbers. How a trial
ended is asked of the ledger, which Tune's callbacks are called after.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray.tune import Callback

from nas.ledger.ledger import Ledger
from nas.study.layout import StudyLayout
from nas.tracking.tracked_trial import (
    TrackedTrial,
    final_numbers,
    final_state,
    has_ended,
    hyper_parameters,
    numbers,
    run_name,
)
from nas.tracking.tracker import Tracker


class Tracking(Callback):
    """Shows every trial of a search to trackers.

    Args:
        ledger: Where the trials are written down.
        name: Name of the study.
        study: The study directory.
        trackers: Who is shown them.
    """

    def __init__(
        self,
        ledger: Ledger,
        name: str,
        study: Path,
        trackers: Sequence[Tracker],
    ) -> None:
        self._ledger = ledger
        self._name = name
        self._study = study
        self._trackers = tuple(trackers)
        self._open: dict[str, TrackedTrial] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune saves its callbacks; ours start anew with each search

    def setup(self, *args: Any, **info: Any) -> None:
        """Start the trackers; Tune calls this first."""
        for tracker in self._trackers:
            tracker.start()

    def on_trial_start(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Open a run."""
        self._opened(trial)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,
        result: Mapping[str, Any],
        **info: Any,
    ) -> None:
        """Show the epochs, and what was measured at a rung."""
        shown = self._opened(trial)
        for epoch in json.loads(result.get("epochs", "[]")):
            self._show(shown, int(epoch.pop("epoch")), numbers(epoch))
        if "rung" in result:
            metrics = json.loads(result["outcome"])["metrics"]
            self._show(shown, int(result["rung"]), numbers(metrics))

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Close the run; the ledger knows by now how the trial ended."""
        if trial.trial_id in self._open:
            self._end(trial.trial_id)

    def on_trial_error(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Close the run of a trial that was lost, started or not."""
        self._opened(trial)
        self._end(trial.trial_id)

    def close(self) -> None:
        """Close what the search was stopped in, and wait for the trackers."""
        for trial_id in list(self._open):
            self._end(trial_id)
        for tracker in self._trackers:
            tracker.close()

    def _opened(self, trial: Any) -> TrackedTrial:
        if trial.trial_id not in self._open:
            record = self._ledger.trial(json.loads(trial.config["run"])["number"])
            name = run_name(record)
            shown = TrackedTrial(
                trial_id=trial.trial_id,
                name=name,
                config=hyper_parameters(record),
                directory=StudyLayout(self._study).tensorboard / name,
                experiment_dir_name=self._name,
            )
            self._open[trial.trial_id] = shown
            self._call("log_trial_start", shown)
        return self._open[trial.trial_id]

    def _show(self, shown: TrackedTrial, step: int, values: Mapping[str, Any]) -> None:
        shown.step = max(shown.step, step)
        result = {**values, "training_iteration": shown.step}
        self._call("log_trial_result", 0, shown, result)

    def _end(self, trial_id: str) -> None:
        shown = self._open[trial_id]
        record = self._ledger.trial(shown.config["number"])
        if not has_ended(record):
            return  # the search was stopped in it; closed when the ledger is tidy
        del self._open[trial_id]
        shown.state, shown.error = final_state(record), record.error
        step = record.epochs if shown.state == "complete" else (record.rung or 0)
        # W&B takes texts from here into the run's config; the others take numbers.
        words = {"state": shown.state, "error": shown.error}
        self._show(shown, step, {**final_numbers(record), "config": words})
        failed = shown.state in ("failed", "lost")
        self._call("log_trial_end", shown, failed)

    def _call(self, method: str, *args: Any) -> None:
        for tracker in self._trackers:
            tracker.call(method, *args)
