"""Do trials fail more where an MSA stands? A crash is an outcome too."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.rule.effect import holm
from nas.rule.letters import letters_of
from nas.rule.placement_table import PlacementTable
from nas.rule.slot_layout import SlotLayout


@dataclass(frozen=True)
class SlotFailures:
    """Failed and complete trials by the letter of one slot.

    Attributes:
        stage: Stage, from 1.
        block: Block of the stage, from 1.
        failed_msa: Trials with the compared letter here that failed, or ended without
            the metric.
        num_msa: These and complete trials with the compared letter here.
        failed_conv: The same with a C here.
        num_conv: These and complete trials with a C here.
        p: Fisher's exact test of equal shares, two-sided.
        p_holm: The same after Holm's correction for all slots.
    """

    stage: int
    block: int
    failed_msa: int
    num_msa: int
    failed_conv: int
    num_conv: int
    p: float
    p_holm: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return dict(vars(self))


def slot_failures(table: PlacementTable) -> tuple[SlotFailures, ...]:
    """Count failures by slot; nothing if no trial failed.

    Trials count one by one: two seeds of a placement that cannot be built fail
    together, so a small p-value may be about few placements.

    Args:
        table: The checked table.

    Returns:
        One entry a slot.
    """
    if not table.failures:
        return ()
    from scipy import stats  # half a second to import, for tables with failures

    failed, done = letters_of(table.failures), table.letters
    counts = []
    for slot in range(done.shape[1]):
        counts.append(
            [
                [int((part[:, slot] == letter).sum()) for part in (failed, done)]
                for letter in (table.letter, "C")
            ]
        )
    p_values = [float(stats.fisher_exact(np.array(two)).pvalue) for two in counts]
    return tuple(
        SlotFailures(
            stage, block, msa[0], sum(msa), conv[0], sum(conv), p, corrected
        )
        for (stage, block), (msa, conv), p, corrected in zip(
            SlotLayout(table.depths).slots, counts, p_values, holm(p_values),
            strict=True,
        )
    )  # fmt: skip
