"""One trial in the light of its study: how it learned and where it stands."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nas.ledger.held_out_results import TestResult
from nas.ledger.json_null import json_null
from nas.ledger.trial import Trial, no_trial
from nas.pareto.table import ParetoTable, TrialSource, trial_value
from nas.study.layout import TrialLayout

BARS = "▁▂▃▄▅▆▇█"


class TrialFiles(TrialSource, Protocol):
    """The part of `nas.study.study.Study` that a view of one trial needs."""

    def trial_directory(self, number: int) -> Path:
        """Directory of a trial's files."""
        ...

    def test_results(self) -> dict[int, TestResult]:
        """How trials did on the test images, by number."""
        ...


@dataclass(frozen=True)
class TrialView:
    """What there is to say about one trial.

    Attributes:
        trial: The trial.
        history: Column of history.csv by name, one value per epoch; empty if the
            trial left none.
        table: All trained trials of the study.
        is_pareto: Whether the trial is on the front.
        beaten_by: Numbers of the trials on the front that are at least as good in
            every objective and better in one.
        ranks: For each objective, the rank among the trained trials, from 1.
        tested: How it did on the test images, if they have been looked at with it.
    """

    trial: Trial
    history: dict[str, list[float]]
    table: ParetoTable
    is_pareto: bool
    beaten_by: tuple[int, ...]
    ranks: dict[str, int]
    tested: TestResult | None = None

    @classmethod
    def of(cls, study: TrialFiles, number: int) -> "TrialView":
        """Look at one trial.

        Args:
            study: The study.
            number: Number of the trial.

        Returns:
            The view.

        Raises:
            InputError: There is no such trial.
        """
        trials = {trial.number: trial for trial in study.trials()}
        if number not in trials:
            raise no_trial(study.name, number, trials)
        trial = trials[number]
        table = ParetoTable.of(study)
        front = table.front
        signs = np.array([1 if d == "maximize" else -1 for d in front.directions])
        own = signs * [trial_value(trial, metric) for metric in front.metrics]
        goodness = signs * front.values
        beats = (goodness >= own).all(axis=1) & (goodness > own).any(axis=1)
        numbers = np.array([t.number for t in table.trials], dtype=int)
        trained = number in numbers
        return cls(
            trial,
            read_history(TrialLayout(study.trial_directory(number)).history),
            table,
            bool(trained and front.is_pareto[numbers == number].all()),
            tuple(numbers[beats & front.is_pareto].tolist()) if trained else (),
            {
                metric: 1 + int((column > value).sum())
                for metric, column, value in zip(
                    front.metrics, goodness.T, own, strict=True
                )
                if trained and not math.isnan(value)
            },
            study.test_results().get(number),
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data for JSON."""
        trial = self.trial
        return {
            "number": trial.number,
            "state": str(trial.state),
            "placement": trial.placement,
            "architecture_id": trial.architecture_id,
            "seed": trial.seed,
            "epochs": trial.epochs,
            "baseline": trial.baseline,
            "metrics": json_null(trial.metrics),
            "standard_errors": json_null(trial.standard_errors),
            "test": None
            if self.tested is None
            else {
                **json_null(self.tested.columns()),
                "num_images": self.tested.num_images,
                "looked": self.tested.looked,
            },
            "duration_s": trial.duration_s,
            "error": trial.error,
            "cause": trial.cause,
            "signal": trial.signal,
            "is_pareto": self.is_pareto,
            "beaten_by": list(self.beaten_by),
            "ranks": self.ranks,
            "num_trained": len(self.table.trials),
            "history": json_null(self.history),
        }


def read_history(path: Path) -> dict[str, list[float]]:
    """Read the training curve of a trial.

    Args:
        path: The history.csv of the trial.

    Returns:
        Column by name, one value per epoch; empty if there is no such file. A line
        that is still being written is left out.
    """
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        columns: dict[str, list[float]] = {n: [] for n in reader.fieldnames or ()}
        for row in reader:
            try:
                values = {name: float(row[name]) for name in columns}
            except (TypeError, ValueError):
                continue
            for name, value in values.items():
                columns[name].append(value)
    return columns


def sparkline(values: list[float], width: int = 40) -> str:
    """A curve in one line of text.

    Args:
        values: The curve; values that are not finite leave a gap.
        width: Most characters; longer curves are thinned.

    Returns:
        One bar a value, from the lowest to the highest value of the curve.
    """
    if len(values) > width:
        chosen = np.linspace(0, len(values) - 1, width).round().astype(int)
        values = [values[i] for i in chosen]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return " " * len(values)
    low, span = min(finite), max(finite) - min(finite)
    return "".join(
        BARS[round((value - low) / span * (len(BARS) - 1)) if span else 0]
        if math.isfinite(value)
        else " "
        for value in values
    )
