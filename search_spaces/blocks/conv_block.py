"""The Conv block: basic or bottleneck, pre-activation."""

from typing import cast

import torch
from torch import Tensor, nn

from search_spaces.backbone import EXPANSION
from search_spaces.blocks.residual import DropPath, make_shortcut


def make_conv_branch(
    in_channels: int, out_channels: int, width: int, *, bottleneck: bool, stride: int
) -> nn.Sequential:
    """The convs of a block, BN and ReLU between them, without the first BN-ReLU.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        width: Channels inside.
        bottleneck: 1x1, 3x3(stride), 1x1 instead of 3x3(stride), 3x3.
        stride: 1, or 2 to halve the map.
    """
    # (kernel, in, out, stride) of each conv
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
            nn.Conv2d(fan_in, fan_out, kernel, step, padding=kernel // 2, bias=False)
        )
    return nn.Sequential(*branch)


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
        self.shortcut = make_shortcut(in_channels, out_channels, stride)
        self.norm1 = nn.BatchNorm2d(in_channels)
        width = out_channels // (EXPANSION["bottleneck"] if bottleneck else 1)
        self.branch = make_conv_branch(
            in_channels, out_channels, width, bottleneck=bottleneck, stride=stride
        )
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
