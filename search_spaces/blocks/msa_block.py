"""The MSA block."""

from typing import cast

from torch import Tensor, nn

from search_spaces.backbone import EXPANSION
from search_spaces.blocks.residual import DropPath, make_shortcut
from search_spaces.blocks.window_attention import WindowAttention


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
        self.shortcut = make_shortcut(in_channels, out_channels, stride)
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
