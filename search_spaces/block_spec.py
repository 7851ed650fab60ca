"""The shapes of one block of an architecture."""

from typing import NamedTuple

from search_spaces.block_cost import Cost


class BlockSpec(NamedTuple):
    """What one slot builds: its shapes, and the settings of its kind.

    Attributes:
        stage: Stage, from 1.
        block: Block of the stage, from 1.
        letter: Kind of the block.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: 1, or 2 to halve the map.
        in_map_size: Height (= width) of the input in pixels.
        map_size: Height (= width) of the output in pixels.
        bottleneck: Whether the network is made of bottleneck blocks (a quarter as wide
            inside) or of basic ones.
        settings: Names and values that the kind decided for this slot, e.g. heads.
        own: Size of the parent's own block in this slot; ``None`` where that is this
            project's Conv block, whose size follows from the shapes.
    """

    stage: int
    block: int
    letter: str
    in_channels: int
    out_channels: int
    stride: int
    in_map_size: int
    map_size: int
    bottleneck: bool
    settings: tuple[tuple[str, int], ...] = ()
    own: Cost | None = None

    def setting(self, name: str) -> int:
        """The value of one of the kind's settings; 0 if it has none of that name."""
        return dict(self.settings).get(name, 0)

    @property
    def projects(self) -> bool:
        """Whether the shortcut has to change the shape (a 1x1 conv)."""
        return self.stride != 1 or self.in_channels != self.out_channels

    @property
    def num_shortcut_weights(self) -> int:
        """Weights of the shortcut's 1x1 conv; 0 where it is the identity."""
        return self.in_channels * self.out_channels if self.projects else 0
