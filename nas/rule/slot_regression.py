"""Least squares on slot indicators, with intervals that small samples can bear.

A linear model of the metric: one column a slot (1 = MSA), one row a *placement*.
Seeds of a placement share its regressors, so they are averaged first; regressing the
averages is the regression clustered by placement, with exactly one row a cluster.

Standard errors are HC2 (robust to unequal variances) with Bell-McCaffrey degrees of
freedom, the CR2 estimator of Pustejovsky & Tipton (2018, JBES 36:672) for clusters of
one row: plain HC1/HC3 intervals with n - p degrees of freedom are known to be too
short for few rows and unbalanced designs (Imbens & Kolesar 2016, REStat 98:701).
"""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import statsmodels.api as sm
from scipy import special
from statsmodels.tools.sm_exceptions import SingularMatrixWarning

Floats = npt.NDArray[np.float64]

LEVEL = 0.95
"""Level of every interval (DESIGN.md)."""

TOLERANCE = 1e-9
"""Relative size below which a number is rounding error (float64 has 2e-16)."""


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


class SlotRegression:
    """A fitted regression of the metric on slots.

    Args:
        bits: ``(rows, slots)``, 1 where the slot is an MSA.
        response: Metric of each row, ``(rows,)``.
        weights: Precision of each row up to a factor, ``(rows,)``; default equal.
        controls: Further regressors, ``(rows, controls)``.
    """

    def __init__(
        self,
        bits: Floats,
        response: Floats,
        weights: Floats | None = None,
        controls: Floats | None = None,
    ) -> None:
        rows = len(response)
        self.num_slots = bits.shape[1]
        parts = [np.ones((rows, 1)), bits]
        if controls is not None:
            parts.append(controls)
        self.design = np.concatenate(parts, axis=1)
        self.response = np.asarray(response, dtype=float)
        self.weights = np.ones(rows) if weights is None else weights
        # columns of one length, so that rank and null space do not depend on units
        lengths = np.linalg.norm(self.design, axis=0)
        self._lengths = np.where(lengths > 0, lengths, 1.0)
        _, singular, right = np.linalg.svd(self.design / self._lengths)
        self.rank = int((singular > 1e-8 * singular[0]).sum())
        self._null = right[self.rank :].T  # of the scaled columns
        self.residual_df = rows - self.rank

    @cached_property
    def _fit(self) -> tuple[Floats, Floats, Floats]:
        """Pseudo-inverse, residuals and leverages of the weighted, scaled model."""
        # scaled columns keep the pseudo-inverse's cut-off away from real columns
        model = sm.WLS(self.response, self.design / self._lengths, self.weights)
        with warnings.catch_warnings():
            # Rank deficiency is expected: only estimable combinations are asked for.
            warnings.simplefilter("ignore", SingularMatrixWarning)
            fit = model.fit(method="pinv")
        root = np.sqrt(self.weights)
        inverse = np.asarray(fit.model.pinv_wexog)
        exog = self.design / self._lengths * root[:, None]
        leverage = np.clip(np.einsum("ij,ji->i", exog, inverse), 0.0, 1.0)
        residuals = np.asarray(fit.wresid, dtype=float)
        floor = TOLERANCE * float(np.max(np.abs(self.response), initial=0.0))
        residuals[np.abs(residuals) < floor * root] = 0.0
        return inverse, residuals, leverage

    @property
    def residuals(self) -> Floats:
        """Residual of each row, in the unit of the metric."""
        return self._fit[1] / np.sqrt(self.weights)

    @property
    def noise(self) -> float:
        """Residual standard deviation of a row of unit weight; NaN without any."""
        if self.residual_df < 1:
            return float("nan")
        return float(np.sqrt((self._fit[1] ** 2).sum() / self.residual_df))

    def _padded(self, contrast: Floats) -> Floats:
        padded = np.zeros(self.design.shape[1])
        padded[1 : 1 + self.num_slots] = contrast
        return padded / self._lengths

    def estimable(self, contrast: Floats) -> bool:
        """Whether the rows determine this combination of slot effects.

        Args:
            contrast: Weight of each slot, ``(slots,)``.

        Returns:
            True if it is orthogonal to the null space of the design.
        """
        padded = self._padded(contrast)
        size = float(np.linalg.norm(padded))
        return size > 0 and bool(np.linalg.norm(padded @ self._null) < 1e-7 * size)

    def error_per_noise(self, contrast: Floats) -> float:
        """Standard error of a combination for noise of one unit in every row.

        Args:
            contrast: Weight of each slot, ``(slots,)``; must be estimable.

        Returns:
            What the design makes of the noise, whatever the response.
        """
        inverse, _, _ = self._fit
        return float(np.linalg.norm(self._padded(contrast) @ inverse))

    def estimate(self, contrast: Floats) -> Estimate | None:
        """Estimate a combination of slot effects.

        Args:
            contrast: Weight of each slot, ``(slots,)``.

        Returns:
            The estimate, or ``None`` if the rows do not determine the combination or
            leave no degree of freedom for its error.
        """
        if self.residual_df < 1 or not self.estimable(contrast):
            return None
        inverse, residuals, leverage = self._fit
        loads = self._padded(contrast) @ inverse  # of the weighted rows
        effect = float(loads @ (np.sqrt(self.weights) * self.response))
        scale = float(np.max(np.abs(self.response), initial=0.0))
        if abs(effect) < TOLERANCE * scale:
            effect = 0.0
        variance, df = self._robust(loads, residuals, leverage)
        classical = float(loads @ loads) * float(residuals @ residuals)
        classical /= self.residual_df
        if variance is None:
            # A row that alone carries a parameter has no residual of its own.
            variance, df = classical, float(self.residual_df)
        return Estimate(effect, float(np.sqrt(variance)), df)

    def _robust(
        self, loads: Floats, residuals: Floats, leverage: Floats
    ) -> tuple[float | None, float]:
        """HC2 variance and its Bell-McCaffrey degrees of freedom."""
        carried = np.abs(loads) > 1e-10 * np.abs(loads).max()
        if bool((leverage[carried] > 1 - 1e-8).any()):
            return None, 0.0
        share = np.where(carried, loads**2 / np.where(carried, 1 - leverage, 1), 0.0)
        variance = float(share @ residuals**2)
        # E under equal variances; share' M_kk = loads'loads
        first = float(share @ (1 - leverage))
        second = self._squared_trace(share)
        return variance, first**2 / second

    def _squared_trace(self, share: Floats) -> float:
        """Trace of (S M)^2, with M the residual maker and S = diag(share)."""
        inverse, _, _ = self._fit
        exog = self.design / self._lengths * np.sqrt(self.weights)[:, None]
        # M = I - exog inverse, so M_ij^2 sums to: S^2 (1 - 2 h) + sum S_i S_j H_ij^2
        hat_parts = exog.T @ (share[:, None] * exog)
        back_parts = inverse @ (share[:, None] * inverse.T)
        leverage = np.einsum("ij,ji->i", exog, inverse)
        return float((share**2) @ (1 - 2 * leverage) + np.sum(hat_parts * back_parts))
