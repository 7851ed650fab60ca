"""What a letter of a placement stands for.

A kind knows its letter, its name and its colour, how a block of it is built for a
slot, and what that block costs. Whoever meets a letter asks its kind; nobody else
interprets letters.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from search_spaces.block_cost import Cost
from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from search_spaces.kinds.attention import StageAttention

BranchKind = Literal["conv", "msa", "mlp", "other"]
"""What the residual branch of a block computes, as the paper tells blocks apart."""


class BlockKind(ABC):
    """A kind of block; a subclass is registered by ``register_block_kind``.

    Only ``letter``, ``name``, ``colour`` and ``block`` must be given. The module
    ``block`` is called with ``in_channels``, ``out_channels`` and, as keywords,
    ``stride``, ``drop_path`` and the settings of the slot; it maps
    ``(batch, in_channels, height, width)`` to ``(batch, out_channels,
    ceil(height / stride), ceil(width / stride))``, and has submodules ``shortcut``
    and ``drop_path`` that see the skip tensor and the branch (use ``make_shortcut`` and
    ``DropPath`` of :mod:`search_spaces.blocks.residual`).

    Attributes:
        letter: The letter in a placement, ``A`` to ``Z``.
        name: One or two words, e.g. ``Conv``.
        colour: ``#rrggbb`` in figures and on pages.
        branch: What evaluators take the branch for.
        uses_attention: Whether the settings ``attention`` are about this kind.
    """

    letter: ClassVar[str]
    name: ClassVar[str]
    colour: ClassVar[str]
    branch: ClassVar[BranchKind] = "other"
    uses_attention: ClassVar[bool] = False

    @property
    @abstractmethod
    def block(self) -> "type[nn.Module]":
        """The module of one block; its source needs torch and ``needs`` alone."""

    @property
    def needs(self) -> tuple[Callable[..., Any], ...]:
        """Classes and functions that the source of ``block`` refers to.

        They are copied into exports that run without this project; ``DropPath`` and
        ``make_shortcut`` always are.
        """
        return ()

    def settings(
        self, spec: BlockSpec, attention: "StageAttention"
    ) -> Mapping[str, int]:
        """Decide the kind's own settings for a slot.

        Args:
            spec: The slot's shapes; its own settings are still empty.
            attention: Attention settings of the slot's stage.

        Returns:
            Whole numbers by name; keywords of ``block``.

        Raises:
            InputError: The kind does not fit into the slot.
        """
        return {}

    def arguments(self, spec: BlockSpec) -> dict[str, Any]:
        """What ``block`` is called with, ``drop_path`` left out.

        Args:
            spec: The slot.

        Returns:
            Keyword arguments that JSON can hold.
        """
        return {
            "in_channels": spec.in_channels,
            "out_channels": spec.out_channels,
            "stride": spec.stride,
            **dict(spec.settings),
        }

    def build(self, spec: BlockSpec, drop_path: float = 0.0) -> "nn.Module":
        """Build a block with freshly drawn weights.

        Args:
            spec: The slot.
            drop_path: Probability to drop the branch during training.
        """
        return self.block(**self.arguments(spec), drop_path=drop_path)

    def cost(self, spec: BlockSpec) -> Cost:
        """Exact cost of a block.

        Counted on a block without data; kinds that know a closed form override it.

        Args:
            spec: The slot.

        Returns:
            Parameters, and MACs of one image.

        Raises:
            InputError: The block fails in such a slot, or breaks the contract above.
        """
        return _counted(type(self), self, spec._replace(stage=0, block=0))

    def latency_key(self, spec: BlockSpec) -> str:
        """What the time of a block depends on, as text; equal for equal shapes.

        Args:
            spec: The slot; where it stands does not matter.
        """
        kind = "bottleneck" if spec.bottleneck else "basic"
        shapes = (
            f"{kind} {self.letter} {spec.in_channels}x{spec.in_map_size}px to "
            f"{spec.out_channels}x{spec.map_size}px"
        )
        return ", ".join(
            [shapes, *(f"{name} {value}" for name, value in spec.settings)]
        )

    @property
    def ink(self) -> str:
        """Black or white, whichever is easier to read on ``colour`` (WCAG 2.1)."""
        channels = [int(self.colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in channels
        )
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        on_white, on_black = 1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05
        return "#ffffff" if on_white >= on_black else "#000000"


@cache
def _counted(_: type[BlockKind], kind: BlockKind, spec: BlockSpec) -> Cost:
    import torch

    try:
        return _counted_on("meta", kind, spec)
    except Exception:  # a user's block may read its values
        pass
    try:
        with torch.random.fork_rng(devices=[]):
            return _counted_on("cpu", kind, spec)
    except InputError:
        raise
    except Exception as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{_in_slot(kind, spec)} fails: {problem}") from error


def _counted_on(device: str, kind: BlockKind, spec: BlockSpec) -> Cost:
    import torch

    from search_spaces.counting import count_macs, count_params

    with torch.device(device):
        block = kind.build(spec)
        shape = (1, spec.in_channels, spec.in_map_size, spec.in_map_size)
        cost = Cost(count_params(block), count_macs(block, shape))
        block.eval()
        with torch.no_grad():
            out: Any = block(torch.zeros(shape))
    wanted = (1, spec.out_channels, spec.map_size, spec.map_size)
    got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
    if got != wanted:
        raise InputError(
            f"{_in_slot(kind, spec)} must return a map of the shape {wanted}, got {got}"
        )
    for name in ("shortcut", "drop_path"):
        if not isinstance(getattr(block, name, None), torch.nn.Module):
            raise InputError(f"{_in_slot(kind, spec)} has no submodule {name!r}")
    return cost


def _in_slot(kind: BlockKind, spec: BlockSpec) -> str:
    return (
        f"the block of kind {kind.letter} ({kind.name}) for {spec.in_channels} to "
        f"{spec.out_channels} channels, {spec.in_map_size} px and stride {spec.stride}"
    )
