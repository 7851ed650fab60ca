"""Verdicts of many tables of one design, and the sentences that explain them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from nas.rule.check import Check, Checks
from nas.rule.readings import Readings

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Verdict = Literal["supported", "contradicted", "negligible", "inconclusive"]


@dataclass(frozen=True, eq=False)
class Judgements:
    """Verdicts of many tables of one design.

    Attributes:
        verdicts: ``(tables,)``.
        checks: What was checked, for the side that each headline is on.
        headline: The end-of-stage contrast.
        readings: The other contrasts by name.
        worst_without_stage: The leave-one-stage-out contrast with the largest p-value.
        stages: The contrast of each stage alone.
        disagreement: Cochran's Q of the stages, ``(tables,)``, its degrees of freedom,
            and its p-value, ``(tables,)``; ``None`` for one stage.
        is_good: Whether the headline is on the good side, ``(tables,)``.
        level: Two-sided level of the verdict.
        smallest: The smallest effect of interest, if one is known.
        constant: Where the metric is the same in every row, ``(tables,)``.
        blocked: Why there can be no verdict at all, or ``""``.
    """

    verdicts: npt.NDArray[np.str_]
    checks: tuple[Checks, ...]
    headline: Readings
    readings: dict[str, Readings]
    worst_without_stage: Readings
    stages: dict[int, Readings]
    disagreement: tuple[Floats, int, Floats] | None
    is_good: Flags
    level: float
    smallest: float | None
    constant: Flags
    blocked: str

    def share(self, verdict: Verdict) -> float:
        """Share of the tables with that verdict."""
        return float((self.verdicts == verdict).mean())

    def checks_at(self, table: int) -> tuple[Check, ...]:
        """The checks of one table."""
        return tuple(c.at(table, bool(self.is_good[table])) for c in self.checks)

    def reasons_at(self, table: int) -> tuple[str, ...]:
        """Why the verdict of one table is what it is, in sentences."""
        if self.blocked:
            return (self.blocked,)
        if self.constant[table]:
            return ("the metric is the same in every trial",)
        effect = self.headline.effect(table)
        verdict = str(self.verdicts[table])
        interval = f"{_percent(1 - self.level)} interval of end of stage"
        if verdict == "negligible":
            half = self.headline.half_width(1 - 2 * self.level)[table]
            assert effect.effect is not None
            low, high = effect.effect - half, effect.effect + half
            return (
                f"the {_percent(1 - 2 * self.level)} interval of end of stage, "
                f"{low:+.3g} to {high:+.3g}, lies inside the smallest effect of "
                f"interest, {self.smallest:.3g}",
            )
        assert effect.p is not None
        if effect.p >= self.level:
            return (f"the {interval} holds zero",)
        checks = self.checks_at(table)
        failed = [check for check in checks if not check.passed]
        if verdict == "inconclusive":
            return (
                f"the {interval} lies on one side of zero, but",
                *(f"not shown: {check.claim} ({check.finding})" for check in failed),
            )
        side = "good" if verdict == "supported" else "bad"
        return (
            f"the whole {interval} lies on the {side} side",
            *(f"shown: {check.claim} ({check.finding})" for check in checks),
        )


def _percent(confidence: float) -> str:
    """A level as text; 99.5% is not 100%."""
    return f"{100 * confidence:.4g}%"
