"""The Conv block with squeeze-and-excitation."""

from typing import cast

import torch
from torch import Tensor, nn

from search_spaces.blocks.conv_block import make_conv_branch
from search_spaces.blocks.residual import DropPath, make_shortcut


class SqueezeExciteBlock(nn.Module):
    """Pre-activation Conv block whose branch weighs its channels (SE-ResNet).

    The branch of the Conv block, then for each channel a weight from 0 to 1 that two
    linear layers draw from the means of all channels (Hu et al., "Squeeze-and-
    Excitation Networks", CVPR 2018, Figure 3), before the addition.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        bottleneck: Whether the branch is a bottleneck.
        width: Channels inside the branch.
        squeezed: Channels inside the excitation.
        stride: 1, or 2 to halve the map.
        drop_path: Probability to drop the branch during training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bottleneck: bool,
        width: int,
        squeezed: int,
        stride: int = 1,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.shortcut = make_shortcut(in_channels, out_channels, stride)
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.branch = make_conv_branch(
            in_channels, out_channels, width, bottleneck=bottleneck, stride=stride
        )
        self.squeeze = nn.Conv2d(out_channels, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, out_channels, 1)
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
        branch = self.branch(active)
        means = branch.mean((-2, -1), keepdim=True)
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(means))))
        return cast(Tensor, self.drop_path(branch * weights) + skip)
