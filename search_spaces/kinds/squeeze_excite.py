"""``S``: the Conv block with squeeze-and-excitation; it attends without smoothing.

The other control for "is it attention, or is it smoothing?": the Conv block weighs its
channels by what the whole map shows (Hu et al., CVPR 2018), without mixing positions.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from search_spaces.block_cost import Cost
from search_spaces.block_spec import BlockSpec
from search_spaces.kinds.attention import StageAttention
from search_spaces.kinds.block_kind import BlockKind
from search_spaces.kinds.matched_size import matched_to_conv

if TYPE_CHECKING:
    from torch import nn

REDUCTION = 16
"""Channels of the map for one inside the excitation (Hu et al., 2018, section 6.1)."""

MIN_SQUEEZED = 4
"""Fewest channels inside the excitation (our choice: narrow nets would have one)."""


class SqueezeExciteKind(BlockKind):
    """Conv block and squeeze-and-excitation, together of the Conv block's size."""

    letter = "S"
    name = "SE"
    colour = "#CC79A7"  # reddish purple of Okabe & Ito (2008)
    branch = "conv"

    @property
    def block(self) -> "type[nn.Module]":
        """The module."""
        from search_spaces.blocks.squeeze_excite_block import SqueezeExciteBlock

        return SqueezeExciteBlock

    @property
    def needs(self) -> tuple[Callable[..., Any], ...]:
        """The convs inside."""
        from search_spaces.blocks.conv_block import make_conv_branch

        return (make_conv_branch,)

    def settings(self, spec: BlockSpec, attention: StageAttention) -> Mapping[str, int]:
        """Channels inside the excitation, and of the convs of the branch."""
        squeezed = max(MIN_SQUEEZED, spec.out_channels // REDUCTION)
        if not spec.bottleneck:
            width = matched_to_conv(spec, lambda w: _params(spec, w, squeezed))
        else:  # quadratic in the width: look at all up to the output's
            from search_spaces.kinds.conv import conv_params

            target = conv_params(spec)
            width = min(
                range(1, spec.out_channels + 1),
                key=lambda w: abs(_params(spec, w, squeezed) - target),
            )
        return {"width": width, "squeezed": squeezed}

    def arguments(self, spec: BlockSpec) -> dict[str, Any]:
        """What the module is called with."""
        return {**super().arguments(spec), "bottleneck": spec.bottleneck}

    def cost(self, spec: BlockSpec) -> Cost:
        """Exact cost in closed form."""
        width, squeezed = spec.setting("width"), spec.setting("squeezed")
        fan_in, out = spec.in_channels, spec.out_channels
        pixels = spec.map_size**2
        macs = pixels * spec.num_shortcut_weights + 2 * out * squeezed
        if spec.bottleneck:
            macs += spec.in_map_size**2 * fan_in * width
            macs += pixels * (9 * width * width + width * out)
        else:
            macs += pixels * 9 * (fan_in * width + width * out)
        return Cost(_params(spec, width, squeezed), macs)


def _params(spec: BlockSpec, width: int, squeezed: int) -> int:
    fan_in, out = spec.in_channels, spec.out_channels
    if spec.bottleneck:
        convs = fan_in * width + 9 * width * width + width * out
        norms = 2 * fan_in + 4 * width
    else:
        convs = 9 * (fan_in * width + width * out)
        norms = 2 * fan_in + 2 * width
    excitation = 2 * out * squeezed + squeezed + out
    return spec.num_shortcut_weights + convs + norms + excitation
