"""Residual blocks of timm and torchvision: where their skip and their branch are.

Neither library is imported here: blocks are found by the names of their classes.
DenseNet has none (its layers append their maps instead of adding them), nor have VGG
and Inception.
"""

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class ResidualBlock:
    """How a class of blocks computes ``activation(branch(x) + skip(x))``.

    Attributes:
        branch: Submodules of which the last that the block has is the last step of its
            branch.
        skip: Submodule that brings the input to the shape of the sum; where it is
            ``None`` in the block, the input itself is added.
        activation: Submodule that is applied to the sum, if any.
        residual: Attribute that is true (not ``None``) in the blocks of the class that
            do add their input; ``""`` if all do.
    """

    branch: tuple[str, ...]
    skip: str = ""
    activation: str = ""
    residual: str = ""


_INVERTED = ResidualBlock(("drop_path",), residual="has_skip")

RESIDUAL_BLOCKS: dict[str, ResidualBlock] = {
    "timm.models.resnet.BasicBlock": ResidualBlock(
        ("bn2", "se", "drop_path"), "downsample", "act2"
    ),
    "timm.models.resnet.Bottleneck": ResidualBlock(
        ("bn3", "se", "drop_path"), "downsample", "act3"
    ),
    "timm.models.regnet.Bottleneck": ResidualBlock(
        ("drop_path",), "downsample", "act3", residual="downsample"
    ),
    "timm.models.convnext.ConvNeXtBlock": ResidualBlock(("drop_path",), "shortcut"),
    "timm.models._efficientnet_blocks.InvertedResidual": _INVERTED,
    "timm.models._efficientnet_blocks.DepthwiseSeparableConv": _INVERTED,
    "timm.models._efficientnet_blocks.EdgeResidual": _INVERTED,
    "torchvision.models.resnet.BasicBlock": ResidualBlock(
        ("bn2",), "downsample", "relu"
    ),
    "torchvision.models.resnet.Bottleneck": ResidualBlock(
        ("bn3",), "downsample", "relu"
    ),
    "torchvision.models.regnet.ResBottleneckBlock": ResidualBlock(
        ("f",), "proj", "activation"
    ),
    "torchvision.models.mobilenetv2.InvertedResidual": ResidualBlock(
        ("conv",), residual="use_res_connect"
    ),
    "torchvision.models.mobilenetv3.InvertedResidual": ResidualBlock(
        ("block",), residual="use_res_connect"
    ),
    "torchvision.models.efficientnet.MBConv": ResidualBlock(
        ("stochastic_depth",), residual="use_res_connect"
    ),
    "torchvision.models.efficientnet.FusedMBConv": ResidualBlock(
        ("stochastic_depth",), residual="use_res_connect"
    ),
    "torchvision.models.convnext.CNBlock": ResidualBlock(("stochastic_depth",)),
}
"""By the class of the block."""


def residual_block(block: nn.Module) -> ResidualBlock | None:
    """What is known about a block, ``None`` if its class is unknown or adds nothing."""
    for ancestor in type(block).__mro__:
        name = f"{ancestor.__module__}.{ancestor.__qualname__}"
        known = RESIDUAL_BLOCKS.get(name)
        if known is not None:
            added = not known.residual or getattr(block, known.residual, None)
            # Modules have no truth value of their own: only None and False say no.
            return known if added not in (None, False) else None
    return None


def part(block: nn.Module, name: str) -> nn.Module | None:
    """A submodule of a block, if it has one of that name."""
    found = getattr(block, name, None) if name else None
    return found if isinstance(found, nn.Module) else None
