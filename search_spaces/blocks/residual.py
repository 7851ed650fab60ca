"""What all residual blocks share: the shortcut and the drop path.

All blocks are pre-activation and residual: ``drop_path(branch) + shortcut``. Where
the shape changes, the shortcut is a bare 1x1 conv on the *pre-activated* input;
elsewhere it is the raw input (models/preresnet_dnn_block.py, models/alternet.py).
``shortcut`` and ``drop_path`` are always called, so hooks on them see the skip
tensor and the branch tensor.
"""

from torch import Tensor, nn

from search_spaces.blocks.strided_conv import StridedConv1x1


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
            x: ``(batch, channels, height, width)`` or ``(batch, tokens, channels)``.

        Returns:
            A tensor of the same shape.
        """
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        mask = x.new_empty(len(x), *[1] * (x.ndim - 1)).bernoulli_(keep)
        return x * mask / keep


def make_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The skip connection of a residual block.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: 1, or 2 to halve the map.

    Returns:
        The identity, or a 1x1 conv without bias where the shape changes.
    """
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if stride == 1:
        return nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return StridedConv1x1(in_channels, out_channels, stride)
