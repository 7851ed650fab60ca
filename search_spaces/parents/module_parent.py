"""Any ``nn.Module`` as a parent, its slots found by running it once."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.block_cost import Cost
from search_spaces.block_spec import BlockSpec
from search_spaces.counting import count_macs, count_params
from search_spaces.errors import InputError, one_line
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.networks.hybrid import ACTIVATIONS, Activated, HybridNetwork
from search_spaces.networks.parent_backbone import ParentBackbone, ParentSlot
from search_spaces.networks.residual_blocks import part, residual_block
from search_spaces.parents.parent import Candidates, Parent, replace_modules

SLOT_RULE = (
    "a slot is a block that is called once and maps (batch, channels, height, width) "
    "to a map of the same size, or of half of it at stride 2"
)


class ModuleParent(Parent):
    """A network of timm, torchvision or a user.

    Args:
        model: The network; maps ``(batch, in_channels, image_size, image_size)`` to
            logits. All its weights are made trainable: whether they were frozen says
            nothing about what the size of a block is, or what is fine-tuned.
        source: ``timm:NAME``, ``torchvision:NAME`` or ``module:function``.
        image_size: Height (= width) of the images in pixels.
        in_channels: Channels of the image.
        slots: Module names of the blocks. ``NAME:ACTIVATION`` says what follows the
            sum of a block (``relu``, ``silu``, ..., ``none``); without it, that is
            known from the block's class, else ``relu`` where a block never puts out a
            negative value. ``None`` finds the residual blocks of timm and torchvision.

    Raises:
        InputError: There are no slots, one of them is none, or another block in its
            place would change nothing; or the network is random in eval mode.
    """

    def __init__(
        self,
        model: nn.Module,
        source: str,
        *,
        image_size: int,
        in_channels: int = 3,
        slots: Sequence[str] | None = None,
    ) -> None:
        self.model = model.eval()
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.requires_grad_(True)
        self.source = source
        self.image_size = image_size
        self.in_channels = in_channels
        named = _found(model, source) if slots is None else _listed(model, slots)
        images = _noise(in_channels, image_size)
        maps, logits = _run(model, images, list(named), source)
        _check_replaceable(model, _noise(in_channels, image_size), logits, maps, source)
        _check_own_weights(model, list(maps), source)
        if logits.ndim != 2:
            raise InputError(
                f"a parent maps images to logits (batch, classes); {source} gives "
                f"{tuple(logits.shape)}"
            )
        self.num_classes = int(logits.shape[1])
        found: list[ParentSlot] = []
        stage = 0
        for name, (inside, outside) in maps.items():
            block = model.get_submodule(name)
            activation = named[name]
            if activation is None:
                activation = _activation(block, outside)
            shape = _slot_shape(name, inside, outside)
            if not found or _changes_stage(found[-1], name, shape):
                stage += 1
            found.append(
                ParentSlot(
                    name,
                    stage,
                    *shape,
                    _is_bottleneck(block, shape[1]),
                    count_params(block),
                    count_macs(block, (1, *inside.shape[1:])),
                    activation,
                )
            )
        total = Cost(count_params(model), count_macs(model, (1, *images.shape[1:])))
        own = Cost(sum(s.params for s in found), sum(s.macs for s in found))
        fixed = Cost(total.params - own.params, total.macs - own.macs)
        self._backbone = ParentBackbone(source, tuple(found), fixed, image_size)

    @property
    def backbone(self) -> ParentBackbone:
        """Its slots."""
        return self._backbone

    @property
    def block_names(self) -> tuple[str, ...]:
        """Module names of the blocks in its slots."""
        return tuple(slot.name for slot in self._backbone.slots)

    def candidate(self, spec: BlockSpec, drop_path: float = 0.0) -> nn.Module:
        """A block of the kind, then the activation that follows the parent's sum."""
        block = block_kind(spec.letter).build(spec, drop_path)
        slot = self._backbone.slots[self.slots.index((spec.stage, spec.block))]
        if not slot.activation:
            return block
        return Activated(block, slot.activation)

    def network(
        self, architecture: Architecture, candidates: Candidates | None = None
    ) -> HybridNetwork:
        """Build the network of a placement; see :meth:`Parent.network`."""
        self._check(architecture)
        model = deepcopy(self.model)
        replace_modules(model, self._replacements(architecture, candidates))
        return HybridNetwork(
            model, self.block_names, architecture.placement.stages
        ).eval()


