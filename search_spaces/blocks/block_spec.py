"""The shapes of one block of an architecture."""

from typing import NamedTuple

from search_spaces.placement import Letter


class BlockSpec(NamedTuple):
    """What one slot builds: the shapes, and the attention settings of an MSA."""

    stage: int
    block: int
    letter: Letter
    in_channels: int
    out_channels: int
    stride: int
    in_map_size: int
    map_size: int
    heads: int
    head_dim: int
    window: int
