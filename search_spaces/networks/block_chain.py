"""A network as the sequence of residual blocks the paper analyses.

Park & Kim (ICLR 2022, sections 2.2 and 3) ask of every block what it does to the
feature map that passes it: an MSA block and an MLP block are two blocks, the
residual connection included, the CLS token left out. A :class:`BlockChain` says
where in the forward pass each block's tensors are, so that evaluators read them
from hooks while the network runs as it always does.

For a block with a skip connection, *before* is the skip tensor, not the block's
input: at a stage transition the input has another resolution and another number
of channels, while the skip tensor always has the shape of the output.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any, Literal, get_args

from torch import Tensor, nn

from search_spaces.errors import FeatureMapError, InputError
from search_spaces.kinds.block_kind import BranchKind
from search_spaces.kinds.block_kinds import block_kind

MapForm = Callable[[Tensor], Tensor]
"""Brings a tensor of the network into the form ``(batch, channels, height, width)``."""


def channels_first(tensor: Tensor) -> Tensor:
    """Pass a ``(batch, channels, height, width)`` tensor on as it is."""
    return tensor


def channels_last(tensor: Tensor) -> Tensor:
    """Bring ``(batch, height, width, channels)`` to channels first."""
    return tensor.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Tokens:
    """Brings ``(batch, tokens, channels)`` to a square map.

    Attributes:
        num_prefix: Tokens before the image's own, e.g. 1 for a CLS token; dropped,
            as in the paper's notebooks.
    """

    num_prefix: int = 0

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return ``(batch, channels, height, width)``.

        Args:
            tensor: ``(batch, num_prefix + height * width, channels)``.

        Returns:
            The image tokens as a map.

        Raises:
            FeatureMapError: The number of image tokens is not a square number.
        """
        tokens = tensor[:, self.num_prefix :]
        batch, num_tokens, channels = tokens.shape
        side = isqrt(num_tokens)
        if side * side != num_tokens:
            raise FeatureMapError(
                f"tokens must form a square map, got {num_tokens} image tokens; "
                "evaluate the network on square images"
            )
        return tokens.transpose(1, 2).reshape(batch, channels, side, side)


@dataclass(frozen=True)
class Tap:
    """Where a tensor can be read during the forward pass.

    Attributes:
        module: The tensor is its first positional input or its output.
        side: Which of the two.
        form: Brings the tensor to ``(batch, channels, height, width)``.
    """

    module: nn.Module
    side: Literal["input", "output"] = "output"
    form: MapForm = channels_first

    def read(self, tensor: object) -> Tensor:
        """Bring what the hook received to a map.

        Args:
            tensor: Input or output of the module.

        Returns:
            ``(batch, channels, height, width)``.

        Raises:
            FeatureMapError: It is not a tensor of four dimensions.
        """
        feature_map = self.form(tensor) if isinstance(tensor, Tensor) else None
        if feature_map is None or feature_map.ndim != 4:
            got = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor)
            raise FeatureMapError(
                f"a {type(self.module).__name__} block must pass a feature map "
                f"(batch, channels, height, width), got {got}"
            )
        return feature_map


@dataclass(frozen=True)
class ChainBlock:
    """One residual block of a network.

    Attributes:
        name: Module name, e.g. ``"stages.0.2"``; two blocks of one module have
            a suffix, e.g. ``"blocks.3:msa"``.
        kind: What the branch computes.
        stage: Blocks of one stage share a resolution; counts from 1.
        module: The module whose forward pass contains the block.
        before: The skip tensor (the input for blocks without a known skip).
        after: The block's output, residual included.
        branch: The residual branch's output before the addition, if known.
    """

    name: str
    kind: BranchKind
    stage: int
    module: nn.Module
    before: Tap
    after: Tap
    branch: Tap | None = None


@dataclass(frozen=True)
class BlockChain:
    """The blocks of a network in the order of the forward pass.

    Attributes:
        blocks: The blocks.
        prefix: Modules that run before the first block and need not run again
            when it is known what they returned (the stem).
    """

    blocks: tuple[ChainBlock, ...]
    prefix: tuple[nn.Module, ...] = ()

    @classmethod
    def from_names(cls, model: nn.Module, names: Sequence[str]) -> "BlockChain":
        """Build a chain from module names.

        Nothing is known about skip connections then: *before* is the module's
        input, and there is no branch.

        Args:
            model: Any network whose named modules map feature maps to feature maps.
            names: ``"module.name"`` or ``"module.name:kind"``, in the order of the
                forward pass.

        Returns:
            The chain of blocks, all in stage 1.

        Raises:
            InputError: A module or a kind does not exist.
        """
        modules = dict(model.named_modules())
        blocks = []
        for entry in names:
            name, _, kind = entry.partition(":")
            kinds = get_args(BranchKind)
            if kind and kind not in kinds:
                raise InputError(
                    f"a block is named 'module' or 'module:kind' with kind one of "
                    f"{', '.join(kinds)}, got {entry!r}"
                )
            if name not in modules:
                raise InputError(
                    f"the model has no module {name!r}; it has "
                    f"{', '.join(sorted(filter(None, modules))[:12])}, ..."
                )
            block_kind: BranchKind = kind if kind else "other"  # type: ignore[assignment]
            module = modules[name]
            blocks.append(
                ChainBlock(
                    name=name,
                    kind=block_kind,
                    stage=1,
                    module=module,
                    before=Tap(module, "input"),
                    after=Tap(module),
                )
            )
        return cls(tuple(blocks))

    @classmethod
    def of_alternet(cls, model: nn.Module, references: Iterable[Any]) -> "BlockChain":
        """Build the chain of a network that names its own blocks.

        Args:
            model: An AlterNet.
            references: What its ``blocks()`` returns.

        Returns:
            The chain of blocks.
        """
        blocks = tuple(
            ChainBlock(
                name=reference.name,
                kind=block_kind(reference.letter).branch,
                stage=reference.stage,
                module=reference.module,
                before=Tap(reference.module.shortcut),
                after=Tap(reference.module),
                branch=Tap(reference.module.drop_path),
            )
            for reference in references
        )
        stem = getattr(model, "stem", None)
        return cls(blocks, (stem,) if isinstance(stem, nn.Module) else ())

    def of_kind(self, kind: BranchKind) -> list[int]:
        """Positions of the blocks of one kind."""
        return [i for i, block in enumerate(self.blocks) if block.kind == kind]
