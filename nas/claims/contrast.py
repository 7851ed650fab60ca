"""Differences between networks that were trained several times, with an interval.

Two things make a measured difference uncertain. *Seeds*: another training of the same
network gives another value. *Images* (or mini-batches): all trainings are measured on
the same sample of them, so that their error does not show in the spread over seeds.
The half-widths of the two intervals are added in quadrature: exact where one of them
vanishes, and never narrower than the interval of either alone.

The trainings of two networks are taken for independent, though they share a seed: equal
seeds mean the same order of the images, not the same start. Pairing them would halve
the degrees of freedom for a correlation that is small between different networks, and
where it is positive the interval here is too wide, not too narrow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import fsum, inf, sqrt
from statistics import fmean, variance

from scipy.special import ndtri, stdtr, stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Value:
    """One quantity of one trained network.

    Attributes:
        value: What was measured.
        error: Standard error of the sample of images or mini-batches; 0 if unknown.
    """

    value: float
    error: float = 0.0


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of the means of several networks.

    Attributes:
        estimate: The sum.
        seed_error: Its standard error from the spread over seeds.
        dof: Degrees of freedom of that (Welch-Satterthwaite).
        image_error: Its standard error from the sample of images.
        num_runs: Trainings that it is made of.
    """

    estimate: float
    seed_error: float
    dof: float
    image_error: float
    num_runs: int

    def half_width(self, alpha: float = 1 - CONFIDENCE) -> float:
        """Half the width of the interval with coverage ``1 - alpha``."""
        seeds = self.seed_error and float(stdtrit(self.dof, 1 - alpha / 2))
        images = float(ndtri(1 - alpha / 2))
        return sqrt((seeds * self.seed_error) ** 2 + (images * self.image_error) ** 2)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval."""
        half = self.half_width()
        return self.estimate - half, self.estimate + half

    @cached_property
    def p(self) -> float:
        """Two-sided p-value of no difference: the level whose interval ends at 0."""
        if self.seed_error == self.image_error == 0:
            # No spread at all is no certainty: the runs are copies of each other, or
            # the quantity is at its floor in all of them.
            return 1.0
        if self.estimate == 0:
            return 1.0
        if self.image_error == 0:
            return 2 * float(stdtr(self.dof, -abs(self.estimate) / self.seed_error))
        low, high = 1e-15, 1.0
        for _ in range(40):  # bisection on the logarithm, to 1e-11 of it
            middle = sqrt(low * high)
            if self.half_width(middle) > abs(self.estimate):
                low = middle
            else:
                high = middle
        return high


def contrast(
    values: Mapping[str, Sequence[Value]], weights: Mapping[str, float]
) -> Contrast:
    """Estimate a weighted sum of the mean values of networks.

    Args:
        values: The trainings of each network; two or more of each that is weighted.
        weights: Weight of each network.

    Returns:
        The contrast. Errors of images are added up within the networks of one sign
        (they share the images, so that errors may go together) and in quadrature
        between the signs (where sharing them makes the difference less uncertain).
    """
    estimate, parts, num_runs = 0.0, [], 0
    images = {1: 0.0, -1: 0.0}
    for label, weight in weights.items():
        runs = values[label]
        estimate += weight * fmean(run.value for run in runs)
        spread = variance(run.value for run in runs)
        parts.append((weight**2 * spread / len(runs), len(runs) - 1))
        error = sqrt(fmean(run.error**2 for run in runs))
        images[1 if weight > 0 else -1] += abs(weight) * error
        num_runs += len(runs)
    total = fsum(part for part, _ in parts)
    denominator = fsum(part**2 / dof for part, dof in parts)
    return Contrast(
        estimate,
        sqrt(total),
        total**2 / denominator if denominator else inf,
        sqrt(images[1] ** 2 + images[-1] ** 2),
        num_runs,
    )
