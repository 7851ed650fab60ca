"""The block chain of any network that is known."""

from collections.abc import Sequence

from torch import nn

from search_spaces.errors import InputError
from search_spaces.networks.block_chain import BlockChain
from search_spaces.networks.foreign_chains import foreign_chain, known_models
from search_spaces.networks.hybrid import HybridNetwork


def chain_of(model: nn.Module, names: Sequence[str] = ()) -> BlockChain:
    """Split a network into its blocks.

    Args:
        model: An AlterNet, a placement of another parent, a model one of the
            adapters of :mod:`search_spaces.networks.foreign_chains` knows, or any
            other if ``names`` are given.
        names: Blocks by hand, see :meth:`BlockChain.from_names`.

    Returns:
        The chain of blocks.

    Raises:
        InputError: Nothing is known about the model and no names are given.
    """
    if names:
        return BlockChain.from_names(model, names)
    if isinstance(model, HybridNetwork):
        return model.chain()
    blocks = getattr(model, "blocks", None)
    if callable(blocks) and not isinstance(blocks, nn.Module):
        return BlockChain.of_alternet(model, blocks())
    chain = foreign_chain(model)
    if chain is None:
        raise InputError(
            f"cannot split a {type(model).__name__} into blocks; known are "
            f"AlterNet, {', '.join(known_models())}; for another model name its "
            "blocks by hand (option `blocks`, e.g. ['layer1.0:conv', ...])"
        )
    return chain
