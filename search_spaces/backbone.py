"""The multi-stage network around the placement: stem, block kind, widths, strides."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError, shown
from search_spaces.limits import MAX_BLOCKS, MAX_SIZE

Stem = Literal["imagenet", "cifar", "patch2"]
BlockType = Literal["basic", "bottleneck"]

EXPANSION: dict[str, int] = {"basic": 1, "bottleneck": 4}
"""Output channels of a block divided by the width of its stage (He et al., 2016)."""


@dataclass(frozen=True)
class Backbone:
    """Everything of an architecture except its placement and attention settings.

    Attributes:
        block: ``"basic"`` (two 3x3 convs) or ``"bottleneck"`` (1x1, 3x3, 1x1).
        stem: ``"imagenet"`` (7x7/2 conv and 3x3/2 max pool), ``"cifar"`` (3x3/1 conv)
            or ``"patch2"`` (3x3/2 conv, for nets that train on a CPU).
        depths: Default number of blocks of each stage; a placement overrides it.
        widths: Width of each stage; its blocks put out ``width * EXPANSION`` channels.
        strides: Stride of the first block of each stage; default 1, 2, 2, ...
        name: Name of the preset, or ``""`` for a backbone written out.

    Raises:
        InputError: A value is out of range or the lists differ in length.
    """

    block: BlockType
    stem: Stem
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    strides: tuple[int, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        _check_choice("block", self.block, get_args(BlockType))
        _check_choice("stem", self.stem, get_args(Stem))
        object.__setattr__(self, "depths", _positive("depths", self.depths))
        object.__setattr__(self, "widths", _positive("widths", self.widths))
        if sum(self.depths) > MAX_BLOCKS:
            raise InputError(
                f"a backbone has at most {MAX_BLOCKS} blocks, got {sum(self.depths)}"
            )
        if max(self.widths) > MAX_SIZE:
            raise InputError(
                f"a width is at most {MAX_SIZE} channels, got {max(self.widths)}"
            )
        if len(self.depths) != len(self.widths):
            raise InputError(
                "a backbone needs one depth and one width per stage, "
                f"got depths {list(self.depths)} and widths {list(self.widths)}"
            )
        strides = self.strides or (1,) + (2,) * (len(self.widths) - 1)
        object.__setattr__(self, "strides", _positive("strides", strides))
        if len(self.strides) != len(self.widths):
            raise InputError(
                f"a backbone of {len(self.widths)} stages needs as many strides, "
                f"got {list(self.strides)}"
            )
        if any(stride not in (1, 2) for stride in self.strides):
            raise InputError(f"a stride is 1 or 2, got {list(self.strides)}")
        if self.block == "bottleneck" and any(width % 4 for width in self.widths):
            raise InputError(
                "bottleneck widths are multiples of 4 (the MSA block divides its "
                f"input by 4), got {list(self.widths)}"
            )

    @classmethod
    def preset(cls, name: str, stem: Stem | None = None) -> "Backbone":
        """A backbone by name.

        Args:
            name: One of :data:`PRESETS`.
            stem: Stem to use instead of the preset's own.

        Returns:
            The backbone.

        Raises:
            InputError: There is no such preset or stem.
        """
        if not isinstance(name, str) or name not in PRESETS:
            raise InputError(
                f"unknown backbone preset {shown(name)}; there are {', '.join(PRESETS)}"
            )
        backbone = PRESETS[name]
        return backbone if stem is None else replace(backbone, stem=stem)

    @property
    def stem_width(self) -> int:
        """Channels after the stem: the width of the first stage."""
        return self.widths[0]

    @property
    def expansion(self) -> int:
        """Output channels of a block divided by its stage's width."""
        return EXPANSION[self.block]

    @property
    def num_stages(self) -> int:
        """Number of stages."""
        return len(self.widths)

    @property
    def auto_heads(self) -> tuple[int, ...]:
        """Heads of each stage that ``auto`` means: 3, 6, 12, 24, ... (the paper's)."""
        return tuple(3 * 2**stage for stage in range(self.num_stages))

    @property
    def strided_blocks(self) -> tuple[tuple[int, int], ...]:
        """Stage and number, from 1, of the blocks that halve the map."""
        return tuple(
            (stage, 1) for stage, stride in enumerate(self.strides, 1) if stride > 1
        )

    def slot_specs(
        self, image_size: int, depths: tuple[int, ...]
    ) -> Iterator[BlockSpec]:
        """Shapes of the slots, each with the letter ``C``.

        Args:
            image_size: Height (= width) of the image in pixels.
            depths: Blocks of each stage.

        Yields:
            One a slot, in the order of the forward pass.
        """
        sizes = self.map_sizes(image_size)
        in_size, channels = self.stem_map_size(image_size), self.stem_width
        for stage, depth in enumerate(depths, start=1):
            out = self.widths[stage - 1] * self.expansion
            for block in range(1, depth + 1):
                yield BlockSpec(
                    stage,
                    block,
                    "C",
                    channels,
                    out,
                    self.strides[stage - 1] if block == 1 else 1,
                    in_size,
                    sizes[stage - 1],
                    self.block == "bottleneck",
                )
                in_size, channels = sizes[stage - 1], out

    def stem_map_size(self, image_size: int) -> int:
        """Height (= width) of the map after the stem.

        Args:
            image_size: Height (= width) of the image in pixels.

        Returns:
            The size in pixels.
        """
        size = image_size
        for _ in range({"imagenet": 2, "patch2": 1, "cifar": 0}[self.stem]):
            size = (size + 1) // 2
        return size

    def map_sizes(self, image_size: int) -> tuple[int, ...]:
        """Height (= width) of each stage's feature map.

        Args:
            image_size: Height (= width) of the image in pixels.

        Returns:
            One size per stage, after its first block.

        Raises:
            InputError: The image is too small for so many stages.
        """
        size = self.stem_map_size(image_size)
        sizes = []
        for stride in self.strides:
            if stride == 2 and size < 2:
                raise InputError(
                    f"a {image_size} px image is too small for stem {self.stem} and "
                    f"strides {list(self.strides)}: no pixels are left to subsample; "
                    "use a larger image, a smaller stem or fewer stages"
                )
            size = (size + stride - 1) // stride
            sizes.append(size)
        return tuple(sizes)


