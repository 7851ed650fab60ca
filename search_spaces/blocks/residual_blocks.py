"""Conv and MSA blocks with one signature, so that either can fill any slot.

All blocks are pre-activation and residual: ``drop_path(branch) + shortcut``. Where
the shape changes, the shortcut is a bare 1x1 conv on the *pre-activated* input;
elsewhere it is the raw input (models/preresnet_dnn_block.py, models/alternet.py).
``shortcut`` and ``drop_path`` are always called, so hooks on them see the skip
tensor and the branch tensor.
"""

from typing import cast

import torch
from torch import Tensor, nn

from search_spaces.blocks.attention import WindowAttention
from search_spaces.blocks.block_spec import BlockSpec
from search_spaces.blocks.strided_conv import StridedConv1x1
from search_spaces.networks.backbone import EXPANSION


class DropPath(nn.Module):
    """Drop a residual branch for whole images at random (Huang et al., 2016).

    Args:
        rate: Probability that an image skips the branch during training.
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Zero the branch of some images and rescale the others; identity in eval.

        Args:
            x: ``(batch, channels, height, width)``.

        Returns:
            A tensor of the same shape.
        """
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        mask = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep)
        return x * mask / keep


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if stride == 1:
        return nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return StridedConv1x1(in_channels, out_channels, stride)


class ConvBlock(nn.Module):
    """Pre-activation residual Conv block, basic or bottleneck.

    Basic: BN-ReLU-3x3(stride), BN-ReLU-3x3. Bottleneck: BN-ReLU-1x1,
    BN-ReLU-3x3(stride), BN-ReLU-1x1. No conv has a bias.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; a bottleneck is a quarter as wide inside.
        bottleneck: Which of the two kinds.
        stride: 1, or 2 to halve the map.
        drop_path: Probability to drop the branch during training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bottleneck: bool,
        stride: int = 1,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.shortcut = _shortcut(in_channels, out_channels, stride)
        self.norm1 = nn.BatchNorm2d(in_channels)
        width = out_channels // (EXPANSION["bottleneck"] if bottleneck else 1)
        # (kernel, in, out, stride) of each conv of the branch
        layers = (
            [
                (1, in_channels, width, 1),
                (3, width, width, stride),
                (1, width, out_channels, 1),
            ]
            if bottleneck
            else [(3, in_channels, width, stride), (3, width, out_channels, 1)]
        )
        branch: list[nn.Module] = []
        for index, (kernel, fan_in, fan_out, step) in enumerate(layers):
            if index:
                branch += [nn.BatchNorm2d(fan_in), nn.ReLU()]
            branch.append(
                nn.Conv2d(
                    fan_in, fan_out, kernel, step, padding=kernel // 2, bias=False
                )
            )
        self.branch = nn.Sequential(*branch)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block.

        Args:
            x: ``(batch, in_channels, height, width)``.

        Returns:
            ``(batch, out_channels, ceil(height / stride), ceil(width / stride))``.
        """
        active = torch.relu(self.norm1(x))
        skip = self.shortcut(x if isinstance(self.shortcut, nn.Identity) else active)
        return cast(Tensor, self.drop_path(self.branch(active)) + skip)


