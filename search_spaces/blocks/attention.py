"""Local multi-head self-attention on feature maps, and its settings.

After ``LocalAttention`` and ``Attention2d`` of the reference
(models/alternet.py, models/attentions.py): non-overlapping windows, no shift,
one relative position bias table a block that all heads share.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.errors import InputError

Size = Literal["reference", "matched"]
Setting = int | Literal["auto"]

MAX_AUTO_WINDOW = 7
"""Largest window ``auto`` picks: the reference's default (models/alternet.py)."""


@dataclass(frozen=True)
class Attention:
    """Settings of the MSA blocks; a tuple holds one value a stage.

    Attributes:
        heads: Number of heads, or ``"auto"``: 3, 6, 12, 24, ... from stage to stage
            (the paper's rule 3, more heads in later stages; models/alternet.py).
        head_dim: Channels of one head; ignored where ``size`` is ``"matched"``.
        window: Height (= width) of a window in feature-map pixels, or ``"auto"``:
            the largest one from 2 to 7 that divides the stage's map, or the whole
            map where none does.
        size: ``"reference"`` uses ``heads * head_dim`` channels inside the
            attention, as the paper does (1.47 times the parameters of the
            bottleneck it replaces). ``"matched"`` keeps the heads and picks, for
            each block, the head_dim that brings the block's parameter count
            closest to that of the Conv block it replaces, so that placement and
            size can be told apart (our choice; the paper has no such control).

    Raises:
        InputError: A value is out of range.
    """

    heads: Setting | tuple[Setting, ...] = "auto"
    head_dim: int | tuple[int, ...] = 64
    window: Setting | tuple[Setting, ...] = "auto"
    size: Size = "reference"

    def __post_init__(self) -> None:
        for what in ("heads", "head_dim", "window"):
            value = getattr(self, what)
            if isinstance(value, list):
                value = tuple(value)
                object.__setattr__(self, what, value)
            values = value if isinstance(value, tuple) else (value,)
            for one in values:
                if one == "auto" and what != "head_dim":
                    continue
                if type(one) is not int or one < 1:
                    allowed = "" if what == "head_dim" else " or auto"
                    raise InputError(
                        f"attention.{what} is a positive whole number{allowed}, or a "
                        f"list with one a stage; got {value!r}"
                    )
        if self.size not in get_args(Size):
            raise InputError(
                f"attention.size is one of {', '.join(get_args(Size))}; "
                f"got {self.size!r}"
            )

    def per_stage(self, num_stages: int) -> "Attention":
        """The same settings with one value a stage and automatic heads decided.

        Args:
            num_stages: Stages of the backbone.

        Returns:
            Settings whose heads, head_dim and window are tuples.

        Raises:
            InputError: A setting lists another number of stages.
        """
        spread = {}
        for what in ("heads", "head_dim", "window"):
            value = getattr(self, what)
            values = value if isinstance(value, tuple) else (value,) * num_stages
            if len(values) != num_stages:
                raise InputError(
                    f"attention.{what} needs one value, or one a stage "
                    f"({num_stages}); got {len(values)}: {list(values)}"
                )
            spread[what] = values
        spread["heads"] = tuple(
            3 * 2**stage if heads == "auto" else heads
            for stage, heads in enumerate(spread["heads"])
        )
        return replace(self, **spread)  # type: ignore[arg-type]


def fitting_windows(map_size: int) -> list[int]:
    """Windows that tile a feature map of that height (= width)."""
    return [window for window in range(1, map_size + 1) if map_size % window == 0]


def resolve_window(window: Setting, map_size: int, stage: int) -> int:
    """The window used on a map, with ``auto`` decided.

    Args:
        window: Requested window.
        map_size: Height (= width) of the stage's map.
        stage: Stage, from 1 (for the message).

    Returns:
        A window that divides the map.

    Raises:
        InputError: The window does not divide the map.
    """
    fitting = fitting_windows(map_size)
    if window == "auto":
        in_range = [size for size in fitting if 2 <= size <= MAX_AUTO_WINDOW]
        return max(in_range, default=map_size)
    if window not in fitting:
        raise InputError(
            f"a window must divide the feature map: window {window} does not divide "
            f"the {map_size}x{map_size} map of stage {stage}; "
            f"windows that fit: {', '.join(map(str, fitting))}, or auto"
        )
    return window


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
        """
        p = self.window
        batch, channels, height, width = x.shape
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
