"""The pooling block: smooths like an MSA block, but looks at nothing."""

from typing import cast

from torch import Tensor, nn

from search_spaces.blocks.residual import DropPath, make_shortcut


class PoolBlock(nn.Module):
    """Pre-activation residual block whose token mixer is a 3x3 average.

    BN-GELU-1x1(to ``width``)-BN-average-1x1: the frame of the MSA block with the
    average of PoolFormer (Yu et al., "MetaFormer", CVPR 2022; 3x3, border pixels not
    counted) where the attention was. PoolFormer subtracts the input from the average
    because it has no 1x1 convs around it; we do not, because the difference would be
    a high-pass filter, and this block is to be the low-pass control.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        width: Channels that are averaged.
        stride: 1, or 2 to halve the map (the average itself is strided).
        drop_path: Probability to drop the branch during training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int,
        stride: int = 1,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.shortcut = make_shortcut(in_channels, out_channels, stride)
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.expand = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.pool = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        self.project = nn.Conv2d(width, out_channels, 1)
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
        branch = self.project(self.pool(self.norm2(self.expand(active))))
        return cast(Tensor, self.drop_path(branch) + skip)
