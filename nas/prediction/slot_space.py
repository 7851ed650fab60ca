"""The placements that are predicted: which letters each slot may hold."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import numpy.typing as npt

from search_spaces.errors import InputError
from search_spaces.placement import Placement

Codes = npt.NDArray[np.int64]
"""Placements as numbers, ``(placements, slots)``: index into the letters of a slot."""

_CHUNK = 65_536


@dataclass(frozen=True)
class SlotSpace:
    """Every combination of the letters that the slots may hold.

    Attributes:
        depths: Blocks of each stage.
        letters: For each slot, in the order of the forward pass, its letters.
    """

    depths: tuple[int, ...]
    letters: tuple[str, ...]

    def __post_init__(self) -> None:
        if sum(self.depths) != len(self.letters) or not all(self.letters):
            raise InputError(
                f"a space of {sum(self.depths)} slots needs letters for each of them, "
                f"got {list(self.letters)}"
            )

    @classmethod
    def of_placements(cls, placements: Sequence[tuple[str, ...]]) -> "SlotSpace":
        """The smallest space of combinations that holds some placements.

        Args:
            placements: Stages of each placement, all of the same depths.
        """
        depths = tuple(len(stage) for stage in placements[0])
        columns = zip(*("".join(stages) for stages in placements), strict=True)
        return cls(depths, tuple("".join(sorted(set(column))) for column in columns))

    @classmethod
    def parse(cls, text: str, depths: tuple[int, ...]) -> "SlotSpace":
        """Read the letters of the slots.

        Args:
            text: Letters that every slot may hold, e.g. ``"CMP"``, or a pattern in
                which brackets hold the choices of a slot, e.g.
                ``"C[CM][CM]-[CMP]CM"``.
            depths: Blocks of each stage.

        Raises:
            InputError: It is neither, or of other depths.
        """
        if text.isalpha() and len(set(text)) == len(text) > 1:
            Placement.parse(text)
            return cls(depths, ("".join(sorted(text)),) * sum(depths))
        stages: list[list[str]] = []
        for stage in text.split("-"):
            slots = re.findall(r"\[([^\[\]]+)\]|([^\[\]])", stage)
            if "".join(f"[{a}]" if a else b for a, b in slots) != stage or not slots:
                raise InputError(
                    "a space is a list of letters for every slot, e.g. 'CM', or a "
                    "pattern with the choices of a slot in brackets, e.g. "
                    f"'C[CM][CM]-[CMP]CM'; got {text!r}"
                )
            stages.append(["".join(sorted(set(a or b))) for a, b in slots])
        found = tuple(len(stage) for stage in stages)
        for slot in (slot for stage in stages for slot in stage):
            Placement.parse(slot)
        if found != depths:
            raise InputError(
                f"the space must have the depths of the placements, {list(depths)}; "
                f"{text!r} has {list(found)}"
            )
        return cls(depths, tuple(slot for stage in stages for slot in stage))

    def __str__(self) -> str:
        shown = [c if len(c) == 1 else f"[{c}]" for c in self.letters]
        ends = np.cumsum(self.depths)[:-1].tolist()
        parts = np.split(np.array(shown, dtype=object), ends)
        return "-".join("".join(part) for part in parts)

    @cached_property
    def size(self) -> int:
        """Number of placements."""
        return prod(len(choices) for choices in self.letters)

    @property
    def alphabet(self) -> str:
        """Every letter that some slot may hold."""
        return "".join(sorted(set("".join(self.letters))))

    @cached_property
    def stage_of(self) -> tuple[int, ...]:
        """Stage of each slot, from 0."""
        return tuple(i for i, depth in enumerate(self.depths) for _ in range(depth))

    def union(self, other: "SlotSpace") -> "SlotSpace":
        """The space whose slots may hold the letters of both."""
        letters = zip(self.letters, other.letters, strict=True)
        both = tuple("".join(sorted({*a, *b})) for a, b in letters)
        return SlotSpace(self.depths, both)

    def contains(self, placement: str) -> bool:
        """Whether a placement, e.g. ``"CC-CM"``, is one of the space's."""
        stages = placement.split("-")
        return tuple(map(len, stages)) == self.depths and all(
            letter in choices
            for letter, choices in zip("".join(stages), self.letters, strict=True)
        )

    def encode(self, placements: Sequence[str]) -> Codes:
        """Number placements of the space.

        Args:
            placements: Each e.g. ``"CC-CM"``.

        Returns:
            ``(placements, slots)``.
        """
        index = [{c: i for i, c in enumerate(choices)} for choices in self.letters]
        rows = [
            [known[c] for c, known in zip(p.replace("-", ""), index, strict=True)]
            for p in placements
        ]
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(self.letters))

    def decode(self, codes: Codes) -> list[str]:
        """The inverse of :meth:`encode`."""
        starts = np.cumsum([0, *self.depths]).tolist()
        found = []
        for row in codes.tolist():
            text = "".join(
                choices[i] for i, choices in zip(row, self.letters, strict=True)
            )
            found.append("-".join(text[a:b] for a, b in zip(starts, starts[1:])))  # noqa: B905
        return found

    def enumerate(self) -> Iterator[Codes]:
        """Walk through all placements in chunks, so that memory stays bounded.

        Yields:
            ``(at most 65,536, slots)``, the last slot changing fastest.
        """
        shape = tuple(len(choices) for choices in self.letters)
        for start in range(0, self.size, _CHUNK):
            flat = np.arange(start, min(start + _CHUNK, self.size))
            yield np.stack(np.unravel_index(flat, shape), axis=1).astype(np.int64)

    def sample(self, rng: np.random.Generator, count: int) -> Codes:
        """Draw placements uniformly, with repetition.

        Args:
            rng: Source of randomness.
            count: How many.

        Returns:
            ``(count, slots)``.
        """
        high = [len(choices) for choices in self.letters]
        return rng.integers(0, high, (count, len(high)))
