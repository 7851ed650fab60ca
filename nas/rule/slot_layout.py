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
        strided_blocks: Stage and number (from 1) of the blocks that halve the map;
            ``None`` where nobody knows: then the first blocks of stages 2, 3, ..., as
            in the paper's networks, whose first stage keeps the size of its map.
    """

    depths: tuple[int, ...]
    strided_blocks: tuple[tuple[int, int], ...] | None = None

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
        """Blocks that halve the map: there an MSA also changes how that is done."""
        if self.strided_blocks is not None:
            return [self.slots.index(one) for one in self.strided_blocks]
        return [self.of_stage(stage)[0] for stage in self.stages if stage > 1]

    @property
    def is_as_assumed(self) -> bool:
        """Whether the strided blocks are those of the paper's networks."""
        return self.strided == SlotLayout(self.depths).strided

    def plain_first(self, stage: int) -> list[int]:
        """The first slot of a stage of two or more, if it is not strided."""
        first, *rest = self.of_stage(stage)
        return [first] if rest and first not in self.strided else []

    def first_to_beat(self, stage: int) -> list[int]:
        """The first slot that the last one of the stage is compared with.

        The one without a stride; where no stage has such a first slot, the strided one:
        or both edges of every stage could be equally good places, unseen.
        """
        first, *rest = self.of_stage(stage)
        if self.first_unstrided:
            return self.plain_first(stage)
        return [first] if rest else []

    @cached_property
    def first_unstrided(self) -> list[int]:
        """First slots of stages of two or more that are not strided."""
        return [i for stage in self.stages for i in self.plain_first(stage)]

    @cached_property
    def last(self) -> list[int]:
        """Last blocks of all stages."""
        return [self.of_stage(stage)[-1] for stage in self.stages]

    def inner(self, stage: int) -> list[int]:
        """Slots of a stage that are neither last nor strided."""
        return [i for i in self.of_stage(stage)[:-1] if i not in self.strided]

    def middle(self, stage: int) -> list[int]:
        """Slots of a stage that are neither first nor last nor strided."""
        return [i for i in self.of_stage(stage)[1:-1] if i not in self.strided]

    @property
    def has_middle(self) -> bool:
        """Whether any stage has a middle slot."""
        return any(map(self.middle, self.stages))

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
