"""The slots of a parent that is no AlterNet, as plain data.

A timm, torchvision or user's network is looked at once, with its weights
(:mod:`search_spaces.parents.module_parent`). What placements, costs and spaces need
of it is this table: it is written into configs and ``alternet/2`` files, so that
studies are read without the library that the network comes from.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from search_spaces.block_cost import Cost
from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError, shown

CHANNELS_PER_HEAD = 32
"""Channels of the map for one head where ``heads`` is ``auto``; as in Swin (Liu et al.,
2021, section 3.3). The paper's 3, 6, 12, ... belong to its own widths."""


class ParentSlot(NamedTuple):
    """One block of a parent that a placement may replace.

    Attributes:
        name: Module name of the block, e.g. ``layer1.0``; ``""`` for the whole network
            (:mod:`search_spaces.parents.whole_network`).
        stage: Stage, from 1; the blocks of a stage have equal outputs.
        in_channels: Channels of the block's input.
        out_channels: Channels of its output.
        stride: 1, or 2 to halve the map.
        in_map_size: Height (= width) of the input in pixels.
        map_size: Height (= width) of the output.
        bottleneck: Whether its first conv halves the channels or more.
        params: Parameters of the block.
        macs: Its MACs of one image.
        activation: Activation after the sum of a post-activation block, e.g. ``relu``;
            ``""`` where the sum is the output.
    """

    name: str
    stage: int
    in_channels: int
    out_channels: int
    stride: int
    in_map_size: int
    map_size: int
    bottleneck: bool
    params: int
    macs: int
    activation: str = ""


@dataclass(frozen=True)
class ParentBackbone:
    """What :class:`search_spaces.Backbone` is for an AlterNet.

    Attributes:
        model: Where the network comes from: ``timm:NAME``, ``torchvision:NAME`` or
            ``module:function``.
        slots: Its slots in the order of the forward pass.
        fixed: Cost of everything that no slot holds.
        image_size: Height (= width) of the images that the shapes are for.

    Raises:
        InputError: There is no slot, or the table contradicts itself.
    """

    model: str
    slots: tuple[ParentSlot, ...]
    fixed: Cost
    image_size: int

    def __post_init__(self) -> None:
        stages = [slot.stage for slot in self.slots]
        if not stages:
            raise InputError(f"a parent needs at least one slot; {self.model} has none")
        if stages != sorted(stages) or set(stages) != set(range(1, max(stages) + 1)):
            raise InputError(
                f"stages of a parent's slots count up from 1, got {shown(stages)}"
            )

    @property
    def name(self) -> str:
        """Where the network comes from."""
        return self.model

    @property
    def is_whole(self) -> bool:
        """Whether its one slot is the whole network, which no placement changes."""
        return [slot.name for slot in self.slots] == [""]

    @property
    def depths(self) -> tuple[int, ...]:
        """Slots of each stage."""
        return tuple(len(stage) for stage in self._stages())

    @property
    def num_stages(self) -> int:
        """Number of stages."""
        return self.slots[-1].stage

    @property
    def strides(self) -> tuple[int, ...]:
        """Stride of the first slot of each stage."""
        return tuple(stage[0].stride for stage in self._stages())

    @property
    def strided_blocks(self) -> tuple[tuple[int, int], ...]:
        """Stage and number, from 1, of the slots that halve the map."""
        return tuple(
            (slot.stage, block)
            for stage in self._stages()
            for block, slot in enumerate(stage, start=1)
            if slot.stride > 1
        )

    @property
    def auto_heads(self) -> tuple[int, ...]:
        """Heads of each stage that ``auto`` means."""
        return tuple(
            max(1, stage[0].out_channels // CHANNELS_PER_HEAD)
            for stage in self._stages()
        )

    def _stages(self) -> list[list[ParentSlot]]:
        return [list(group) for _, group in groupby(self.slots, lambda s: s.stage)]

    def slot_specs(
        self, image_size: int, depths: tuple[int, ...]
    ) -> Iterator[BlockSpec]:
        """Shapes of the slots, each with the letter ``C``.

        Args:
            image_size: Height (= width) of the images; that of the table.
            depths: Blocks of each stage; those of the table.

        Yields:
            One a slot.

        Raises:
            InputError: The images have another size, or the stages other depths.
        """
        if depths != self.depths:
            raise InputError(
                f"placements of {self.model} have depths {list(self.depths)}, got "
                f"{list(depths)}"
            )
        if image_size != self.image_size:
            raise InputError(
                f"the slots of {self.model} were measured on {self.image_size} px "
                f"images, got {image_size} px; look at the parent again"
            )
        stage = block = 0
        for slot in self.slots:
            block = block + 1 if slot.stage == stage else 1
            stage = slot.stage
            yield BlockSpec(
                stage,
                block,
                "C",
                slot.in_channels,
                slot.out_channels,
                slot.stride,
                slot.in_map_size,
                slot.map_size,
                slot.bottleneck,
                own=Cost(slot.params, slot.macs),
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the inverse of :meth:`from_dict`."""
        return {
            "model": self.model,
            "image_size": self.image_size,
            "fixed": list(self.fixed),
            "slots": [list(slot) for slot in self.slots],
        }

    @classmethod
    def from_dict(cls, data: Any) -> "ParentBackbone":
        """Read what :meth:`to_dict` writes.

        Args:
            data: Of a config or an ``alternet/2`` file.

        Raises:
            InputError: It is not such a table.
        """
        rule = (
            "a parent has model, image_size, fixed (params, macs) and slots (rows of "
            f"{', '.join(ParentSlot._fields)})"
        )
        if not isinstance(data, dict) or set(data) != {
            "model",
            "image_size",
            "fixed",
            "slots",
        }:
            raise InputError(f"{rule}; got {shown(data)}")
        kinds = (str, int, int, int, int, int, int, bool, int, int, str)
        slots = []
        for row in data["slots"] if isinstance(data["slots"], list) else [None]:
            if not isinstance(row, list) or [type(v) for v in row] != list(kinds):
                raise InputError(f"{rule}; got the slot {shown(row)}")
            sizes = [row[i] for i in (1, 2, 3, 5, 6)]
            if min(sizes) < 1 or row[4] not in (1, 2) or min(row[8:10]) < 0:
                raise InputError(f"{rule}; got the slot {shown(row)}")
            slots.append(ParentSlot(*row))
        fixed, size = data["fixed"], data["image_size"]
        if (
            not isinstance(fixed, list)
            or len(fixed) != 2
            or any(type(v) is not int or v < 0 for v in (*fixed, size))
            or not isinstance(data["model"], str)
        ):
            raise InputError(f"{rule}; got {shown(data)}")
        return cls(data["model"], tuple(slots), Cost(*fixed), size)
