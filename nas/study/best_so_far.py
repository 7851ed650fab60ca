"""The best trial for each objective on its own."""

from collections.abc import Sequence
from functools import partial

from nas.ledger.trial import Objective, Trial, TrialState


def best_so_far(
    trials: Sequence[Trial], objectives: Sequence[Objective]
) -> dict[str, Trial]:
    """The best complete trial for each objective on its own.

    Args:
        trials: Any trials.
        objectives: What is optimised.

    Returns:
        Trials by metric name; empty while no trial is complete.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        return {}
    found = {}
    for objective in objectives:
        choose = max if objective.maximize else min
        metric = objective.metric
        # All have it, unless the ledger is damaged.
        measured = [trial for trial in complete if metric in trial.metrics]
        if measured:
            found[metric] = choose(measured, key=partial(_value, metric))
    return found


def _value(metric: str, trial: Trial) -> float:
    return trial.metrics[metric]
