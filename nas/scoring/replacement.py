"""Freshly drawn replacement blocks: where a library begins, and its control.

What a library is worth is told by the same blocks before they were taught anything
(``scoring.replacement: random``).
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn

from nas.scoring.block_library import Key
from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError, shown
from search_spaces.parents.parent import Parent

Replacement = Literal["library", "random"]
"""Where the blocks of other kinds come from."""


def replacement_option(value: object) -> Replacement:
    """Check ``scoring.replacement``.

    Args:
        value: What the config has.

    Raises:
        InputError: It is neither of the two.
    """
    if value == "library":
        return "library"
    if value == "random":
        return "random"
    raise InputError(
        "scoring.replacement is library (blocks taught to imitate the parent's) or "
        f"random (the same blocks, drawn and not taught), got {shown(value)}"
    )


def drawn_block(parent: Parent, key: Key, spec: BlockSpec, seed: int) -> nn.Module:
    """Draw one block; its weights are the same whatever else is drawn.

    Args:
        parent: Of the slot.
        key: Stage, block and letter.
        spec: Shapes of the block.
        seed: With the key, the seed of the weights.

    Returns:
        The block in training mode, as ``Parent.candidate`` gives it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(block_seed(key, seed))
        return parent.candidate(spec)


def block_seed(key: Key, seed: int) -> int:
    """The seed of one block.

    Args:
        key: Stage, block and letter.
        seed: Of all blocks.
    """
    stage, block, letter = key
    return seed + 1_000_003 * stage + 1_009 * block + ord(letter)


def drawn_blocks(
    parent: Parent, wanted: Mapping[Key, BlockSpec], seed: int
) -> dict[Key, nn.Module]:
    """Draw the blocks that a library of this seed starts from.

    Args:
        parent: Of the slots.
        wanted: Shapes by stage, block and letter.
        seed: Of the weights.

    Returns:
        Blocks in eval mode.
    """
    return {
        key: drawn_block(parent, key, spec, seed).eval() for key, spec in wanted.items()
    }
