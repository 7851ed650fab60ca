"""A rival explanation of an end-of-stage effect, and whether the data rule it out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Check:
    """A rival explanation, and whether the data rule it out.

    Attributes:
        name: Short name.
        claim: What must be shown.
        passed: Whether it was.
        finding: The numbers, or why there are none.
    """

    name: str
    claim: str
    passed: bool
    finding: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name,
            "claim": self.claim,
            "passed": self.passed,
            "finding": self.finding,
        }


@dataclass(frozen=True, eq=False)
class Checks:
    """One check on many tables, ``(tables,)`` each.

    Attributes:
        name: Short name.
        claims: What must be shown for ``contradicted`` and for ``supported``.
        p: One-sided p-value.
        passed: Whether it was shown.
        reason: Why nothing can be shown, or ``""``.
        p_of_opposite: Whether ``p`` speaks for the opposite: then a small one is what
            keeps the check from being passed.
    """

    name: str
    claims: tuple[str, str]
    p: Floats
    passed: Flags
    reason: str = ""
    p_of_opposite: bool = False

    def at(self, table: int, is_good: bool) -> Check:
        """The check of one table."""
        which = " of the opposite" if self.p_of_opposite else ""
        finding = self.reason or f"one-sided p{which} = {self.p[table]:.3g}"
        claim = self.claims[int(is_good)]
        return Check(self.name, claim, bool(self.passed[table]), finding)
