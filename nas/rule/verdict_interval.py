"""The interval of end of stage that a verdict is read from.

The 95% interval is not it where a search looked at results (99%), where a metric is one
of several that were not planned (Holm), or where the verdict is ``negligible`` (two
one-sided tests). Who draws a verdict draws this one.
"""

from dataclasses import dataclass
from typing import Any

from scipy import special

from nas.rule.effect import Effect
from nas.rule.verdict import Verdict


@dataclass(frozen=True)
class VerdictInterval:
    """An interval of the end-of-stage effect.

    Attributes:
        low: Lower end.
        high: Upper end.
        confidence: Its coverage, e.g. 0.95.
    """

    low: float
    high: float
    confidence: float

    @property
    def name(self) -> str:
        """For labels, e.g. ``99% interval``."""
        return f"{100 * self.confidence:.4g}% interval"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"ci": [self.low, self.high], "confidence": self.confidence}


def verdict_interval(
    effect: Effect, level: float, verdict: Verdict
) -> VerdictInterval | None:
    """The interval that a verdict rests on.

    Args:
        effect: The end-of-stage effect.
        level: Two-sided level of the verdict.
        verdict: The verdict.

    Returns:
        The interval; ``None`` if the effect has none.
    """
    if effect.effect is None or effect.standard_error is None or effect.df is None:
        return None
    confidence = 1 - (2 * level if verdict == "negligible" else level)
    quantile = float(special.stdtrit(effect.df, 0.5 + confidence / 2))
    half = quantile * effect.standard_error
    return VerdictInterval(effect.effect - half, effect.effect + half, confidence)
