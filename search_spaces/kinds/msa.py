"""``M``: the multi-head self-attention (MSA) block."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from search_spaces.backbone import EXPANSION
from search_spaces.block_cost import Cost
from search_spaces.block_spec import BlockSpec
from search_spaces.kinds.attention import StageAttention, resolve_window
from search_spaces.kinds.block_kind import BlockKind
from search_spaces.kinds.matched_size import matched_to_conv

if TYPE_CHECKING:
    from torch import nn


class MSAKind(BlockKind):
    """Windowed multi-head self-attention (``AttentionBlockB`` of the reference)."""

    letter = "M"
    name = "MSA"
    colour = "#E69F00"  # orange of Okabe & Ito, "Color Universal Design" (2008)
    branch = "msa"
    uses_attention = True

    @property
    def block(self) -> "type[nn.Module]":
        """The module."""
        from search_spaces.blocks.msa_block import MSABlock

        return MSABlock

    @property
    def needs(self) -> tuple[Callable[..., Any], ...]:
        """The attention inside."""
        from search_spaces.blocks import window_attention as parts

        return (parts.relative_position_index, parts._conv1x1, parts.WindowAttention)

    def settings(self, spec: BlockSpec, attention: StageAttention) -> Mapping[str, int]:
        """Heads, channels of a head and window."""
        window = resolve_window(attention.window, spec.map_size, spec.stage)
        heads, head_dim = attention.heads, attention.head_dim
        if attention.size == "matched":
            head_dim = matched_to_conv(
                spec,
                lambda size: msa_params(spec, heads, size, window),
            )
        return {"heads": heads, "head_dim": head_dim, "window": window}

    def arguments(self, spec: BlockSpec) -> dict[str, Any]:
        """What the module is called with."""
        return {**super().arguments(spec), "bottleneck": spec.bottleneck}

    def cost(self, spec: BlockSpec) -> Cost:
        """Exact cost in closed form."""
        heads, head_dim, window = map(spec.setting, ("heads", "head_dim", "window"))
        width = _inner_width(spec)
        inner = heads * head_dim
        pixels = spec.map_size**2
        macs = pixels * spec.num_shortcut_weights
        macs += spec.in_map_size**2 * spec.in_channels * width
        macs += pixels * (3 * width * inner + inner * spec.out_channels)
        macs += pixels * 2 * window**2 * inner  # query-key and weight-value products
        return Cost(msa_params(spec, heads, head_dim, window), macs)

    def latency_key(self, spec: BlockSpec) -> str:
        """As in tables that were measured before there were other kinds."""
        shapes = super().latency_key(spec._replace(settings=()))
        heads, head_dim, window = map(spec.setting, ("heads", "head_dim", "window"))
        return f"{shapes}, {heads}x{head_dim}, window {window}"


def msa_params(spec: BlockSpec, heads: int, head_dim: int, window: int) -> int:
    """Parameters of an MSA block, in closed form.

    Args:
        spec: The slot; its letter and settings do not matter.
        heads: Number of heads.
        head_dim: Channels of one head.
        window: Height (= width) of a window.
    """
    width = _inner_width(spec)
    inner = heads * head_dim
    attention = 3 * width * inner + inner * spec.out_channels + spec.out_channels
    norms = 2 * spec.in_channels + 2 * width
    reduce = spec.in_channels * width
    table = (2 * window - 1) ** 2
    return spec.num_shortcut_weights + norms + reduce + attention + table


def _inner_width(spec: BlockSpec) -> int:
    return spec.in_channels // (EXPANSION["bottleneck"] if spec.bottleneck else 1)
