"""Networks that are trained as they are: no placement changes them.

A network of timm, of torchvision or our own ViT takes the place of an AlterNet in
trainings and comparisons. It is written as a parent whose one slot is the whole
network, filled with its own block: the placement is ``C``, the file ``alternet/2``,
and ledgers, configs and exports hold it like any other architecture.
"""

import math
from typing import TYPE_CHECKING, Any

from search_spaces.architecture import Architecture
from search_spaces.block_cost import Cost
from search_spaces.counting import count_macs, count_params
from search_spaces.errors import InputError, one_line, shown
from search_spaces.networks.parent_backbone import ParentBackbone, ParentSlot
from search_spaces.parents.network_name import parse_network
from search_spaces.parents.timm_models import import_timm
from search_spaces.parents.torchvision_models import torchvision_model
from search_spaces.placement import Placement

if TYPE_CHECKING:
    from torch import nn


def build_network(
    source: str,
    *,
    num_classes: int,
    in_channels: int,
    image_size: int,
    drop_path: float = 0.0,
    pretrained: bool = False,
) -> "nn.Module":
    """Build a network with weights drawn from torch's global generator.

    Args:
        source: See :func:`parse_network`.
        num_classes: Number of logits; a pretrained network keeps its own.
        in_channels: Channels of the image.
        image_size: Height (= width) of the image in pixels.
        drop_path: Largest probability to drop a branch in training.
        pretrained: Let timm or torchvision find the published weights.

    Returns:
        The network in training mode.

    Raises:
        InputError: The library is missing, there is no such network, or it cannot be
            built with these options for these images.
    """
    library, name, options = parse_network(source)
    if library == "vit":
        return _vit(source, options, num_classes, in_channels, image_size, drop_path)
    if library == "timm":
        return _timm(
            name, options, num_classes, in_channels, image_size, drop_path, pretrained
        )
    if in_channels != 3:
        raise InputError(
            f"networks of torchvision take 3 channels; the images have {in_channels}; "
            "timm:NAME takes any number"
        )
    if drop_path:
        raise InputError(
            "training.drop_path must be 0 for networks of torchvision, got "
            f"{drop_path:g}"
        )
    return torchvision_model(name, num_classes, pretrained, options)


def _vit(
    source: str,
    options: dict[str, Any],
    num_classes: int,
    in_channels: int,
    image_size: int,
    drop_path: float,
) -> "nn.Module":
    from search_spaces.networks.vit import ViT

    known = ("patch", "width", "depth", "heads", "mlp_ratio", "reach")
    for key in options:
        if key not in known:
            raise InputError(
                f"a vit has no option {shown(key)}; it has {', '.join(known)}"
            )
    return ViT(
        **{"patch": default_patch(image_size), **options},
        image_size=image_size,
        in_channels=in_channels,
        num_classes=num_classes,
        drop_path=drop_path,
    )


def default_patch(image_size: int) -> int:
    """Patch that cuts images into about 8x8 tokens, those of the paper's Conv-ViT.

    Args:
        image_size: Height (= width) of the image in pixels.

    Returns:
        The divisor of the size for which the map of tokens is nearest to 8x8 (by the
        ratio; the larger map of two as near).
    """
    divisors = [d for d in range(1, image_size + 1) if image_size % d == 0]
    return min(divisors, key=lambda d: (abs(math.log(image_size / d / 8)), d))


def _timm(
    name: str,
    options: dict[str, Any],
    num_classes: int,
    in_channels: int,
    image_size: int,
    drop_path: float,
    pretrained: bool,
) -> "nn.Module":
    timm = import_timm(name)
    wanted = {"pretrained": pretrained, **options, "in_chans": in_channels}
    if not pretrained:  # the published classes must stay
        wanted["num_classes"] = num_classes
    if drop_path:
        wanted["drop_path_rate"] = drop_path
    try:
        try:
            model: nn.Module = timm.create_model(name, img_size=image_size, **wanted)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            # Convolutional models take images of any size.
            model = timm.create_model(name, **wanted)
    except Exception as error:  # whatever its constructor dislikes
        if pretrained and isinstance(error, (OSError, RuntimeError)):
            reason = one_line(error, 200)
            raise InputError(
                f"the published weights of {name!r} cannot be loaded, they are "
                f"downloaded from the Hugging Face hub: {reason}"
            ) from error
        raise InputError(
            f"timm cannot build {name!r} for {image_size} px images: "
            f"{one_line(error, 200)}; choose another image size, or "
            "options such as patch_size",
            hint="--set data.image_size=...",
        ) from error
    return model


def whole_network(
    source: str, *, num_classes: int, in_channels: int, image_size: int
) -> Architecture:
    """The architecture that stands for a network as it is.

    Args:
        source: See :func:`parse_network`.
        num_classes: Number of logits.
        in_channels: Channels of the image.
        image_size: Height (= width) of the image in pixels.

    Returns:
        An architecture with the placement ``C``; two spellings of one network are
        equal.

    Raises:
        InputError: It cannot be built, or does not map such images to logits.
    """
    import torch

    library, name, options = parse_network(source)
    entries = [f"{key}={_written(options[key])}" for key in sorted(options)]
    canonical = ",".join([f"{library}:{name}" if name else library, *entries])
    with torch.random.fork_rng(devices=[]):
        model = build_network(
            canonical,
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
        ).eval()
    shape = (2, in_channels, image_size, image_size)
    try:
        with torch.no_grad():
            logits = model(torch.zeros(shape))
        got = tuple(logits.shape)
    except (RuntimeError, AssertionError, ValueError, AttributeError) as error:
        raise InputError(
            f"{source} cannot take images of {in_channels} channels and {image_size} "
            f"px: {one_line(error, 160)}"
        ) from error
    if got != (2, num_classes):
        raise InputError(
            f"a network maps 2 images to logits (2, {num_classes}); {source} gives "
            f"{got}"
        )
    model.requires_grad_(True)
    params = count_params(model)
    model.requires_grad_(False)  # the counter's hooks fail on views of weights
    macs = count_macs(model, (1, *shape[1:]))
    slot = ParentSlot(
        "", 1, in_channels, num_classes, 1, image_size, 1, False, params, macs
    )
    backbone = ParentBackbone(canonical, (slot,), Cost(0, 0), image_size)
    return Architecture(
        backbone,
        Placement.parse("C"),
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
    )


def _written(value: Any) -> str:
    """A value as :func:`parse_network` reads it: lists without blanks or quotes."""
    if isinstance(value, list):
        return f"[{','.join(_written(one) for one in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def network_of(architecture: Architecture, drop_path: float = 0.0) -> "nn.Module":
    """Build any architecture that needs no parent's weights.

    Args:
        architecture: An AlterNet, or a whole network.
        drop_path: Largest probability to drop a branch in training.

    Returns:
        The network in training mode, with weights drawn from torch's global generator.

    Raises:
        InputError: It is a placement of a parent, or cannot be built here.
    """
    backbone = architecture.backbone
    if not (isinstance(backbone, ParentBackbone) and backbone.is_whole):
        return architecture.build(drop_path=drop_path)
    if str(architecture.placement) != "C":
        raise InputError(
            f"{backbone.model} is trained as it is: its placement is C, got "
            f"{architecture.placement}"
        )
    return build_network(
        backbone.model,
        num_classes=architecture.num_classes,
        in_channels=architecture.in_channels,
        image_size=architecture.image_size,
        drop_path=drop_path,
    )
