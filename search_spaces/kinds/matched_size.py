"""Blocks of another kind as large as the block they replace.

Placement and size can only be told apart where a block that is replaced keeps its
number of parameters (our choice; the paper has no such control).
"""

from collections.abc import Callable

from search_spaces.block_spec import BlockSpec
from search_spaces.kinds.conv import conv_params


def matched_to_conv(spec: BlockSpec, params: Callable[[int], int]) -> int:
    """The setting that brings a block closest to the block its slot has had.

    Args:
        spec: The slot.
        params: Parameters of the block for a value of the setting; grows linearly.

    Returns:
        At least 1. Whole values leave a gap of at most half of ``params(2) -
        params(1)``, unless a value of 1 is too large already.
    """
    target = conv_params(spec)
    step = params(2) - params(1)
    guess = max(1, 1 + (target - params(1)) // step)
    return min((guess, guess + 1), key=lambda value: abs(params(value) - target))