def _found(model: nn.Module, source: str) -> dict[str, str | None]:
    """Residual blocks of known classes, with nothing said about activations."""
    named: dict[str, str | None] = {
        name: None
        for name, module in model.named_modules()
        if residual_block(module) is not None
    }
    if not named:
        raise InputError(
            f"a parent needs residual blocks of a known class, or its slots listed by "
            f"name (parent.slots); {source}, a {type(model).__name__}, has none: "
            f"{SLOT_RULE}"
        )
    return named


def _listed(model: nn.Module, slots: Sequence[str]) -> dict[str, str | None]:
    modules = dict(model.named_modules())
    named: dict[str, str | None] = {}
    for entry in slots:
        name, colon, activation = entry.partition(":")
        if not name or name not in modules:
            raise InputError(
                f"parent.slots are names of modules; the network has no {name!r}; it "
                f"has {', '.join(sorted(filter(None, modules))[:8])}, ..."
            )
        if colon and activation not in (*ACTIVATIONS, "none"):
            raise InputError(
                f"the activation of a slot is one of {', '.join(ACTIVATIONS)} or none; "
                f"got {entry!r}"
            )
        if name in named or any(
            name.startswith(f"{other}.") or other.startswith(f"{name}.")
            for other in named
        ):
            raise InputError(f"parent.slots do not overlap; got {name!r} twice")
        named[name] = ("" if activation == "none" else activation) if colon else None
    if not named:
        raise InputError("parent.slots names at least one block, got none")
    return named


