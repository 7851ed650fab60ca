"""A search's parent, and the space of its placements."""

from typing import Any

from torch import nn

from nas.config import SearchConfig
from nas.config.data import DataConfig
from nas.config.parent import ParentConfig
from nas.data.datasets import Dataset
from search_spaces.architecture import Architecture
from search_spaces.backbone import Backbone
from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError
from search_spaces.parents.load_parent import load_parent
from search_spaces.parents.parent import Parent
from search_spaces.placement import Placement
from search_spaces.spaces.space import SearchSpace


def parent_config(config: SearchConfig) -> ParentConfig:
    """The section ``parent`` of a search that needs one.

    Raises:
        InputError: There is none.
    """
    if config.parent is None:
        raise InputError(
            f"scoring.kind {config.scoring.kind} needs a trained CNN: name it as "
            "parent.model",
            hint="or --from WEIGHTS",
        )
    return config.parent


def read_parent(config: SearchConfig, dataset: Dataset) -> Parent:
    """The parent of a search, with its weights.

    Args:
        config: Has a section ``parent``.
        dataset: Gives classes, channels and size of the images.

    Raises:
        InputError: There is no such network, its weights do not fit, it has no slots,
            or it does not fit the images.
    """
    return load_for_images(parent_config(config), dataset)


def load_for_images(wanted: ParentConfig, dataset: Dataset) -> Parent:
    """A parent for the images of a data set.

    Args:
        wanted: Which, with which weights.
        dataset: Gives classes, channels and size of the images.

    Raises:
        InputError: As for :func:`read_parent`.
    """
    return _load(wanted, dataset.shape)


def _load(wanted: ParentConfig, shape: tuple[int, int, int]) -> Parent:
    if wanted.model is None:
        raise InputError(
            "a parent that the search trains is read from its study; this one is not "
            "trained yet"
        )
    num_classes, in_channels, image_size = shape
    return load_parent(
        wanted.model,
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        weights=wanted.weights,
        pretrained=wanted.pretrained,
        slots=wanted.slots,
    )


def normalisation_note(
    wanted: ParentConfig, parent: nn.Module, data: DataConfig
) -> str:
    """What to say where published weights see images normalised in another way.

    Args:
        wanted: The section ``parent``.
        parent: The network; those of timm know how they were trained.
        data: The section ``data``.

    Returns:
        A line; ``""`` if there is nothing to say.
    """
    published: Any = getattr(parent, "pretrained_cfg", None) or {}
    mean, std = published.get("mean"), published.get("std")
    if not wanted.pretrained or data.mean is not None or None in (mean, std):
        return ""
    return (
        "warning: images are normalised by the mean and standard deviation of the "
        "training images; the published weights were trained with "
        f"data.mean={list(mean)} and data.std={list(std)}"
    )


def space_of(config: SearchConfig, shape: tuple[int, int, int]) -> SearchSpace:
    """The space of a search, found out without its images.

    Args:
        config: Of the search.
        shape: ``(num_classes, in_channels, image_size)`` of the images.

    Raises:
        InputError: Its parts do not fit together, or as for :func:`read_parent`.
    """
    wanted = config.parent
    if wanted is None:
        return config.space.make(*shape)
    if wanted.train:
        matched = {"attention": sized_to_match(config)}
        return config.space.model_copy(update=matched).make(*shape)
    return with_parent(config, _load(wanted, shape)).space.make(*shape)


def sized_to_match(config: SearchConfig) -> dict[str, Any]:
    """Settings of attention: as large as what it replaces, if nothing else is said.

    Args:
        config: Of a search with a parent.
    """
    return {"size": "matched", **config.space.attention}


def with_parent(config: SearchConfig, parent: Parent) -> SearchConfig:
    """The config whose space is that of the parent's placements.

    Blocks are sized to what they replace unless the config says otherwise.

    Args:
        config: Of a search.
        parent: Its parent.

    Returns:
        A config that is read without the parent.

    Raises:
        InputError: It searches settings of attention, for which a block library, with
            one block per slot and letter, has no answer.
    """
    if config.space.choices:
        raise InputError(
            "a block library holds one block per slot and kind, so space.choices must "
            f"be empty with a parent; got {', '.join(config.space.choices)}"
        )
    backbone = parent.backbone
    written = (
        {
            "block": backbone.block,
            "stem": backbone.stem,
            "depths": list(backbone.depths),
            "widths": list(backbone.widths),
            "strides": list(backbone.strides),
        }
        if isinstance(backbone, Backbone)
        else {"parent": backbone.to_dict()}
    )
    space = config.space.model_copy(
        update={"backbone": written, "attention": sized_to_match(config)}
    )
    return config.model_copy(update={"space": space})


def replacements(space: SearchSpace) -> dict[tuple[int, int, str], BlockSpec]:
    """Every block that some placement of the space puts in the place of another.

    Args:
        space: Placements of a parent.

    Returns:
        Its shapes by stage, block and letter.

    Raises:
        InputError: There is none.
    """
    found: dict[tuple[int, int, str], BlockSpec] = {}
    parent = Placement.all_conv(space.backbone.depths)
    for index, slot in enumerate(parent.slots()):
        for letter in space.slot_letters(slot.stage, slot.block):
            if letter != "C":
                swapped = parent.replace(slot.stage, slot.block, letter)
                architecture: Architecture = space.architecture(swapped)
                key = (slot.stage, slot.block, letter)
                found[key] = architecture.block_specs[index]
    if not found:
        raise InputError(
            "the space replaces no block of the parent: all its slots are strided, or "
            "space.kinds is C; space.strided_msas: true frees strided slots"
        )
    return found
