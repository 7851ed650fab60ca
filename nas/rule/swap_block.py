"""Rows that differ in the place of one MSA of one stage, and in nothing else.

What the sampler ``swaps`` makes on purpose, and what other designs hold by chance.
"""

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.rule.slot_layout import SlotLayout

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SwapBlock:
    """Rows that differ in where one MSA of one stage stands.

    Attributes:
        stage: The stage, from 1.
        rows: Row by the slot that has the MSA.
    """

    stage: int
    rows: dict[int, int]


def swap_blocks(
    bits: Floats, layout: SlotLayout, splits: Sequence[Set[str]] | None = None
) -> list[SwapBlock]:
    """Blocks among the rows: the last slot of a stage and others have one MSA.

    No row is in two blocks, so that blocks are independent. Rows that follow one
    another go first: the blocks of the sampler ``swaps`` are found again as it made
    them.

    Args:
        bits: ``(rows, slots)``, distinct rows, 1 where the slot has an MSA.
        layout: The slots.
        splits: The train/validation splits of each row; a row that shares none with
            the last slot's is not in its block.

    Returns:
        The blocks; each has its last slot and at least another one.
    """
    found: list[SwapBlock] = []
    packed = np.packbits(bits > 0, axis=1)
    # a row as one number: with an MSA taken out it names what the row shares
    numbers = [int.from_bytes(row.tobytes(), "big") for row in packed]
    places = [1 << (8 * packed.shape[1] - 1 - slot) for slot in range(bits.shape[1])]
    for stage in layout.stages:
        *others, last = layout.of_stage(stage)
        families: dict[int, dict[int, int]] = defaultdict(dict)
        for row, number in enumerate(numbers):
            for slot in (*others, last):
                if number & places[slot]:
                    families[number ^ places[slot]][slot] = row
        middles = set(layout.middle(stage))
        for rows in families.values():
            if last not in rows:
                continue
            if splits is not None:
                own = splits[rows[last]]
                rows = {
                    s: row for s, row in rows.items() if not own.isdisjoint(splits[row])
                }
            chosen = {last: rows[last]}
            # of several middle slots the one that was trained next to the last one
            for slot in sorted(set(rows) - {last}, key=lambda one: rows[one]):
                if slot not in middles or middles.isdisjoint(chosen):
                    chosen[slot] = rows[slot]
            if len(chosen) > 1:
                found.append(SwapBlock(stage, chosen))
    found.sort(key=lambda block: (_is_scattered(block), max(block.rows.values())))
    used: set[int] = set()
    kept = []
    for block in found:
        if used.isdisjoint(block.rows.values()):
            used.update(block.rows.values())
            kept.append(block)
    return kept


def _is_scattered(block: SwapBlock) -> bool:
    """Whether other rows lie between those of the block."""
    rows = block.rows.values()
    return max(rows) - min(rows) >= len(rows)
