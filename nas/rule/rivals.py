"""Regressors of the rivals that act through the whole placement, not through slots."""

import numpy as np
import numpy.typing as npt

from nas.rule.slot_layout import SlotLayout

Floats = npt.NDArray[np.float64]


def msa_counts(bits: Floats, layout: SlotLayout) -> Floats:
    """MSAs of each stage, ``(rows, stages)``."""
    return np.stack(
        [bits[:, layout.of_stage(stage)].sum(axis=1) for stage in layout.stages], axis=1
    )


def count_squares(bits: Floats, layout: SlotLayout) -> Floats:
    """Squares of the MSA counts of each stage and of the model.

    The slots already carry a straight effect of the count. In a family that always
    fills a stage from its end, "last slot" and "first MSA of the stage" are the same
    thing: then these are collinear with the slots, and nothing can be told.

    Args:
        bits: ``(rows, slots)``, 1 for an MSA.
        layout: The slots.

    Returns:
        ``(rows, stages + 1)``.
    """
    counts = msa_counts(bits, layout)
    return np.concatenate([counts, counts.sum(axis=1, keepdims=True)], axis=1) ** 2


def joint_rivals(bits: Floats, layout: SlotLayout) -> Floats:
    """Square of the MSA count, and adjacent pairs of MSAs.

    With these in the regression a slot's effect is that of an MSA without neighbours:
    a last slot has one neighbour within its stage and a middle slot two, so a penalty
    on neighbours alone makes the last slot the better one. Pairs across a stage's
    border are counted apart, because only some slots have them.

    Args:
        bits: ``(rows, slots)``, 1 for an MSA.
        layout: The slots.

    Returns:
        ``(rows, 3)``.
    """
    pairs = bits[:, :-1] * bits[:, 1:]
    stages = np.array([stage for stage, _ in layout.slots])
    across = stages[:-1] != stages[1:]
    total = bits.sum(axis=1)
    return np.stack(
        [total**2, pairs[:, ~across].sum(axis=1), pairs[:, across].sum(axis=1)], axis=1
    )
