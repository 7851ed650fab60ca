"""How large an end-of-stage effect the *verdict* finds with a design, by simulation.

In units of the noise: the standard deviation between trials that the slots do not
explain. A pilot of a few seeds of one placement gives its size. The power of the
interval alone would promise too much: the verdict also rules out the rivals, and where
the interval finds an effect in 80% of tables, the verdict may do so in half of them.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nas.rule.letters import bits_of, letters_of
from nas.rule.slot_layout import SlotLayout
from nas.rule.table_readings import TableReadings
from nas.rule.verdict import VerdictDesign

POWER = 0.8
"""The usual chance to find an effect that is there (Cohen 1988)."""

EFFECTS = (0.5, 1.0, 2.0)
"""Effects in noise SDs for which the power is told (our choice)."""

LARGEST = 64.0
"""Effects in noise SDs beyond which a design is said to find nothing (our choice)."""

MAX_TABLES = 1000
"""Simulated tables: a share of 80% is known to 1.3 points (our choice)."""

NUMBERS = 1_500_000
"""Simulated responses in all; large designs get fewer tables (our choice: a second)."""


class VerdictPower:
    """The power of the verdict with a design, for equal noise everywhere.

    The planted truth is the rule itself: an MSA in the last slot of any stage adds the
    effect, elsewhere nothing.

    Args:
        design: The design.
        level: Two-sided level of the verdict.
        seed: Seed of the simulated noise.
    """

    def __init__(
        self, design: VerdictDesign, level: float = 0.05, seed: int = 0
    ) -> None:
        self._design = design
        self._level = level
        self._seed = seed

    @property
    def level(self) -> float:
        """Two-sided level of the verdict."""
        return self._level

    @classmethod
    def of(
        cls,
        placements: Sequence[object],
        letter: str = "M",
        strided: tuple[tuple[int, int], ...] | None = None,
    ) -> "VerdictPower":
        """The power of a design before it is run.

        Args:
            placements: Distinct placements to train, once each.
            letter: The letter that is compared with C.
            strided: Stage and number of the blocks that halve the map, if known.

        Returns:
            Its power.
        """
        letters = letters_of(placements)
        (bits,) = bits_of(letters, letter)
        others = bits_of(letters, sorted({*np.unique(letters)} - {"C", letter}))
        depths = tuple(map(len, str(placements[0]).split("-")))
        layout = SlotLayout(depths, strided)
        return cls(VerdictDesign(bits, layout, other_bits=others))

    @property
    def num_rows(self) -> int:
        """Placements of the design."""
        return len(self._design.plain.design)

    @cached_property
    def _noise(self) -> TableReadings:
        rng = np.random.default_rng(self._seed)
        num = int(np.clip(NUMBERS // self.num_rows, 40, MAX_TABLES))
        noise = rng.normal(size=(self.num_rows, num))
        return self._design.read(noise / np.sqrt(self._design.plain.weights)[:, None])

    def power(self, effect: float) -> float:
        """Chance that the verdict is ``supported``.

        Args:
            effect: True effect of an MSA in each last slot, in noise SDs.

        Returns:
            A share of simulated tables.
        """
        layout = self._design.layout
        shifted = self._noise.shifted(effect * layout.is_one_of(layout.last))
        return self._design.decide(shifted, level=self._level).share("supported")

    @cached_property
    def detectable(self) -> float | None:
        """Effect in noise SDs that is found with 80% power; ``None`` if none is."""
        if self.reason:
            return None
        low, high = 0.0, 1.0
        while self.power(high) < POWER:
            low, high = high, 2 * high
            if high > LARGEST:
                return None
        while high - low > 0.01 * high:
            middle = (low + high) / 2
            low, high = (low, middle) if self.power(middle) >= POWER else (middle, high)
        return high

    @cached_property
    def reason(self) -> str:
        """Why the verdict can never be ``supported``, or ``""``."""
        judged = self._design.decide(self._noise)
        if judged.blocked:
            return judged.blocked
        missing = [check.reason for check in judged.checks if check.reason]
        return missing[0] if missing else ""

    def trials_for(self, effect: float) -> int | None:
        """About how many such trials find an effect with 80% power.

        From the simulated design by the square-root law, which is a little low where
        far fewer trials are asked for.

        Args:
            effect: End-of-stage effect in noise SDs.

        Returns:
            A number of trials; ``None`` if the design can find nothing.
        """
        if self.detectable is None:
            return None
        ratio = (self.detectable / effect) ** 2
        unknowns = self._design.joint.rank
        return int(np.ceil(max(ratio * self.num_rows, unknowns + 1)))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: effects in noise SDs."""
        return {
            "verdict": {str(effect): self.power(effect) for effect in EFFECTS},
            "detectable": self.detectable,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        if self.detectable is None:
            why = self.reason or "even large effects leave a rival standing"
            return f"this design can never support the end-of-stage rule: {why}"
        shares = ", ".join(f"{self.power(e):.0%} for {e:g}" for e in EFFECTS)
        needed = ", ".join(f"{self.trials_for(e)} for {e:g}" for e in EFFECTS)
        return (
            f"{self.num_rows} placements support an end-of-stage effect of "
            f"{self.detectable:.2g} noise SDs with {POWER:.0%} power (verdict, not "
            f"interval; {shares}); trials needed by effect in noise SDs, about: "
            f"{needed}"
        )
