"""What a claim is made of, and the rule by which it is judged.

The rule, written before any of the numbers were seen:

* A claim has one or more *parts*: a quantity, the networks compared, and the side of
  zero that the paper says it is on. A part's p-value on the claimed side, and on the
  other, is half of the two-sided one of its contrast (or one minus that).
* The claim *holds* only if all its parts do: its p-value is the largest of theirs on
  the claimed side. It *does not hold* if some part is on the other side: the smallest
  of theirs on that side, times the number of parts (Bonferroni). The smaller of the
  two, times two, is the p-value of the row.
* These are corrected by Holm over the rows of the table; at 5% the row is decided, else
  it *cannot tell*. So the chance of a wrong word anywhere is at most 5% in a table of
  claims of which none is true or false.
* Claims read off another test (the rule) keep that test's verdict and are not in the
  correction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nas.claims.contrast import Contrast, Value, contrast
from nas.claims.plan import LEVEL
from nas.rule.effect import holm

Verdict = Literal["holds", "does not hold", "cannot tell"]

Measured = Mapping[str, Mapping[str, Sequence[Value]]]
"""Values by quantity and network."""


@dataclass(frozen=True)
class Part:
    """One measured comparison of a claim.

    Attributes:
        quantity: Name of the quantity.
        text: What is compared, in words.
        weights: Weight of each network; they say what the contrast is.
        sign: The side of 0 that the paper says it is on.
        unit: Unit of the contrast.
    """

    quantity: str
    text: str
    weights: Mapping[str, float]
    sign: Literal[1, -1]
    unit: str


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper.

    Attributes:
        number: 1 to 9.
        sentence: What it says.
        section: Where.
        parts: What is measured; none if another test answers.
        limits: What the numbers do not show.
    """

    number: int
    sentence: str
    section: str
    parts: tuple[Part, ...]
    limits: str


@dataclass(frozen=True)
class PartResult:
    """What was found out about a part.

    Attributes:
        part: The part.
        contrast: The numbers; ``None`` if they are missing.
        reason: Why they are.
    """

    part: Part
    contrast: Contrast | None
    reason: str = ""

    def p(self, *, claimed: bool) -> float:
        """One-sided p-value for the claimed side, or for the other."""
        if self.contrast is None or self.contrast.p == 1.0:
            return 1.0
        on_it = (self.contrast.estimate * self.part.sign > 0) == claimed
        return self.contrast.p / 2 if on_it else 1 - self.contrast.p / 2

    @property
    def reading(self) -> Verdict:
        """Where its own 95% interval lies: for reading, not corrected for anything."""
        if self.contrast is None or self.contrast.p > LEVEL:
            return "cannot tell"
        on_it = self.contrast.estimate * self.part.sign > 0
        return "holds" if on_it else "does not hold"


@dataclass(frozen=True)
class ClaimResult:
    """What was found out about a claim.

    Attributes:
        claim: The claim.
        parts: Its parts.
        verdict: By the rule above.
        p: P-value of the row after Holm; ``None`` where another test answers.
        note: Why nothing can be told, or what the other test says.
    """

    claim: Claim
    parts: tuple[PartResult, ...]
    verdict: Verdict
    p: float | None
    note: str = ""


def measure_part(part: Part, measured: Measured) -> PartResult:
    """Estimate a part from the trainings there are.

    Args:
        part: What to compare.
        measured: Values by quantity and network.

    Returns:
        The contrast, or why there is none.
    """
    found = measured.get(part.quantity, {})
    short = [label for label in part.weights if len(found.get(label, ())) < 2]
    if short:
        reason = f"{part.quantity} needs 2 or more trainings of {', '.join(short)}"
        return PartResult(part, None, reason)
    return PartResult(part, contrast(found, part.weights))


def judge(
    claims: Sequence[Claim],
    measured: Measured,
    answered: Mapping[int, tuple[Verdict, str]],
) -> list[ClaimResult]:
    """Judge every claim.

    Args:
        claims: The rows of the table.
        measured: Values by quantity and network.
        answered: Verdict and note of the claims that another test answers, by number.

    Returns:
        One result a claim, in their order.
    """
    parts = {
        claim.number: tuple(measure_part(part, measured) for part in claim.parts)
        for claim in claims
    }
    sides = {
        number: (
            max(one.p(claimed=True) for one in some),
            min(1.0, len(some) * min(one.p(claimed=False) for one in some)),
        )
        for number, some in parts.items()
        if any(one.contrast is not None for one in some)
    }
    rows = [min(1.0, 2 * min(both)) for both in sides.values()]
    corrected = dict(zip(sides, holm(rows), strict=True))
    results = []
    for claim in claims:
        number = claim.number
        if number in answered:
            verdict, note = answered[number]
            results.append(ClaimResult(claim, parts[number], verdict, None, note))
            continue
        note = "; ".join(one.reason for one in parts[number] if one.reason)
        verdict = "cannot tell"
        if corrected.get(number, 1.0) <= LEVEL:
            holds, fails = sides[number]
            verdict = "holds" if holds < fails else "does not hold"
        results.append(
            ClaimResult(claim, parts[number], verdict, corrected.get(number), note)
        )
    return results