def _noise(in_channels: int, image_size: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (2, in_channels, image_size, image_size)
    return torch.randn(shape, generator=generator)


def _run(
    model: nn.Module, images: Tensor, names: list[str], source: str
) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
    """Inputs and outputs of the blocks on two noise images, in the order they run."""
    maps: dict[str, tuple[Tensor, Tensor]] = {}
    problems: list[str] = []

    def listen(name: str, inputs: tuple[object, ...], output: object) -> None:
        ok = len(inputs) == 1 and isinstance(inputs[0], Tensor)
        if name in maps:
            problems.append(f"{name} is called more than once")
        elif not ok or not isinstance(output, Tensor):
            problems.append(f"{name} does not map one tensor to one tensor")
        else:
            maps[name] = cast(Tensor, inputs[0]).clone(), output.clone()

    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: listen(name, inputs, output)
        )
        for name in names
    ]
    try:
        with torch.no_grad():
            logits = model(images)
    except Exception as error:  # the network may be anybody's code
        raise InputError(
            f"{source} cannot take images {tuple(images.shape[1:])}: "
            f"{one_line(error, 160)}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    problems += [f"{name} is never called" for name in names if name not in maps]
    if problems:
        raise InputError(f"{SLOT_RULE}; in {source} {problems[0]}")
    if not isinstance(logits, Tensor):
        raise InputError(
            "a parent returns one tensor of logits (batch, classes); "
            f"{source} returns a {type(logits).__name__}"
        )
    return maps, logits


class _StandIn(nn.Module):
    """Does what a block does, and counts."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return cast(Tensor, self.block(x))


def _check_replaceable(
    model: nn.Module,
    images: Tensor,
    logits: Tensor,
    names: Iterable[str],
    source: str,
) -> None:
    """See that what stands in for the blocks is called, and gives the same logits.

    Raises:
        InputError: A placement of the network would not be the network that it says.
    """
    own = {name: model.get_submodule(name) for name in names}
    others = {name: _StandIn(block) for name, block in own.items()}
    replace_modules(model, others)
    try:
        with torch.no_grad():
            again = model(images)
    except Exception as error:  # the network may be anybody's code
        raise InputError(
            f"{SLOT_RULE}; {source} fails with other modules in its slots: "
            f"{one_line(error, 160)}"
        ) from error
    finally:
        replace_modules(model, own)
    for name, other in others.items():
        if other.calls != 1:
            raise InputError(
                f"{SLOT_RULE}; in {source} another block in the place of {name} is not "
                "called: the network must call what is registered under that name (a "
                "list of modules is a torch.nn.ModuleList)"
            )
    if not torch.equal(again.nan_to_num(), logits.nan_to_num()):
        raise InputError(
            "a parent in eval mode gives the same images the same logits; "
            f"{source} does not (dropout without training=self.training?)"
        )


def _check_own_weights(model: nn.Module, names: list[str], source: str) -> None:
    """See that no slot shares parameters: its size is what goes when it is replaced."""
    owners: dict[int, str] = {}
    inside: set[int] = set()
    for name in names:
        block = model.get_submodule(name)
        inside |= {id(module) for module in block.modules()}
        for parameter in block.parameters():
            other = owners.setdefault(id(parameter), name)
            if other != name:
                raise InputError(_shared(source, name, other))
    for place, module in model.named_modules():
        for parameter in module._parameters.values():
            if id(module) not in inside and id(parameter) in owners:
                raise InputError(_shared(source, owners[id(parameter)], place or "it"))


def _shared(source: str, name: str, other: str) -> str:
    return (
        f"a slot has parameters of its own; in {source} {name} shares some with {other}"
    )


def _slot_shape(
    name: str, inside: Tensor, outside: Tensor
) -> tuple[int, int, int, int, int]:
    """Input and output channels, stride, and both map sizes.

    Raises:
        InputError: It is not the signature of a slot.
    """
    shapes = f"{tuple(inside.shape[1:])} to {tuple(outside.shape[1:])}"
    if inside.ndim != 4 or outside.ndim != 4:
        raise InputError(f"{SLOT_RULE}; {name} maps {shapes}")
    if inside.shape[2] != inside.shape[3] or outside.shape[2] != outside.shape[3]:
        raise InputError(f"maps of slots are square; {name} maps {shapes}")
    size, out_size = inside.shape[2], outside.shape[2]
    for stride in (1, 2):
        if out_size == (size + stride - 1) // stride:
            return inside.shape[1], outside.shape[1], stride, size, out_size
    raise InputError(f"{SLOT_RULE}; {name} maps {shapes}")


def _changes_stage(
    last: ParentSlot, name: str, shape: tuple[int, int, int, int, int]
) -> bool:
    _, channels, stride, _, size = shape
    same_holder = last.name.rpartition(".")[0] == name.rpartition(".")[0]
    return (
        stride != 1
        or (last.out_channels, last.map_size) != (channels, size)
        # MobileNets keep all blocks in one sequence, others every stage in its own.
        or not same_holder
    )


def _is_bottleneck(block: nn.Module, out_channels: int) -> bool:
    convs = (m for m in block.modules() if isinstance(m, nn.Conv2d))
    first = next(convs, None)
    return first is not None and 2 * first.out_channels <= out_channels


def _activation(block: nn.Module, outside: Tensor) -> str:
    """Name of what follows the sum."""
    known = residual_block(block)
    if known is None:
        return "relu" if bool((outside >= 0).all()) else ""
    module = part(block, known.activation)
    if module is None or isinstance(module, nn.Identity):
        return ""
    name = type(module).__name__.lower()
    if name not in ACTIVATIONS:
        raise InputError(
            f"the activation after a block is one of {', '.join(ACTIVATIONS)}; "
            f"a {type(block).__name__} of this parent has {type(module).__name__}"
        )
    return name
