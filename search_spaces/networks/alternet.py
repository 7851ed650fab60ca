"""The network an Architecture describes.

Forward order and parameter order are those of ``AlterNet`` in
models/alternet.py of xxxnell/how-do-vits-work, so that its weights load here by
position.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from search_spaces.backbone import Stem


class BlockRef(NamedTuple):
    """One residual block of a network; stage and block count from 1."""

    name: str
    stage: int
    block: int
    letter: str
    module: nn.Module


class Head(nn.Module):
    """BN, ReLU, global average pool, linear (``BNGAPBlock`` of the reference).

    Args:
        in_channels: Channels of the last stage.
        num_classes: Number of logits.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.linear = nn.Linear(in_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Classify feature maps.

        Args:
            x: ``(batch, in_channels, height, width)``.

        Returns:
            Logits ``(batch, num_classes)``.
        """
        return cast(Tensor, self.linear(torch.relu(self.norm(x)).mean((-2, -1))))


def make_stem(kind: Stem, in_channels: int, out_channels: int) -> nn.Sequential:
    """The layers before the first stage; no norm follows them (``StemB``).

    Args:
        kind: ``"imagenet"``, ``"cifar"`` or ``"patch2"``.
        in_channels: Channels of the image.
        out_channels: Width of the first stage.

    Returns:
        A sequence that starts with a conv without bias.
    """
    kernel, stride = {"imagenet": (7, 2), "cifar": (3, 1), "patch2": (3, 2)}[kind]
    layers: list[nn.Module] = [
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride,
            padding=kernel // 2,
            bias=False,
        )
    ]
    if kind == "imagenet":
        layers.append(nn.MaxPool2d(3, stride=2, padding=1))
    return nn.Sequential(*layers)


class AlterNet(nn.Module):
    """A multi-stage network of blocks of several kinds.

    Built by :meth:`search_spaces.Architecture.build`.

    Args:
        stem: Layers before the first stage.
        stages: The blocks of each stage.
        letters: The letters of the kinds of the blocks, one string per stage.
        head: Maps the last feature map to logits.

    Attributes:
        stem: ``(batch, in_channels, image_size, image_size)`` to the first map.
        stages: ``stages[i][j]`` is block j + 1 of stage i + 1.
        head: Last feature map to logits ``(batch, num_classes)``.
    """

    def __init__(
        self,
        stem: nn.Sequential,
        stages: Sequence[Sequence[nn.Module]],
        letters: Sequence[str],
        head: Head,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(nn.ModuleList(stage) for stage in stages)
        self.head = head
        self.letters = tuple(letters)

    def blocks(self) -> list[BlockRef]:
        """All residual blocks in the order of the forward pass."""
        return [
            BlockRef(
                f"stages.{i}.{j}",
                i + 1,
                j + 1,
                letter,
                module,
            )
            for i, stage in enumerate(self.stages)
            for j, (letter, module) in enumerate(
                zip(self.letters[i], cast(nn.ModuleList, stage), strict=True)
            )
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Classify images.

        Args:
            x: ``(batch, in_channels, height, width)``.

        Returns:
            Logits ``(batch, num_classes)``.
        """
        x = self.stem(x)
        for stage in self.stages:
            for block in cast(nn.ModuleList, stage):
                x = block(x)
        return cast(Tensor, self.head(x))
