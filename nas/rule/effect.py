"""An effect of slots with its interval, or the reason why there is none."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.rule.contrasts import Contrast
from nas.rule.slot_regression import Estimate, SlotRegression


@dataclass(frozen=True)
class Effect:
    """An effect in the metric's unit, or the reason why there is none.

    Attributes:
        effect: Its value.
        ci: Its 95% interval.
        p: Two-sided p-value.
        standard_error: Robust standard error.
        df: Degrees of freedom of its t distribution.
        stages: Stages that take part.
        reason: Why it could not be estimated, or ``""``.
    """

    effect: float | None = None
    ci: tuple[float | None, float | None] = (None, None)
    p: float | None = None
    standard_error: float | None = None
    df: float | None = None
    stages: tuple[int, ...] = ()
    reason: str = ""

    @classmethod
    def of(cls, estimate: Estimate | None, stages: tuple[int, ...] = ()) -> "Effect":
        """Take over an estimate; ``None`` means that no interval can be given."""
        if estimate is None:
            return cls(reason="too few placements or clusters to give an interval")
        return cls(
            estimate.effect,
            estimate.ci,
            estimate.p,
            estimate.standard_error,
            estimate.df,
            stages,
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; ``reason`` only where there is one."""
        data: dict[str, Any] = {
            "effect": self.effect,
            "ci": list(self.ci),
            "p": self.p,
            "standard_error": self.standard_error,
            "df": self.df,
        }
        if self.stages:
            data["stages"] = list(self.stages)
        if self.reason:
            data["reason"] = self.reason
        return data


@dataclass(frozen=True)
class SlotEffect:
    """The change from turning one slot from C to M, the others held fixed.

    Attributes:
        stage: Stage, from 1.
        block: Block of the stage, from 1.
        effect: The effect.
        p_holm: P-value after Holm's correction for all slots.
        num_msa: Placements with an MSA here.
        num_conv: Placements with a Conv block here.
        strided: Whether the block also halves the map.
    """

    stage: int
    block: int
    effect: Effect
    p_holm: float | None
    num_msa: int
    num_conv: int
    strided: bool

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "stage": self.stage,
            "block": self.block,
            **self.effect.to_dict(),
            "p_holm": self.p_holm,
            "num_msa": self.num_msa,
            "num_conv": self.num_conv,
            "strided": self.strided,
        }


def measured(regression: SlotRegression, contrast: Contrast) -> Effect:
    """Estimate a contrast, or say why it cannot be."""
    if contrast.weights is None:
        return Effect(reason=contrast.reason)
    return Effect.of(regression.estimate(contrast.weights), contrast.stages)


def holm(p_values: list[float]) -> list[float]:
    """Holm's correction (1979, Scand. J. Statist. 6:65).

    statsmodels' multipletests gives the same numbers but runs the garbage collector at
    every call, which took 95% of a test's time.

    Args:
        p_values: One for each hypothesis.

    Returns:
        The corrected values in the same order.
    """
    if not p_values:
        return []
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(p_values), 0, -1) * np.asarray(p_values)[order]
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(p) for p in corrected]
