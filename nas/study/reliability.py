"""How much of a metric is the network, and how much the luck of its training.

The intraclass correlation ICC(1) of the one-way random effects model (Shrout & Fleiss,
Psychological Bulletin 86:420, 1979): the share of the variance between single trainings
that is between placements. Placements that were trained once help to know the variance
between placements; the noise comes from those that were trained several times.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import asin, pi, sqrt

import numpy as np
from scipy.special import fdtri  # scipy.stats would take half a second to import

from nas.ledger.trial import Trial, TrialState


@dataclass(frozen=True)
class Reliability:
    """Intraclass correlation of a metric.

    Attributes:
        icc: The estimate; negative where trainings of one placement differ more than
            placements do.
        low: Lower end of the 95% interval.
        high: Upper end.
        num_placements: Placements.
        num_repeated: Those of them that were trained more than once.
        num_trainings: All trainings.
        noise: Standard deviation between trainings of one placement.
        exact: Whether all have equally many trainings, for which the F interval is
            exact under normal errors; else it is approximate.
    """

    icc: float
    low: float
    high: float
    num_placements: int
    num_repeated: int
    num_trainings: int
    noise: float
    exact: bool

    def __str__(self) -> str:
        return f"ICC {self.icc:.2f} [{self.low:.2f}, {self.high:.2f}]"


def reliability(
    groups: Sequence[Hashable], values: Sequence[float]
) -> Reliability | None:
    """Intraclass correlation from repeated trainings.

    Args:
        groups: Placement (or architecture) of each training.
        values: Metric of each training; what is not finite is left out.

    Returns:
        The ANOVA estimate with its 95% F interval: Shrout & Fleiss's ICC(1,1) where all
        placements have equally many trainings, else with the mean number n0 of
        trainings in the place of their number (Donner, International Statistical
        Review 54:67, 1986). ``None`` if fewer than two placements were trained more
        than once or nothing varies.
    """
    found: dict[Hashable, list[float]] = {}
    for group, value in zip(groups, values, strict=True):
        if np.isfinite(value):
            found.setdefault(group, []).append(float(value))
    every = [np.array(one) for one in found.values()]
    num_repeated = sum(len(one) > 1 for one in every)
    if num_repeated < 2:
        return None
    k = len(every)
    sizes = np.array([len(one) for one in every], dtype=float)
    total = float(sizes.sum())
    means = np.array([one.mean() for one in every])
    grand = float(sizes @ means / total)
    within = sum(float(((one - one.mean()) ** 2).sum()) for one in every) / (total - k)
    between = float(sizes @ (means - grand) ** 2) / (k - 1)
    if within <= 0 and between <= 0:
        return None
    # ANOVA's mean group size; the common size if all are equal
    n0 = float((total - (sizes**2).sum() / total) / (k - 1))
    icc = (between - within) / (between + (n0 - 1) * within)
    low = high = 1.0
    if within > 0:
        ratio = between / within
        lower, upper = (ratio / q for q in fdtri(k - 1, total - k, (0.975, 0.025)))
        low = float((lower - 1) / (lower + n0 - 1))
        high = float((upper - 1) / (upper + n0 - 1))
    return Reliability(
        float(icc), low, high, k, num_repeated, int(total), sqrt(within),
        bool((sizes == sizes[0]).all()),
    )  # fmt: skip


def reliability_by_metric(trials: Iterable[Trial]) -> dict[str, Reliability]:
    """The reliability of every metric of some trials.

    Args:
        trials: Only complete ones count; trainings of one architecture and budget with
            several seeds belong together.

    Returns:
        By metric; those of which too few trainings were repeated, and those that are
        the same in every training (parameters, MACs), are left out.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    names = dict.fromkeys(name for trial in complete for name in trial.metrics)
    found = {}
    for name in names:
        there = [trial for trial in complete if name in trial.metrics]
        one = reliability(
            [
                (trial.architecture_id or trial.placement, trial.epochs)
                for trial in there
            ],
            [trial.metrics[name] for trial in there],
        )
        if one is not None and one.noise > 0:
            found[name] = one
    return found


def rank_ceiling(share: float) -> tuple[float, float]:
    """Rank correlation that a perfect prediction reaches with noisy measurements.

    Args:
        share: Share of the variance of the measured values that is not noise.

    Returns:
        Kendall's tau and Spearman's rho of normal variables with Pearson correlation
        ``sqrt(share)`` (Kendall, Biometrika 36:177, 1949).
    """
    correlation = sqrt(min(max(share, 0.0), 1.0))
    return 2 / pi * asin(correlation), 6 / pi * asin(correlation / 2)
