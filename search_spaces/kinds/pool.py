"""``P``: average pooling as token mixer; it smooths without attending.

The control for "is it attention, or is it smoothing?": the same frame as the MSA
block, with a 3x3 average in the place of attention.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from search_spaces.block_cost import Cost
from search_spaces.block_spec import BlockSpec
from search_spaces.kinds.attention import StageAttention
from search_spaces.kinds.block_kind import BlockKind
from search_spaces.kinds.matched_size import matched_to_conv

if TYPE_CHECKING:
    from torch import nn


class PoolKind(BlockKind):
    """Average pooling between two 1x1 convs, as wide as keeps the Conv block's size."""

    letter = "P"
    name = "Pool"
    colour = "#009E73"  # bluish green of Okabe & Ito (2008)

    @property
    def block(self) -> "type[nn.Module]":
        """The module."""
        from search_spaces.blocks.pool_block import PoolBlock

        return PoolBlock

    def settings(self, spec: BlockSpec, attention: StageAttention) -> Mapping[str, int]:
        """Channels between the two 1x1 convs."""
        return {"width": matched_to_conv(spec, lambda width: _params(spec, width))}

    def cost(self, spec: BlockSpec) -> Cost:
        """Exact cost in closed form."""
        width = spec.setting("width")
        macs = spec.in_map_size**2 * spec.in_channels * width
        macs += spec.map_size**2 * (
            width * spec.out_channels + spec.num_shortcut_weights
        )
        return Cost(_params(spec, width), macs)


def _params(spec: BlockSpec, width: int) -> int:
    norms = 2 * spec.in_channels + 2 * width
    convs = spec.in_channels * width + (width + 1) * spec.out_channels
    return spec.num_shortcut_weights + norms + convs