class MSABlock(nn.Module):
    """Pre-activation residual MSA block (``AttentionBlockB`` of the reference).

    BN-GELU-1x1(to the inner width)-BN-WindowAttention. Nothing follows the
    attention: no norm, no activation, no feed-forward; the Conv blocks play that
    part (authors, xxxnell/how-do-vits-work issue 17).

    A strided MSA block halves the map by a 2x2 average pool between the second BN
    and the attention. That is our choice, because the reference fails with a shape
    error there: a pool has no parameters, so counts stay comparable, and every
    pixel reaches the attention, which a strided 1x1 conv would not give.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        bottleneck: Divide the input channels by 4 before the attention.
        heads: Number of heads.
        head_dim: Channels of one head.
        window: Height (= width) of a window; must divide the output map.
        stride: 1, or 2 to halve the map.
        drop_path: Probability to drop the branch during training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bottleneck: bool,
        heads: int,
        head_dim: int,
        window: int,
        stride: int = 1,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        width = in_channels // (EXPANSION["bottleneck"] if bottleneck else 1)
        self.shortcut = _shortcut(in_channels, out_channels, stride)
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.reduce = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        # ceil_mode: an odd map gives the same size as the 1x1/2 shortcut.
        self.pool = nn.AvgPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity()
        self.attention = WindowAttention(
            width, out_channels, heads=heads, head_dim=head_dim, window=window
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block.

        Args:
            x: ``(batch, in_channels, height, width)``.

        Returns:
            ``(batch, out_channels, ceil(height / stride), ceil(width / stride))``.
        """
        active = nn.functional.gelu(self.norm1(x))
        skip = self.shortcut(x if isinstance(self.shortcut, nn.Identity) else active)
        branch = self.attention(self.pool(self.norm2(self.reduce(active))))
        return cast(Tensor, self.drop_path(branch) + skip)


def make_block(
    spec: BlockSpec, *, bottleneck: bool, drop_path: float = 0.0
) -> ConvBlock | MSABlock:
    """Build one block with freshly drawn weights.

    Args:
        spec: Its shapes.
        bottleneck: Kind of the block.
        drop_path: Probability to drop its branch during training.
    """
    if spec.letter == "C":
        return ConvBlock(
            spec.in_channels,
            spec.out_channels,
            bottleneck=bottleneck,
            stride=spec.stride,
            drop_path=drop_path,
        )
    return MSABlock(
        spec.in_channels,
        spec.out_channels,
        bottleneck=bottleneck,
        heads=spec.heads,
        head_dim=spec.head_dim,
        window=spec.window,
        stride=spec.stride,
        drop_path=drop_path,
    )


def conv_block_params(
    in_channels: int, out_channels: int, *, bottleneck: bool, stride: int
) -> int:
    """Parameters of a :class:`ConvBlock`, in closed form."""
    shortcut = in_channels * out_channels
    if stride == 1 and in_channels == out_channels:
        shortcut = 0
    if bottleneck:
        width = out_channels // EXPANSION["bottleneck"]
        convs = in_channels * width + 9 * width * width + width * out_channels
        norms = 2 * in_channels + 4 * width
    else:
        convs = 9 * in_channels * out_channels + 9 * out_channels * out_channels
        norms = 2 * in_channels + 2 * out_channels
    return shortcut + convs + norms


def msa_block_params(
    in_channels: int,
    out_channels: int,
    *,
    bottleneck: bool,
    stride: int,
    heads: int,
    head_dim: int,
    window: int,
) -> int:
    """Parameters of an :class:`MSABlock`, in closed form."""
    shortcut = in_channels * out_channels
    if stride == 1 and in_channels == out_channels:
        shortcut = 0
    width = in_channels // (EXPANSION["bottleneck"] if bottleneck else 1)
    inner = heads * head_dim
    attention = 3 * width * inner + inner * out_channels + out_channels
    norms = 2 * in_channels + 2 * width
    return shortcut + norms + in_channels * width + attention + (2 * window - 1) ** 2


def matched_head_dim(
    in_channels: int,
    out_channels: int,
    *,
    bottleneck: bool,
    stride: int,
    heads: int,
    window: int,
) -> int:
    """The head_dim that brings an MSA block closest to its Conv block's size.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        bottleneck: Kind of both blocks.
        stride: Stride of both blocks.
        heads: Number of heads, kept.
        window: Window of the MSA block.

    Returns:
        At least 1.
    """
    target = conv_block_params(
        in_channels, out_channels, bottleneck=bottleneck, stride=stride
    )

    def size(head_dim: int) -> int:
        return msa_block_params(
            in_channels,
            out_channels,
            bottleneck=bottleneck,
            stride=stride,
            heads=heads,
            head_dim=head_dim,
            window=window,
        )

    per_head_dim = size(2) - size(1)
    guess = max(1, 1 + (target - size(1)) // per_head_dim)
    return min((guess, guess + 1), key=lambda head_dim: abs(size(head_dim) - target))
