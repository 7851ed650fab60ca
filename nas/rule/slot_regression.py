"""Least squares on slot indicators, with intervals that small samples can bear.

The design side is in :mod:`nas.rule.slot_design`. Seeds of a placement share its
regressors, so they are averaged first; regressing the averages is the regression
clustered by placement, with exactly one row a cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import special

from nas.rule.slot_design import TOLERANCE, Labels, Loads, SlotDesign

Floats = npt.NDArray[np.float64]

LEVEL = 0.95
"""Level of every interval (Park & Kim give none; 95% is the field's custom)."""


def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t, the function behind ``scipy.stats.t.ppf``.

    Called directly because the argument checks of ``scipy.stats`` took most of the
    time of a rule test.
    """
    return float(special.stdtrit(df, probability))


def t_tail(ratio: float, df: float) -> float:
    """Chance that Student's t exceeds the ratio (``scipy.stats.t.sf``)."""
    return float(special.stdtr(df, -ratio))


@dataclass(frozen=True)
class Estimate:
    """A linear combination of slot effects.

    Attributes:
        effect: Its value, in the unit of the metric.
        standard_error: Its robust standard error.
        df: Degrees of freedom of its t distribution.
    """

    effect: float
    standard_error: float
    df: float

    @cached_property
    def ci(self) -> tuple[float, float]:
        """The 95% interval."""
        if self.standard_error == 0:
            return (self.effect, self.effect)
        half = t_quantile(0.5 + LEVEL / 2, self.df) * self.standard_error
        return (self.effect - half, self.effect + half)

    @cached_property
    def p(self) -> float:
        """Two-sided p-value of the effect being zero."""
        if self.standard_error == 0:
            return 1.0 if self.effect == 0 else 0.0
        ratio = abs(self.effect) / self.standard_error
        return 2 * t_tail(ratio, self.df)

    def p_above(self, sign: int = 1) -> float:
        """One-sided p-value of ``sign * effect`` being zero or less."""
        if self.effect == 0:
            return 1.0
        return self.p / 2 if sign * self.effect > 0 else 1 - self.p / 2


class SlotRegression(SlotDesign):
    """A fitted regression of the metric on slots.

    Args:
        bits: ``(rows, slots)``, 1 where the slot has the compared kind of block.
        response: Metric of each row, ``(rows,)``.
        weights: Precision of each row up to a factor, ``(rows,)``; default equal.
        controls: Further regressors, ``(rows, controls)``.
        clusterings: See :class:`~nas.rule.slot_design.SlotDesign`.
    """

    def __init__(
        self,
        bits: Floats,
        response: Floats,
        weights: Floats | None = None,
        controls: Floats | None = None,
        clusterings: Sequence[Labels] = (),
    ) -> None:
        super().__init__(bits, weights, controls, clusterings)
        self.response = np.asarray(response, dtype=float)
        self._whitened = self.whitened(self.response[:, None])

    @cached_property
    def _residuals(self) -> Floats:
        return self.whitened_residuals(self._whitened)

    @property
    def residuals(self) -> Floats:
        """Residual of each row, in the unit of the metric."""
        return np.asarray(self._residuals[:, 0] / np.sqrt(self.weights))

    @property
    def noise(self) -> float:
        """Residual standard deviation of a row of unit weight; NaN without any."""
        if self.residual_df < 1:
            return float("nan")
        return float(np.sqrt((self._residuals**2).sum() / self.residual_df))

    def estimate(self, contrast: Floats) -> Estimate | None:
        """Estimate a combination of slot effects.

        Args:
            contrast: Weight of each slot, ``(slots,)``.

        Returns:
            The estimate, or ``None`` if the rows do not determine the combination or
            leave no degree of freedom for its error.
        """
        loads = self.loads(contrast)
        return None if loads is None else self.estimate_of(loads)

    def estimate_of(self, loads: Loads) -> Estimate:
        """Estimate a combination whose loads are known."""
        effect = float(loads.rows @ self._whitened[:, 0])
        if abs(effect) < TOLERANCE * float(np.max(np.abs(self.response), initial=0.0)):
            effect = 0.0
        errors, df = self.errors(loads, self._residuals)
        return Estimate(effect, float(errors[0]), float(df[0]))
