"""Which comparisons of slots make up the rule and its rivals.

Every function returns slot weights, made only of slots that the rows can compare: a
slot that never varied has no effect to compare, and two slots that always changed
together cannot be told apart. All but :func:`ends` sum to zero.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.rule.slot_design import SlotDesign
from nas.rule.slot_layout import SlotLayout

Floats = npt.NDArray[np.float64]

NO_TREND = "the last slots cannot be told from a trend over depth"


@dataclass(frozen=True, eq=False)
class Contrast:
    """A weighted comparison of slots.

    Attributes:
        weights: Weight of each slot, ``(slots,)``; ``None`` if nothing can be compared.
        stages: The stages that take part, from 1.
        reason: Why there are no weights, or ``""``.
    """

    weights: Floats | None
    stages: tuple[int, ...] = ()
    reason: str = ""


def end_of_stage(
    design: SlotDesign, layout: SlotLayout, stages: Iterable[int] | None = None
) -> Contrast:
    """Last slot minus the mean of the others of its stage, averaged over stages.

    Strided first slots are on neither side: the paper's code cannot build an MSA
    there. A stage needs two other slots for this.

    Args:
        design: Tells which slots can be compared.
        layout: The slots.
        stages: Stages to average over; default all.

    Returns:
        The contrast over the stages in which the last slot can be compared.
    """
    return _last_minus(
        design,
        layout,
        layout.inner,
        "in no stage was the last slot varied apart from another slot that is not "
        "a strided first one",
        stages,
    )


def end_of_stage_with_strided(design: SlotDesign, layout: SlotLayout) -> Contrast:
    """The same comparison with the strided first slots among the others."""
    return _last_minus(
        design,
        layout,
        lambda stage: layout.of_stage(stage)[:-1],
        "in no stage was the last slot varied apart from another slot",
    )


def last_over_first(
    design: SlotDesign, layout: SlotLayout, stages: Iterable[int] | None = None
) -> Contrast:
    """Last slot minus the first, of stages whose first slot is not strided.

    Where no stage has such a first slot, the strided ones are taken.
    """
    return _last_minus(
        design,
        layout,
        layout.first_to_beat,
        "in no stage was the last slot varied apart from a first one"
        + " without a stride" * bool(layout.first_unstrided),
        stages,
    )


def last_over_middle(
    design: SlotDesign, layout: SlotLayout, stages: Iterable[int] | None = None
) -> Contrast:
    """Last slot minus those that are neither first nor last."""
    return _last_minus(
        design,
        layout,
        layout.middle,
        "in no stage was the last slot varied apart from a middle one",
        stages,
    )


def last_over_strided(design: SlotDesign, layout: SlotLayout) -> Contrast:
    """Last slot minus the strided first one."""

    def strided(stage: int) -> list[int]:
        first, *rest = layout.of_stage(stage)
        return [first] if rest and first in layout.strided else []

    return _last_minus(
        design,
        layout,
        strided,
        "in no stage was the last slot varied apart from a strided first one",
    )


def strided_over_middle(design: SlotDesign, layout: SlotLayout) -> Contrast:
    """Strided first slots minus the middle ones; where a stage has none, the last."""
    total = np.zeros(layout.num_slots)
    used = []
    for index in layout.strided:
        stage = layout.slots[index][0]
        others = [
            other
            for other in layout.middle(stage) or layout.of_stage(stage)[1:]
            if design.estimable(layout.unit(index) - layout.unit(other))
        ]
        if others:
            total += layout.unit(index) - layout.unit(others)
            used.append(stage)
    if not used:
        return Contrast(
            None, (), "no strided first slot was varied apart from another one"
        )
    return Contrast(total / len(used), tuple(used))


def _last_minus(
    design: SlotDesign,
    layout: SlotLayout,
    others_of: Callable[[int], list[int]],
    reason: str,
    stages: Iterable[int] | None = None,
) -> Contrast:
    total = np.zeros(layout.num_slots)
    used = []
    for stage in layout.stages if stages is None else stages:
        last = layout.of_stage(stage)[-1]
        if last in layout.strided:
            continue  # its effect is that of the stride as well
        others = [
            other
            for other in others_of(stage)
            if design.estimable(layout.unit(last) - layout.unit(other))
        ]
        if others:
            total += layout.unit(last) - layout.unit(others)
            used.append(stage)
    if not used:
        return Contrast(None, (), reason)
    return Contrast(total / len(used), tuple(used))


def ends(design: SlotDesign, layout: SlotLayout) -> Contrast:
    """Mean effect of the last slots: whether an MSA at the ends helps at all."""
    found = [index for index in layout.last if design.estimable(layout.unit(index))]
    if not found:
        return Contrast(None, (), "the effect of no last slot can be told")
    stages = tuple(layout.slots[index][0] for index in found)
    return Contrast(layout.unit(found), stages)


def end_of_model(design: SlotDesign, layout: SlotLayout) -> Contrast:
    """Mean of the slots of the late stages minus that of the early ones.

    Late and early are the last and the first half of the stages; of an odd number the
    middle stage is neither (our choice: no stage then counts as both).

    Args:
        design: Tells which slots can be compared.
        layout: The slots.

    Returns:
        The contrast over the largest set of slots that can be compared.
    """
    half = len(layout.depths) // 2
    if half == 0:
        return Contrast(None, (), "one stage has no early and late stages")
    num = len(layout.depths)
    early = [i for s in range(1, half + 1) for i in layout.of_stage(s)]
    late = [i for s in range(num - half + 1, num + 1) for i in layout.of_stage(s)]
    best: tuple[list[int], list[int]] = ([], [])
    for group in comparable(design, layout, early + late):
        pair = ([i for i in early if i in group], [i for i in late if i in group])
        if all(pair) and sum(map(len, pair)) > sum(map(len, best)):
            best = pair
    if not all(best):
        return Contrast(
            None, (), "no slot of an early stage was varied apart from a late one"
        )
    slots = layout.slots
    stages = sorted({slots[i][0] for part in best for i in part})
    return Contrast(layout.unit(best[1]) - layout.unit(best[0]), tuple(stages))


def beyond_depth(
    design: SlotDesign, layout: SlotLayout, stage_levels: bool
) -> Contrast:
    """How much the last slots stand above the rivals that are trends over slots.

    "The later in the model, the better" and "strided first blocks are bad places" both
    make the last slot better than the others of its stage, and together more so. Here
    the slot effects are fitted by a line over the block's number, a level for strided
    first slots and a step for last slots; the contrast is that step.

    Args:
        design: Tells which slots can be compared.
        layout: The slots.
        stage_levels: Give each stage its own level, the slope being common.

    Returns:
        The contrast over the largest set of slots that can be compared.
    """
    group = max(
        comparable(design, layout, range(layout.num_slots)), key=len, default=[]
    )
    if not group:
        return Contrast(None, (), NO_TREND)
    last = layout.is_one_of(layout.last)[group]
    rest = np.stack(_trends(layout, group, stage_levels), axis=1)
    step = _residual(last, rest)
    if float(step @ step) < 1e-9:
        return Contrast(None, (), NO_TREND)
    weights = np.zeros(layout.num_slots)
    weights[group] = step / (step @ step)
    stages = {layout.slots[i][0] for i in group}
    return Contrast(weights, tuple(sorted(stages)))


def slopes_over_depth(design: SlotDesign, layout: SlotLayout) -> list[Floats]:
    """How much better the next block is, ends and first blocks aside.

    Args:
        design: Tells which slots can be compared.
        layout: The slots.

    Returns:
        Slot weights of the slope of a line over the block's number, from slots that
        are neither last nor unstrided first ones (strided ones have a level of their
        own), so that neither ends nor edges pass for a trend. Where those do not tell
        (stages of two blocks), two slopes: one without the last, one without the
        first slots. Empty where nothing tells.
    """
    group = max(
        comparable(design, layout, range(layout.num_slots)), key=len, default=[]
    )
    last, first = set(layout.last), set(layout.first_unstrided)
    for parts in ((last | first,), (last, first)):
        found = []
        for apart in parts:
            part = [index for index in group if index not in apart]
            if len(part) < 2:
                continue
            levels = [
                layout.is_one_of(kind)[part] for kind in (layout.strided, layout.last)
            ]
            line = np.array(part, dtype=float)
            left = _residual(line, np.stack([np.ones(len(part)), *levels], axis=1))
            if float(left @ left) > 1e-9:
                weights = np.zeros(layout.num_slots)
                weights[part] = left / (left @ left)
                found.append(weights)
        if found:
            return found
    return []


def stage_levels_off_line(design: SlotDesign, layout: SlotLayout) -> list[Floats]:
    """The ways in which stages can lie off the line, last and strided slots aside.

    Args:
        design: Tells which slots can be compared.
        layout: The slots.

    Returns:
        Orthonormal slot weights, each orthogonal to a line over depth, to the strided
        first slots and to the last ones.
    """
    group = max(
        comparable(design, layout, range(layout.num_slots)), key=len, default=[]
    )
    if not group:
        return []
    rest = _trends(layout, group, False) + [layout.is_one_of(layout.last)[group]]
    levels = [
        layout.is_one_of(layout.of_stage(stage))[group] for stage in layout.stages
    ]
    off = _residual(np.stack(levels, axis=1), np.stack(rest, axis=1))
    left, sizes, _ = np.linalg.svd(off, full_matrices=False)
    found = []
    for column in left.T[sizes > 1e-6]:
        weights = np.zeros(layout.num_slots)
        weights[group] = column
        found.append(weights)
    return found


def _trends(layout: SlotLayout, group: list[int], stage_levels: bool) -> list[Floats]:
    columns = [np.array(group, dtype=float), layout.is_one_of(layout.strided)[group]]
    if not stage_levels:
        return [*columns, np.ones(len(group))]
    return columns + [
        layout.is_one_of(layout.of_stage(stage))[group] for stage in layout.stages
    ]


def _residual(values: Floats, regressors: Floats) -> Floats:
    fitted = regressors @ np.linalg.lstsq(regressors, values, rcond=None)[0]
    return np.asarray(values - fitted)


def comparable(
    design: SlotDesign, layout: SlotLayout, indices: Iterable[int]
) -> list[list[int]]:
    """Sort slots into groups within which every difference is determined.

    Args:
        design: Tells which differences are determined.
        layout: The slots.
        indices: Slots to sort.

    Returns:
        The groups; slots that cannot be compared with any other are left out.
    """
    groups: list[list[int]] = []
    for index in indices:
        for group in groups:
            if design.estimable(layout.unit(index) - layout.unit(group[0])):
                group.append(index)
                break
        else:
            groups.append([index])
    return [group for group in groups if len(group) > 1]
