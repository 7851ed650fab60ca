"""One contrast read from many tables of one design at once."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from nas.rule.contrasts import Contrast
from nas.rule.effect import Effect
from nas.rule.slot_design import TOLERANCE, SlotDesign
from nas.rule.slot_regression import Estimate

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Readings:
    """Estimates of one contrast, ``(tables,)`` each.

    Attributes:
        effects: The estimates; zero where there are none.
        errors: Their standard errors.
        df: Degrees of freedom of the errors.
        stages: Stages that take part.
        reason: Why there are none, or ``""``.
        weights: Weight of each slot in the contrast (those of further regressors
            behind them), ``(slots,)``, or ``None``.
    """

    effects: Floats
    errors: Floats
    df: Floats
    stages: tuple[int, ...] = ()
    reason: str = ""
    weights: Floats | None = None

    def shifted(self, slot_effects: Floats) -> "Readings":
        """The same noise on top of slot effects, ``(slots,)``: only estimates move."""
        if self.weights is None:
            return self
        moved = float(self.weights[: len(slot_effects)] @ slot_effects)
        return replace(self, effects=self.effects + moved)

    def where(self, flags: npt.NDArray[np.bool_], other: "Readings") -> "Readings":
        """The other readings of the same contrast in some of the tables."""
        if not flags.any():
            return self
        return replace(
            self,
            effects=np.where(flags, other.effects, self.effects),
            errors=np.where(flags, other.errors, self.errors),
            df=np.where(flags, other.df, self.df),
        )

    @classmethod
    def none(cls, num_tables: int, reason: str) -> "Readings":
        """No estimates, and why."""
        return cls(
            np.zeros(num_tables), np.full(num_tables, np.inf), np.ones(num_tables),
            reason=reason,
        )  # fmt: skip

    def one_sided(self, side: Floats) -> Floats:
        """P-value of the effect not being on that side; 1 where there is none.

        Args:
            side: 1 or -1 for each table, ``(tables,)``.

        Returns:
            ``(tables,)``.
        """
        if self.reason:
            return np.ones(len(self.effects))
        exact = self.errors == 0
        ratio = side * self.effects / np.where(exact, 1.0, self.errors)
        p = special.stdtr(self.df, -ratio)
        return np.where(exact, np.where(side * self.effects > 0, 0.0, 1.0), p)

    def half_width(self, coverage: float) -> Floats:
        """Half the length of the interval of that coverage, ``(tables,)``."""
        return np.asarray(special.stdtrit(self.df, 0.5 + coverage / 2) * self.errors)

    def effect(self, table: int) -> Effect:
        """The estimate of one table."""
        if self.reason:
            return Effect(reason=self.reason)
        estimate = Estimate(
            float(self.effects[table]), float(self.errors[table]), float(self.df[table])
        )
        return Effect.of(estimate, self.stages)


class FittedDesign:
    """A design with the residuals of many responses.

    Args:
        design: The design.
        responses: Metric of each row, ``(rows, tables)``.
    """

    def __init__(self, design: SlotDesign, responses: Floats) -> None:
        self._design = design
        self._whitened = design.whitened(responses)
        self._residuals = design.whitened_residuals(self._whitened)
        self._floor = TOLERANCE * np.abs(responses).max(axis=0, initial=0.0)

    def read(self, contrast: Contrast) -> Readings:
        """Estimate a contrast in every table."""
        num = self._whitened.shape[1]
        if contrast.weights is None:
            return Readings.none(num, contrast.reason)
        loads = self._design.loads(contrast.weights)
        if loads is None:
            return Readings.none(
                num, "too few placements or clusters to give an interval"
            )
        effects = loads.rows @ self._whitened
        effects[np.abs(effects) < self._floor] = 0.0
        errors, df = self._design.errors(loads, self._residuals)
        return Readings(effects, errors, df, contrast.stages, weights=contrast.weights)
