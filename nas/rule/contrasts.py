"""Which comparisons of slots make up the rule and its rivals.

Every function returns slot weights that sum to zero, made only of slots that the
rows can compare: a slot that never varied has no effect to compare, and two slots that
always changed together cannot be told apart.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.rule.slot_regression import SlotRegression

Floats = npt.NDArray[np.float64]


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


@dataclass(frozen=True)
class SlotLayout:
    """Where each slot of a placement stands.

    Attributes:
        depths: Blocks of each stage.
    """

    depths: tuple[int, ...]

    @property
    def num_slots(self) -> int:
        """Slots of all stages."""
        return sum(self.depths)

    @property
    def slots(self) -> list[tuple[int, int]]:
        """Stage and block of each slot, both from 1."""
        return [
            (stage, block)
            for stage, depth in enumerate(self.depths, start=1)
            for block in range(1, depth + 1)
        ]

    def of_stage(self, stage: int) -> list[int]:
        """Indices of the slots of a stage (from 1)."""
        start = sum(self.depths[: stage - 1])
        return list(range(start, start + self.depths[stage - 1]))

    @property
    def strided(self) -> list[int]:
        """First blocks of stages 2, 3, ...: there an MSA also changes the stride.

        Of the paper's networks, whose first stage keeps the size of its map.
        """
        return [self.of_stage(stage)[0] for stage in range(2, len(self.depths) + 1)]

    def unit(self, *indices: int) -> Floats:
        """Weights that average the slots of the given indices."""
        weights = np.zeros(self.num_slots)
        weights[list(indices)] = 1 / len(indices)
        return weights


def end_of_stage(
    regression: SlotRegression,
    layout: SlotLayout,
    exclude: Collection[int] = (),
    stages: Iterable[int] | None = None,
) -> Contrast:
    """Last slot minus the mean of the others of its stage, averaged over stages.

    Args:
        regression: Tells which slots can be compared.
        layout: The slots.
        exclude: Indices of slots to leave out of the comparison.
        stages: Stages to average over; default all with two blocks or more.

    Returns:
        The contrast over the stages in which the last slot can be compared.
    """
    total = np.zeros(layout.num_slots)
    used = []
    wanted = range(1, len(layout.depths) + 1) if stages is None else stages
    for stage in wanted:
        *others, last = layout.of_stage(stage)
        if last in exclude:
            continue
        others = [
            other
            for other in others
            if other not in exclude
            and regression.estimable(layout.unit(last) - layout.unit(other))
        ]
        if others:
            total += layout.unit(last) - layout.unit(*others)
            used.append(stage)
    if not used:
        return Contrast(
            None, (), "in no stage was the last slot varied apart from another slot"
        )
    return Contrast(total / len(used), tuple(used))


def end_of_model(regression: SlotRegression, layout: SlotLayout) -> Contrast:
    """Mean of the slots of the late stages minus that of the early ones.

    Late and early are the last and the first half of the stages; of an odd number the
    middle stage is neither (our choice, DESIGN.md leaves it open).

    Args:
        regression: Tells which slots can be compared.
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
    for group in comparable(regression, layout, early + late):
        pair = ([i for i in early if i in group], [i for i in late if i in group])
        if all(pair) and sum(map(len, pair)) > sum(map(len, best)):
            best = pair
    if not all(best):
        return Contrast(
            None, (), "no slot of an early stage was varied apart from a late one"
        )
    slots = layout.slots
    stages = sorted({slots[i][0] for part in best for i in part})
    return Contrast(layout.unit(*best[1]) - layout.unit(*best[0]), tuple(stages))


def beyond_depth(
    regression: SlotRegression, layout: SlotLayout, within_stage: bool
) -> Contrast:
    """How much the last slots stand above a straight line over depth.

    The rival "the later in the model, the better" also makes the last slot of a stage
    better than the others of the stage. Here the slot effects are fitted by a line
    over the block's number plus a step for last slots; the contrast is that step.

    Args:
        regression: Tells which slots can be compared.
        layout: The slots.
        within_stage: Give each stage its own level, the slope being common.

    Returns:
        The contrast over the largest set of slots that can be compared.
    """
    groups = comparable(regression, layout, range(layout.num_slots))
    group = max(groups, key=len, default=[])
    slots = [layout.slots[i] for i in group]
    last = np.array([float(b == layout.depths[s - 1]) for s, b in slots])
    columns = [np.array(group, dtype=float)]
    if within_stage:
        columns += [
            np.array([float(s == stage) for s, _ in slots])
            for stage in sorted({s for s, _ in slots})
        ]
    else:
        columns.append(np.ones(len(group)))
    reason = "the last slots cannot be told from a trend over depth"
    if not group:
        return Contrast(None, (), reason)
    rest = np.stack(columns, axis=1)
    step = last - rest @ np.linalg.lstsq(rest, last, rcond=None)[0]
    if float(step @ step) < 1e-9:
        return Contrast(None, (), reason)
    weights = np.zeros(layout.num_slots)
    weights[group] = step / (step @ step)
    return Contrast(weights, tuple(sorted({s for s, _ in slots})))


def comparable(
    regression: SlotRegression, layout: SlotLayout, indices: Iterable[int]
) -> list[list[int]]:
    """Sort slots into groups within which every difference is determined.

    Args:
        regression: Tells which differences are determined.
        layout: The slots.
        indices: Slots to sort.

    Returns:
        The groups; slots that cannot be compared with any other are left out.
    """
    groups: list[list[int]] = []
    for index in indices:
        for group in groups:
            if regression.estimable(layout.unit(index) - layout.unit(group[0])):
                group.append(index)
                break
        else:
            groups.append([index])
    return [group for group in groups if len(group) > 1]
