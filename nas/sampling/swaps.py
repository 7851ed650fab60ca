"""Blocks of swaps: one MSA at the last, a middle and the first slot of a stage.

The placements of a block differ in where that one MSA stands and in nothing else, so
the number of MSAs, the other stages and the seeds are equal, and whatever the rest of
the network does to the metric leaves the difference. Analysed by
:mod:`nas.rule.paired`.
"""

import random
from collections.abc import Iterator, Sequence

from nas.ledger.trial import Trial
from nas.sampling.design import Design
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError
from search_spaces.placement import Placement
from search_spaces.spaces.space import SearchSpace

MAX_MISSES = 1000
"""Draws without a new block after which the design ends (our choice)."""


class SwapDesign(Design):
    """Names the placements of :func:`swap_design`, and which of them are a block.

    Args:
        space: The search space.
        seed: Seed of the draws.

    Raises:
        InputError: No stage has two slots to swap an MSA between.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        self._blocks = swap_blocks(space, seed)
        self._left: list[Architecture] = []
        self._group_of: dict[str, str] = {}

    def propose(self, trials: Sequence[Trial]) -> Architecture | None:
        """The next placement, block by block."""
        if not self._left:
            self._left = list(next(self._blocks, []))
            self._group_of |= {one.id: self._left[0].id for one in self._left}
        return self._left.pop(0) if self._left else None

    def split_group(self, architecture: Architecture) -> str:
        """The id of the first architecture of its block, as the design named it."""
        return self._group_of.get(architecture.id, architecture.id)


def swap_design(space: SearchSpace, seed: int = 0) -> Iterator[Architecture]:
    """The placements of :func:`swap_blocks` one by one.

    Args:
        space: The search space.
        seed: Seed of the draws; the same seed gives the same design.

    Returns:
        Architectures, block by block.

    Raises:
        InputError: No stage has two slots to swap an MSA between.
    """
    return (one for block in swap_blocks(space, seed) for one in block)


def swap_blocks(space: SearchSpace, seed: int = 0) -> Iterator[list[Architecture]]:
    """Blocks of placements that differ in the place of one MSA of one stage.

    Stages take turns. No placement is in two blocks, and every block keeps to the
    constraints of the space as a whole or is not used. A strided first slot takes part
    where the space frees it.

    Args:
        space: The search space.
        seed: Seed of the draws; the same seed gives the same design.

    Returns:
        Blocks: last, middle (drawn, if there are several), first.

    Raises:
        InputError: No stage has two slots to swap an MSA between.
    """
    roles = {
        stage: found
        for stage, depth in enumerate(space.backbone.depths, start=1)
        if len(found := _roles(space, stage, depth)) > 1
    }
    if not roles:
        raise InputError(
            "sampler 'swaps' moves an MSA within a stage: no stage of the space has "
            "two slots that may be either C or M"
        )
    return _walk(space, roles, random.Random(seed))


def _roles(space: SearchSpace, stage: int, depth: int) -> list[list[int]]:
    """Blocks (from 1) that may be the last, a middle and the first of a stage."""

    def free(blocks: range) -> list[int]:
        return [b for b in blocks if {"C", "M"} <= set(space.slot_letters(stage, b))]

    if not free(range(depth, depth + 1)):
        return []  # without the last slot there is nothing to compare
    found = [[depth], free(range(2, depth)), free(range(1, 2)) if depth > 1 else []]
    return [blocks for blocks in found if blocks]


def _walk(
    space: SearchSpace, roles: dict[int, list[list[int]]], rng: random.Random
) -> Iterator[list[Architecture]]:
    used: set[Placement] = set()
    left = list(roles)
    misses = dict.fromkeys(left, 0)
    while left:
        for stage in tuple(left):
            block = None
            while block is None and misses[stage] < MAX_MISSES:
                block = _block(space, stage, roles[stage], rng, used)
                misses[stage] += block is None
            if block is None:
                left.remove(stage)
                continue
            misses[stage] = 0
            used.update(one.placement for one in block)
            yield block


def _block(
    space: SearchSpace,
    stage: int,
    roles: list[list[int]],
    rng: random.Random,
    used: set[Placement],
) -> list[Architecture] | None:
    """A block around a drawn architecture; ``None`` if it has none that is new."""
    drawn = space.sample(rng)
    places = [rng.choice(blocks) for blocks in roles]
    letters = list(drawn.placement.stages[stage - 1])
    if sorted(letters[place - 1] for place in places) != ["C"] * (len(places) - 1) + [
        "M"
    ]:
        return None
    settings = {
        (what, index): rng.choice(list(values))
        for what, per_stage in space.choices.items()
        for index, values in enumerate(per_stage)
    }
    block = []
    for place in places:
        for other in places:
            letters[other - 1] = "M" if other == place else "C"
        stages = list(drawn.placement.stages)
        stages[stage - 1] = "".join(letters)
        one = space.architecture(Placement(tuple(stages)), settings)
        if one.placement in used or not space.contains(one):
            return None
        block.append(one)
    return block
