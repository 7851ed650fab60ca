"""Local multi-head self-attention on feature maps.

After ``LocalAttention`` and ``Attention2d`` of the reference
(models/alternet.py, models/attentions.py): non-overlapping windows, no shift,
one relative position bias table a block that all heads share.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class WindowAttention(nn.Module):
    """Multi-head self-attention inside non-overlapping square windows.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        heads: Number of heads.
        head_dim: Channels of one head; logits are scaled by ``head_dim ** -0.5``.
        window: Height (= width) of a window; must divide the map.
    """

    relative_index: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        heads: int,
        head_dim: int,
        window: int,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = head_dim
        self.window = window
        inner = heads * head_dim
        # One table for all heads (unlike Swin), init N(0, 0.02): models/alternet.py.
        side = 2 * window - 1
        self.position_bias = nn.Parameter(torch.randn(side, side) * 0.02)
        self.to_q = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.to_kv = nn.Conv2d(in_channels, 2 * inner, 1, bias=False)
        self.to_out = nn.Conv2d(inner, out_channels, 1)
        # Not saved: it follows from the window.
        self.register_buffer(
            "relative_index", relative_position_index(window), persistent=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Attend inside each window.

        Args:
            x: ``(batch, in_channels, height, width)``.

        Returns:
            ``(batch, out_channels, height, width)``.

        Raises:
            ValueError: The window does not divide the map.
        """
        p = self.window
        batch, channels, height, width = x.shape
        if height % p or width % p:
            raise ValueError(
                f"attention windows of {p} px must divide the feature map, got a "
                f"{height}x{width} map: the network takes images of the size it was "
                "built for (image_size)"
            )
        rows, columns = height // p, width // p
        # Channels last, so that a 1x1 conv is one matrix product on the tokens of
        # all windows: (batch * windows, tokens, channels)
        tokens = x.permute(0, 2, 3, 1)
        tokens = tokens.reshape(batch, rows, p, columns, p, channels)
        tokens = tokens.transpose(2, 3).reshape(-1, p * p, channels)
        query = self._split_heads(_conv1x1(self.to_q, tokens))
        key, value = _conv1x1(self.to_kv, tokens).chunk(2, dim=-1)
        # (tokens, tokens), broadcast over windows and heads
        bias = self.position_bias.flatten()[self.relative_index]
        out = functional.scaled_dot_product_attention(
            query,
            self._split_heads(key),
            self._split_heads(value),
            attn_mask=bias.to(query.dtype),  # autocast makes the query half precision
        )
        # (batch * windows, tokens, heads * head_dim)
        out = _conv1x1(self.to_out, out.transpose(1, 2).flatten(2))
        out = out.reshape(batch, rows, columns, p, p, -1).transpose(2, 3)
        return out.reshape(batch, height, width, -1).permute(0, 3, 1, 2)

    def _split_heads(self, x: Tensor) -> Tensor:
        """``(windows, tokens, inner)`` to ``(windows, heads, tokens, head_dim)``."""
        windows, tokens, _ = x.shape
        x = x.reshape(windows, tokens, self.heads, self.head_dim)
        return x.transpose(1, 2)


def _conv1x1(conv: nn.Conv2d, tokens: Tensor) -> Tensor:
    """Apply a 1x1 conv to tokens ``(windows, tokens, channels)``."""
    return functional.linear(tokens, conv.weight.flatten(1), conv.bias)


def relative_position_index(window: int) -> Tensor:
    """Where in the flattened bias table each pair of tokens looks.

    Entry (i, j) belongs to the offset of token j from token i, shifted to start
    at zero (``rel_distance`` of the reference).

    Args:
        window: Height (= width) of the window.

    Returns:
        int64 ``(tokens, tokens)`` indices into the flattened table.
    """
    axis = torch.arange(window)
    rows = axis.repeat_interleave(window)
    columns = axis.repeat(window)
    row_offset = rows[None, :] - rows[:, None] + window - 1
    column_offset = columns[None, :] - columns[:, None] + window - 1
    return row_offset * (2 * window - 1) + column_offset
