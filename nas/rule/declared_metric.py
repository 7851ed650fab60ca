"""What evaluators declare of a metric, as far as a verdict needs it."""

from typing import Literal

from search_spaces.errors import InputError, shown

Direction = Literal["maximize", "minimize", "none"]

SMALLEST_FRACTION = 0.005
"""Smallest effect of interest of metrics that are fractions, such as accuracy: half a
point, about what two seeds of a well-trained CIFAR-10 network differ by (our choice).
Other metrics have none of their own: what matters in nats or seconds is the user's to
say."""


def known_direction(metric: str, asked: Direction | None = None) -> Direction:
    """Which way a metric is better.

    Args:
        metric: Name of the metric.
        asked: The user's word, which wins.

    Returns:
        The direction; ``"none"`` for a name that no evaluator declares, because a
        guess would turn a verdict round.

    Raises:
        InputError: The user's word is no direction.
    """
    if asked is not None:
        if asked not in ("maximize", "minimize", "none"):
            raise InputError(f"a direction is maximize or minimize, got {shown(asked)}")
        return asked
    if metric == "accuracy":  # known without importing every evaluator and torch
        return "maximize"
    from evaluators.registry import all_metrics

    known = all_metrics().get(metric)
    return "none" if known is None else known.direction


def is_fraction(metric: str) -> bool:
    """Whether an evaluator declares the metric to be a fraction."""
    if metric == "accuracy":
        return True
    from evaluators.registry import all_metrics

    known = all_metrics().get(metric)
    return known is not None and known.unit == "fraction"
