"""Regressors of the rivals that act through the whole placement, not through slots."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas.rule.slot_layout import SlotLayout

Floats = npt.NDArray[np.float64]


def msa_counts(bits: Floats, layout: SlotLayout) -> Floats:
    """MSAs of each stage, ``(rows, stages)``."""
    return np.stack(
        [bits[:, layout.of_stage(stage)].sum(axis=1) for stage in layout.stages], axis=1
    )


def count_squares(
    bits: Floats, layout: SlotLayout, others: Sequence[Floats] = ()
) -> Floats:
    """Squares of the MSA counts of each stage and of the model.

    The slots already carry a straight effect of the count. In a family that always
    fills a stage from its end, "last slot" and "first MSA of the stage" are the same
    thing: then these are collinear with the slots, and nothing can be told.

    Args:
        bits: ``(rows, slots)``, 1 for an MSA.
        layout: The slots.
        others: The same for each further kind of block.

    Returns:
        ``(rows, stages + 1)``; three times as many columns with further kinds, for
        their count, squared and times that of MSAs, can curve as well.
    """

    def with_total(kind: Floats) -> Floats:
        counts = msa_counts(kind, layout)
        return np.concatenate([counts, counts.sum(axis=1, keepdims=True)], axis=1)

    return _products(with_total(bits), [with_total(other) for other in others])


def total_squares(bits: Floats, others: Sequence[Floats] = ()) -> Floats:
    """Square of the MSA count of the model.

    Args:
        bits: ``(rows, slots)``, 1 for an MSA.
        others: The same for each further kind of block.

    Returns:
        ``(rows, 1)``; ``(rows, 3)`` with further kinds, as in :func:`count_squares`.
    """
    totals = [kind.sum(axis=1, keepdims=True) for kind in (bits, *others)]
    return _products(totals[0], totals[1:])


def _products(own: Floats, others: Sequence[Floats]) -> Floats:
    if not others:
        return np.asarray(own**2)
    rest = np.sum(others, axis=0)
    return np.concatenate([own**2, own * rest, rest**2], axis=1)


def adjacent_pairs(
    bits: Floats, layout: SlotLayout, others: Sequence[Floats] = ()
) -> Floats:
    """Adjacent pairs of MSAs, and of an MSA and another kind of block.

    With these in the regression a slot's effect is that of an MSA without neighbours:
    a last slot has one neighbour within its stage and a middle slot two, so a penalty
    on neighbours alone makes the last slot the better one. Which block of a pair is the
    MSA counts, for no block of its stage comes after a last slot. Pairs across a
    stage's border are counted apart, because only some slots have them.

    Args:
        bits: ``(rows, slots)``, 1 for an MSA.
        layout: The slots.
        others: The same for each further kind of block that is not Conv.

    Returns:
        ``(rows, at most 2 + 4 * others)``: pairs that no row has are left out.
    """
    either = [pair for other in others for pair in ((bits, other), (other, bits))]
    return _pairs([(bits, bits), *either], layout)


def other_pairs(layout: SlotLayout, others: Sequence[Floats]) -> Floats:
    """Adjacent pairs without an MSA, of every two further kinds of block.

    What they do is no rival, but if it is not held, pairs with an MSA take it over.

    Args:
        layout: The slots.
        others: ``(rows, slots)`` for each further kind of block that is not Conv.

    Returns:
        ``(rows, at most 2 * others ** 2)``: pairs that no row has are left out.
    """
    return _pairs([(one, other) for one in others for other in others], layout)


def stage_pairs(bits: Floats, layout: SlotLayout) -> Floats:
    """Adjacent pairs of MSAs of each stage but the last one that has any.

    Beside the pairs of all stages together they are what neighbours do more in this
    stage than in the last.

    Args:
        bits: ``(rows, slots)``, 1 for an MSA.
        layout: The slots.

    Returns:
        ``(rows, at most stages - 1)``.
    """
    pairs, stages, across = bits[:, :-1] * bits[:, 1:], *_borders(layout)
    within = [
        pairs[:, ~across & (stages[:-1] == stage)].sum(axis=1)
        for stage in layout.stages
    ]
    found = np.stack(within, axis=1)
    return np.asarray(found[:, found.any(axis=0)][:, :-1])


def _pairs(kinds: Sequence[tuple[Floats, Floats]], layout: SlotLayout) -> Floats:
    _, across = _borders(layout)
    columns = []
    for before, after in kinds:
        pairs = before[:, :-1] * after[:, 1:]
        columns += [pairs[:, ~across].sum(axis=1), pairs[:, across].sum(axis=1)]
    found = np.stack(columns, axis=1)
    return np.asarray(found[:, found.any(axis=0)])


def _borders(layout: SlotLayout) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.bool_]]:
    """Stage of each slot, and whether the next slot is of another stage."""
    stages = np.array([stage for stage, _ in layout.slots])
    return stages, stages[:-1] != stages[1:]
