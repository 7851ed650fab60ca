"""Where each slot of a placement stands."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SlotLayout:
    """Where each slot of a placement stands.

    Attributes:
        depths: Blocks of each stage.
    """

    depths: tuple[int, ...]

    @property
    def num_slots(self) -> int:
        """Slots of all stages."""
        return sum(self.depths)

    @cached_property
    def slots(self) -> list[tuple[int, int]]:
        """Stage and block of each slot, both from 1."""
        return [
            (stage, block)
            for stage, depth in enumerate(self.depths, start=1)
            for block in range(1, depth + 1)
        ]

    @property
    def stages(self) -> range:
        """Numbers of the stages, from 1."""
        return range(1, len(self.depths) + 1)

    def of_stage(self, stage: int) -> list[int]:
        """Indices of the slots of a stage (from 1)."""
        start = sum(self.depths[: stage - 1])
        return list(range(start, start + self.depths[stage - 1]))

    @cached_property
    def strided(self) -> list[int]:
        """First blocks of stages 2, 3, ...: there an MSA also changes the stride.

        Of the paper's networks, whose first stage keeps the size of its map.
        """
        return [self.of_stage(stage)[0] for stage in self.stages if stage > 1]

    @cached_property
    def last(self) -> list[int]:
        """Last blocks of all stages."""
        return [self.of_stage(stage)[-1] for stage in self.stages]

    def inner(self, stage: int) -> list[int]:
        """Slots of a stage that are neither last nor strided."""
        return [i for i in self.of_stage(stage)[:-1] if i not in self.strided]

    def middle(self, stage: int) -> list[int]:
        """Slots of a stage that are neither first nor last."""
        return self.of_stage(stage)[1:-1]

    def unit(self, indices: int | Iterable[int]) -> Floats:
        """Weights that average the slots of the given indices."""
        weights = np.zeros(self.num_slots)
        chosen = [indices] if isinstance(indices, int) else list(indices)
        weights[chosen] = 1 / len(chosen)
        return weights

    def is_one_of(self, indices: Iterable[int]) -> Floats:
        """1 for the slots of the given indices, else 0."""
        found = np.zeros(self.num_slots)
        found[list(indices)] = 1.0
        return found
