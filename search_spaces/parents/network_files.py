"""The network of any architecture, of ours or of another parent, and its weights.

A file ``alternet/1`` says all about its network. A file ``alternet/2`` names the parent
(``timm:NAME``, ...), which is built anew, and must still have the slots of the file.
Weights are a file beside it, under the names that the parent itself gives them: for a
placement of a timm model those that timm knows, with other blocks in some slots.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.errors import InputError
from search_spaces.networks.hybrid import HybridNetwork
from search_spaces.networks.parent_backbone import ParentBackbone, ParentSlot
from search_spaces.parents.load_parent import load_parent
from search_spaces.parents.network_name import PUBLISHERS
from search_spaces.parents.weights import fit_weights, read_weights
from search_spaces.parents.whole_network import network_of

PREFIX = "model."
"""How a :class:`HybridNetwork` itself names the parent's tensors."""


def draw_network(
    architecture: Architecture, plugins: Collection[str] = ()
) -> nn.Module:
    """Build the network of an architecture with drawn weights (seed 0).

    Args:
        architecture: Of a file ``alternet/1`` or ``alternet/2``.
        plugins: Modules whose functions may be called: a parent ``module:function`` is
            code of a user, which a file alone does not run.

    Returns:
        The network in eval mode.

    Raises:
        InputError: The parent cannot be built here, or has other slots by now.
    """
    backbone = architecture.backbone
    if not isinstance(backbone, ParentBackbone) or backbone.is_whole:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return network_of(architecture).eval()
    check_may_run(backbone.model, plugins)
    parent = load_parent(
        backbone.model,
        num_classes=architecture.num_classes,
        in_channels=architecture.in_channels,
        image_size=architecture.image_size,
        slots=[f"{slot.name}:{slot.activation or 'none'}" for slot in backbone.slots],
    )
    found = parent.backbone
    if not isinstance(found, ParentBackbone):
        raise InputError(
            "the parent of an alternet/2 file is timm:NAME, torchvision:NAME or "
            f"module:function, got {backbone.model!r}"
        )
    if found != backbone:
        raise InputError(
            f"the parent {backbone.model} must be as it was when the placement was "
            f"made; {_difference(backbone, found)}: is another version of it installed?"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return parent.network(architecture)


def load_network(
    architecture: Architecture, path: str | Path, plugins: Collection[str] = ()
) -> nn.Module:
    """Build a network and load its weights.

    Args:
        architecture: What to build.
        path: A safetensors file, or what ``torch.save`` wrote.
        plugins: See :func:`draw_network`.

    Returns:
        The network in eval mode.

    Raises:
        InputError: The file is missing or its tensors do not fit.
    """
    model = draw_network(architecture, plugins)
    tensors = read_weights(path)
    if isinstance(model, HybridNetwork):
        wanted = model.model.state_dict()
        if not set(tensors) & set(wanted):  # saved from the HybridNetwork itself
            tensors = {name.removeprefix(PREFIX): t for name, t in tensors.items()}
        fit_weights(model.model, tensors, path)
    else:
        fit_weights(model, tensors, path)
    return model.eval()


def network_tensors(model: nn.Module) -> Mapping[str, Tensor]:
    """The tensors of a network by the names that files give them.

    Args:
        model: An AlterNet, or a placement of another parent.
    """
    owner = model.model if isinstance(model, HybridNetwork) else model
    return dict(owner.state_dict())


def check_may_run(source: str, plugins: Collection[str]) -> None:
    """Check that a parent is built without running code that nobody asked to run.

    Args:
        source: Of a file: ``timm:NAME``, ``torchvision:NAME``, ``module:function``, or
            a directory.
        plugins: Modules that the user has named.

    Raises:
        InputError: It is a function of another module.
    """
    module, colon, _ = source.partition(":")
    if not colon or Path(source).exists() or module in (*PUBLISHERS, *plugins):
        return
    raise InputError(
        f"the parent {source} is a function whose code is run only if you name its "
        f"module yourself (plugins, in Python)",
        hint=f"--plugin {module}",
    )


def _difference(recorded: ParentBackbone, found: ParentBackbone) -> str:
    for ours, theirs in zip(recorded.slots, found.slots, strict=True):
        for field, a, b in zip(ParentSlot._fields, ours, theirs, strict=True):
            if a != b:
                return f"{field} of {ours.name} was {a!r} and is {b!r}"
    return (
        f"params and MACs outside of its slots were {list(recorded.fixed)} and are "
        f"{list(found.fixed)}"
    )
