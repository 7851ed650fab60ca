"""A parent's network in which some blocks are of other kinds."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from search_spaces.kinds.block_kinds import block_kind
from search_spaces.networks.alternet import BlockRef
from search_spaces.networks.block_chain import BlockChain, ChainBlock, Tap
from search_spaces.networks.residual_blocks import part, residual_block

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "hardswish": nn.Hardswish,
    "leakyrelu": nn.LeakyReLU,
    "elu": nn.ELU,
    "mish": nn.Mish,
}
"""What may follow the sum of a post-activation block."""


class Activated(nn.Module):
    """A block, then the activation that follows the sum in a post-activation parent.

    The blocks of this project are pre-activation: their sum is their output. The next
    block of a post-activation parent has only ever seen activated maps.

    Args:
        block: The block; has the submodules ``shortcut`` and ``drop_path``.
        activation: One of :data:`ACTIVATIONS`.
    """

    def __init__(self, block: nn.Module, activation: str) -> None:
        super().__init__()
        self.block = block
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Apply block and activation.

        Args:
            x: ``(batch, in_channels, height, width)``.

        Returns:
            What the block returns, activated.
        """
        return cast(Tensor, self.activation(self.block(x)))


class HybridNetwork(nn.Module):
    """The network of a placement of a foreign parent.

    Args:
        model: The parent's network, its blocks replaced already.
        block_names: Module names of its slots in the order of the forward pass.
        letters: Letters of the slots, one text a stage.
    """

    def __init__(
        self, model: nn.Module, block_names: Sequence[str], letters: Sequence[str]
    ) -> None:
        super().__init__()
        self.model = model
        self.block_names = tuple(block_names)
        self.letters = tuple(letters)

    def blocks(self) -> list[BlockRef]:
        """The blocks in its slots in the order of the forward pass."""
        names = iter(self.block_names)
        return [
            BlockRef(
                f"model.{name}", stage, block, letter, self.model.get_submodule(name)
            )
            for stage, letters in enumerate(self.letters, start=1)
            for block, letter in enumerate(letters, start=1)
            for name in [next(names)]
        ]

    def chain(self) -> BlockChain:
        """Where evaluators read skip, branch and output of each block."""
        return BlockChain(tuple(_chain_block(one) for one in self.blocks()))

    def forward(self, x: Tensor) -> Tensor:
        """Classify images.

        Args:
            x: ``(batch, in_channels, height, width)``.

        Returns:
            Logits ``(batch, num_classes)``.
        """
        return cast(Tensor, self.model(x))


def _chain_block(one: BlockRef) -> ChainBlock:
    block = one.module
    before: Tap
    branch: Tap | None
    if one.letter != "C":
        inner = block.block if isinstance(block, Activated) else block
        before = Tap(cast(nn.Module, inner.shortcut))
        branch = Tap(cast(nn.Module, inner.drop_path))
    else:
        known = residual_block(block)
        skip = part(block, known.skip) if known else None
        parts = [part(block, name) for name in known.branch] if known else []
        ends = [module for module in parts if module is not None]
        before = Tap(block, "input") if skip is None else Tap(skip)
        branch = Tap(ends[-1]) if ends else None
    return ChainBlock(
        name=one.name,
        kind=block_kind(one.letter).branch,
        stage=one.stage,
        module=block,
        before=before,
        after=Tap(block),
        branch=branch,
    )
