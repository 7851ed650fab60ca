"""Parents by name: ``timm:NAME``, ``torchvision:NAME``, ``module:function``, ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.errors import InputError, one_line
from search_spaces.own_module import import_own_module
from search_spaces.parents.alternet_parent import AlterNetParent
from search_spaces.parents.module_parent import ModuleParent
from search_spaces.parents.network_name import LIBRARIES
from search_spaces.parents.parent import Parent
from search_spaces.parents.weights import fit_weights, read_weights
from search_spaces.parents.whole_network import build_network

_PROBE = "nas probe CONFIG --to FILE fits a last layer to the classes of the images"

WEIGHT_FILES = ("weights.safetensors", "model.safetensors")
"""Beside the architecture.yaml of a trial and of an export."""


def load_parent(
    source: str,
    *,
    num_classes: int,
    in_channels: int,
    image_size: int,
    weights: str | Path | None = None,
    pretrained: bool = False,
    slots: Sequence[str] | None = None,
) -> Parent:
    """Build a parent and load its weights.

    Args:
        source: ``timm:NAME``, ``torchvision:NAME``, ``module:function`` (a function
            without arguments that returns the network; its code is run), a directory
            that ``nas export`` wrote or ``STUDY/trials/NUMBER``, or the architecture
            file of an AlterNet.
        num_classes: Number of logits.
        in_channels: Channels of the image.
        image_size: Height (= width) of the image in pixels.
        weights: File of weights; drawn from seed 0 if there is none.
        pretrained: Let timm or torchvision find the published weights.
        slots: See :class:`ModuleParent`.

    Returns:
        The parent in eval mode.

    Raises:
        InputError: There is no such network, its weights do not fit, or it has no
            slots.
    """
    path = Path(source)
    if path.is_dir() or path.suffix in (".yaml", ".yml"):
        parent: Parent = _alternet(path, source, weights)
    else:
        model = parent_network(
            source,
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
            pretrained=pretrained,
        )
        if weights is not None:
            tensors = read_weights(weights)
            _check_classes(model, tensors, weights)
            fit_weights(model, tensors, weights)
        parent = ModuleParent(
            model, source, image_size=image_size, in_channels=in_channels, slots=slots
        )
    wanted = (num_classes, in_channels, image_size)
    got = (parent.num_classes, parent.in_channels, parent.image_size)
    if wanted != got:
        raise InputError(
            f"the images have {num_classes} classes, {in_channels} channels and "
            f"{image_size} px; the parent {source} is for {got[0]}, {got[1]} and "
            f"{got[2]}",
            hint=_PROBE if got[1:] == wanted[1:] else "",
        )
    return parent


def last_layer(model: nn.Module) -> str | None:
    """Name of the last linear layer of a network, ``None`` if it has none."""
    names = [name for name, one in model.named_modules() if type(one) is nn.Linear]
    return names[-1] if names else None


def _check_classes(
    model: nn.Module, tensors: Mapping[str, Tensor], where: str | Path
) -> None:
    """Say it plainly where weights are of other classes than the images."""
    layer = last_layer(model)
    wanted = model.state_dict().get(f"{layer}.weight")
    got = tensors.get(f"{layer}.weight")
    if wanted is None or got is None or got.ndim != 2:
        return
    if got.shape[0] != wanted.shape[0] and got.shape[1] == wanted.shape[1]:
        raise InputError(
            f"the weights of {where} answer with {got.shape[0]} classes, the images "
            f"have {wanted.shape[0]}",
            hint=_PROBE,
        )


def parent_network(
    source: str,
    *,
    num_classes: int,
    in_channels: int,
    image_size: int,
    pretrained: bool = False,
) -> nn.Module:
    """Build a network that is not ours; weights are drawn from seed 0.

    Args:
        source: ``timm:NAME`` or ``torchvision:NAME``, with options as ``,key=value``,
            or ``module:function``.
        num_classes: Number of logits; published weights, and what a function returns,
            keep their own.
        in_channels: Channels of the image.
        image_size: Height (= width) of the image in pixels.
        pretrained: Let timm or torchvision find the published weights.

    Returns:
        The network.

    Raises:
        InputError: There is no such network.
    """
    module, colon, name = source.partition(":")
    if not colon or not name:
        raise InputError(
            "a parent is timm:NAME, torchvision:NAME, module:function, or the "
            f"directory of an export or a trial; got {source!r}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if module not in LIBRARIES:
            return _function(module, name)
        return build_network(
            source,
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
            pretrained=pretrained,
        )


def _alternet(path: Path, source: str, weights: str | Path | None) -> Parent:
    file = path / "architecture.yaml" if path.is_dir() else path
    architecture = Architecture.from_yaml(file)
    beside = [file.parent / name for name in WEIGHT_FILES] if path.is_dir() else []
    found = weights or next((one for one in beside if one.is_file()), None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = architecture.build()
    if found is None and path.is_dir():
        raise InputError(
            f"a trained parent has weights beside its architecture.yaml "
            f"({' or '.join(WEIGHT_FILES)}); {path} has none"
        )
    if found is not None:
        fit_weights(model, read_weights(found), found)
    return AlterNetParent(architecture, model, source)


def _function(module: str, name: str) -> nn.Module:
    try:
        function = getattr(import_own_module(module), name)
    except Exception as error:  # whatever the user's module does
        problem = one_line(error)
        raise InputError(
            "a parent module:function is a function that can be imported from here or "
            f"is installed; {module}:{name}: {problem}"
        ) from error
    try:
        model = function()
    except Exception as error:  # whatever the user's function does
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            "a parent module:function is called without arguments; "
            f"{module}:{name} fails with {problem}"
        ) from error
    if not isinstance(model, nn.Module):
        raise InputError(
            f"a parent module:function returns a torch.nn.Module; {module}:{name} "
            f"returned a {type(model).__name__}"
        )
    return model