def _check_choice(what: str, got: str, allowed: tuple[str, ...]) -> None:
    if got not in allowed:
        raise InputError(f"{what} is one of {', '.join(allowed)}; got {shown(got)}")


def _positive(what: str, values: object) -> tuple[int, ...]:
    if (
        not isinstance(values, (list, tuple))
        or not values
        or any(type(value) is not int or value < 1 for value in values)
    ):
        raise InputError(
            f"{what} is a list of positive whole numbers, got {shown(values)}"
        )
    return tuple(values)


_IMAGENET_WIDTHS = (64, 128, 256, 512)

PRESETS: dict[str, Backbone] = {
    preset.name: preset
    for preset in (
        # He et al. (2016) widths; depths of models/alternet.py, whose 34, 50, 101
        # and 152 have four blocks in stage 4 so that CMCM fits.
        Backbone("basic", "imagenet", (2, 2, 2, 2), _IMAGENET_WIDTHS, name="resnet18"),
        Backbone("basic", "imagenet", (3, 4, 6, 4), _IMAGENET_WIDTHS, name="resnet34"),
        Backbone(
            "bottleneck", "imagenet", (3, 4, 6, 4), _IMAGENET_WIDTHS, name="resnet50"
        ),
        Backbone(
            "bottleneck", "imagenet", (3, 4, 23, 4), _IMAGENET_WIDTHS, name="resnet101"
        ),
        Backbone(
            "bottleneck", "imagenet", (3, 8, 36, 4), _IMAGENET_WIDTHS, name="resnet152"
        ),
        # Our choice: small nets that train in seconds to minutes on one CPU core.
        Backbone("basic", "patch2", (2, 3, 3), (8, 16, 32), name="tiny"),
        Backbone("basic", "patch2", (3, 3, 3), (16, 32, 64), name="small"),
        Backbone(
            "bottleneck", "patch2", (3, 4, 3), (8, 16, 32), name="small_bottleneck"
        ),
    )
}
"""Backbones by name. AlterNet's MSA counts are not part of them: see Placement."""
