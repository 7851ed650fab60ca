"""One point for each network: means over the seeds it was trained with.

The best of several seeds is lucky; their mean is not.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from statistics import fmean, stdev

from nas.ledger.trial import Trial


def average_seeds(trials: Iterable[Trial]) -> tuple[list[Trial], list[int]]:
    """Put the runs of one architecture and budget together.

    Args:
        trials: Trained trials.

    Returns:
        A trial for each architecture and number of epochs, with the number and seed of
        its first run and the mean of each metric that all its runs have; and how many
        runs each of them is. The standard error of a mean over two seeds or more is
        their standard deviation over the root of their number: it holds the noise of
        training as well as that of measuring. A single run keeps its own, which is of
        measuring only.
    """
    groups: dict[tuple[str, int], list[Trial]] = {}
    for trial in trials:
        name = trial.architecture_id or trial.placement
        groups.setdefault((name, trial.epochs), []).append(trial)
    merged = [_mean(runs) for runs in groups.values()]
    return merged, [len(runs) for runs in groups.values()]


def _mean(runs: list[Trial]) -> Trial:
    first = min(runs, key=lambda run: run.number)
    if len(runs) == 1:
        return first
    values: Mapping[str, list[float]] = {
        name: [run.metrics[name] for run in runs]
        for name in first.metrics
        if all(name in run.metrics for run in runs)
    }
    root = math.sqrt(len(runs))
    durations = [run.duration_s for run in runs if run.duration_s is not None]
    return replace(
        first,
        metrics={name: fmean(found) for name, found in values.items()},
        standard_errors={
            name: stdev(found) / root
            for name, found in values.items()
            if max(found) > min(found)  # counts such as params have no error
        },
        duration_s=fmean(durations) if durations else None,
    )
