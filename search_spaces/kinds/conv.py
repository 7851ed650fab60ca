"""``C``: the Conv block, the parent's own block."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from search_spaces.backbone import EXPANSION
from search_spaces.block_cost import Cost
from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError
from search_spaces.kinds.block_kind import BlockKind

if TYPE_CHECKING:
    from torch import nn


class ConvKind(BlockKind):
    """Pre-activation residual Conv block; it stays where nothing replaces it."""

    letter = "C"
    name = "Conv"
    colour = "#0072B2"  # blue of Okabe & Ito, "Color Universal Design" (2008)
    branch = "conv"

    @property
    def block(self) -> "type[nn.Module]":
        """The module."""
        from search_spaces.blocks.conv_block import ConvBlock

        return ConvBlock

    @property
    def needs(self) -> tuple[Callable[..., Any], ...]:
        """The convs inside."""
        from search_spaces.blocks.conv_block import make_conv_branch

        return (make_conv_branch,)

    def arguments(self, spec: BlockSpec) -> dict[str, Any]:
        """What the module is called with."""
        return {**super().arguments(spec), "bottleneck": spec.bottleneck}

    def build(self, spec: BlockSpec, drop_path: float = 0.0) -> "nn.Module":
        """Build a Conv block; a foreign parent's own block has no shapes to follow.

        Raises:
            InputError: The slot is one of a parent that is no AlterNet.
        """
        if spec.own is not None:
            raise InputError(
                "the parent's own block stays where a placement has a C; it cannot be "
                "built from the shapes of its slot"
            )
        return super().build(spec, drop_path)

    def latency_key(self, spec: BlockSpec) -> str:
        """Its own size is part of what a parent's block is known by."""
        own = f", {spec.own.params} params, {spec.own.macs} MACs" if spec.own else ""
        return super().latency_key(spec) + own

    def cost(self, spec: BlockSpec) -> Cost:
        """Exact cost: the parent's own block as it was counted, ours in closed form."""
        if spec.own is not None:
            return spec.own
        fan_in, out = spec.in_channels, spec.out_channels
        pixels = spec.map_size**2
        macs = pixels * spec.num_shortcut_weights
        if spec.bottleneck:
            width = out // EXPANSION["bottleneck"]
            # The first 1x1 conv runs before the stride.
            macs += spec.in_map_size**2 * fan_in * width
            macs += pixels * (9 * width * width + width * out)
        else:
            macs += pixels * 9 * (fan_in * out + out * out)
        return Cost(conv_params(spec), macs)


def conv_params(spec: BlockSpec) -> int:
    """Parameters of the block that a slot has had, in closed form where it is ours.

    Args:
        spec: The slot; its letter does not matter.
    """
    if spec.own is not None:
        return spec.own.params
    fan_in, out = spec.in_channels, spec.out_channels
    if spec.bottleneck:
        width = out // EXPANSION["bottleneck"]
        convs = fan_in * width + 9 * width * width + width * out
        norms = 2 * fan_in + 4 * width
    else:
        convs = 9 * fan_in * out + 9 * out * out
        norms = 2 * fan_in + 2 * out
    return spec.num_shortcut_weights + convs + norms
