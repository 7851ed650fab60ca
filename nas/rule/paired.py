"""Differences within blocks of placements that differ in the place of one MSA.

Two placements with equal other stages, equal numbers of MSAs and one MSA elsewhere in
one stage share whatever the rest of the network does to the metric. Their difference is
free of it, so its interval is shorter than that of a regression over all placements
wherever slots interact. Where trials have train/validation splits of their own,
placements are compared on the splits that they share, and on no others.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.rule.effect import Effect
from nas.rule.placement_means import PlacementMeans
from nas.rule.slot_layout import SlotLayout
from nas.rule.slot_regression import Estimate
from nas.rule.swap_block import SwapBlock, swap_blocks

MIN_BLOCKS = 3
"""Fewer blocks of a stage give no interval (our choice: two blocks have one degree of
freedom, and an interval 12.7 standard errors to each side)."""


@dataclass(frozen=True)
class PairedEffects:
    """The end of a stage against other places of the same stage, within blocks.

    Attributes:
        num_blocks: Blocks by stage.
        end_of_stage: Last slot minus the mean of the others of its block that are not
            strided, averaged over stages.
        last_over_first: Last minus first, where the first is not strided.
        last_over_middle: Last minus middle.
        last_over_strided: Last minus a strided first.
    """

    num_blocks: dict[int, int]
    end_of_stage: Effect
    last_over_first: Effect
    last_over_middle: Effect
    last_over_strided: Effect

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "num_blocks": {str(stage): n for stage, n in self.num_blocks.items()},
            "end_of_stage": self.end_of_stage.to_dict(),
            "last_over_first": self.last_over_first.to_dict(),
            "last_over_middle": self.last_over_middle.to_dict(),
            "last_over_strided": self.last_over_strided.to_dict(),
        }


def paired_effects(means: PlacementMeans, layout: SlotLayout) -> PairedEffects:
    """Find the blocks of a table and read the differences within them.

    Args:
        means: One row a placement.
        layout: The slots.

    Returns:
        The differences, or why there are none.
    """
    if (means.clusterings and not means.are_swaps) or means.others is not None:
        reason = (
            "rows that share a cluster, and kinds of blocks beside C and "
            "the compared one, are not paired"
        )
        none = Effect(reason=reason)
        return PairedEffects({}, none, none, none, none)
    values = means.by_split or tuple({"": float(mean)} for mean in means.means)
    splits = None if means.by_split is None else [set(one) for one in means.by_split]
    blocks = swap_blocks(means.bits, layout, splits)

    def strided(stage: int) -> list[int]:
        return [i for i in layout.of_stage(stage)[:1] if i in layout.strided]

    num_blocks = {
        stage: sum(block.stage == stage for block in blocks) for stage in layout.stages
    }
    return PairedEffects(
        num_blocks,
        *(
            _difference(blocks, values, layout, find)
            for find in (layout.inner, layout.plain_first, layout.middle, strided)
        ),
    )


def _difference(
    blocks: list[SwapBlock],
    values: Sequence[Mapping[str, float]],
    layout: SlotLayout,
    partners: Callable[[int], list[int]],
) -> Effect:
    """Last minus the mean of the partners, the mean over stages of that over blocks."""
    differences: dict[int, list[float]] = defaultdict(list)
    for block in blocks:
        last = values[block.rows[layout.of_stage(block.stage)[-1]]]
        found = []
        for slot in partners(block.stage):
            if slot in block.rows:
                other = values[block.rows[slot]]
                shared = [
                    last[split] - other[split] for split in last if split in other
                ]
                found.append(sum(shared) / len(shared))
        if found:
            differences[block.stage].append(sum(found) / len(found))
    stages = [s for s, found in differences.items() if len(found) >= MIN_BLOCKS]
    if not stages:
        return Effect(
            reason=f"fewer than {MIN_BLOCKS} blocks of swaps in every stage "
            "(the sampler 'swaps' makes them)"
        )
    means = [float(np.mean(differences[stage])) for stage in stages]
    # Welch (1947, Biometrika 34:28): stages may differ in noise and in blocks
    parts = np.array(
        [np.var(differences[s], ddof=1) / len(differences[s]) for s in stages]
    )
    parts /= len(stages) ** 2
    freedom = np.array([len(differences[stage]) - 1 for stage in stages])
    variance = float(parts.sum())
    # by shares: the squares of variances can be too large or too small for a number
    shares = parts / variance if variance > 0 else parts
    df = 1 / float((shares**2 / freedom).sum()) if variance > 0 else 1.0
    estimate = Estimate(float(np.mean(means)), variance**0.5, df)
    return Effect.of(estimate, tuple(sorted(stages)))
