"""The exact Pareto front of a score that is a sum over slots, under budgets.

Dynamic programming over the slots: of all ways to fill the first slots, only those are
kept that no other one matches or beats in the score and in every limited cost, and that
can still be completed within the limits. Both the score and the costs are sums over
slots, so whatever is dropped could have been replaced in every completion by what
dominates it: the front is exact, whatever the size of the space.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.prediction.features import Features, Quadratic
from nas.prediction.slot_space import Codes, SlotSpace

Floats = npt.NDArray[np.float64]

_CHECKED = 64
"""Random placements on which a cost must be the sum over slots (our choice)."""

_EXACT = 1e-9
"""Largest relative error of such a sum: rounding."""

_SAMPLE = 4_096
"""Placements by which the share of the additive part is measured (our choice)."""


@dataclass(frozen=True, eq=False)
class SlotSum:
    """A number of every placement that is a sum over its slots.

    Attributes:
        space: Letters of each slot.
        offset: What does not depend on the letters.
        parts: For each slot, what each of its letters adds, ``(letters,)``.
    """

    space: SlotSpace
    offset: float
    parts: tuple[Floats, ...]

    def __call__(self, codes: Codes) -> Floats:
        """The sum for placements ``(placements, slots)``, ``(placements,)``."""
        total = np.full(len(codes), self.offset)
        for slot, part in enumerate(self.parts):
            total = total + part[codes[:, slot]]
        return total


def slot_sum(values_of: Callable[[Codes], Floats], space: SlotSpace) -> SlotSum | None:
    """A cost as a sum over slots, from the placements that differ in one slot.

    Args:
        values_of: The cost of placements ``(placements, slots)``.
        space: Letters of each slot.

    Returns:
        The sum; ``None`` if the cost is none, seen on random placements.
    """
    sizes = [len(letters) for letters in space.letters]
    slots = np.repeat(np.arange(len(sizes)), sizes)
    codes = np.zeros((len(slots), len(sizes)), dtype=np.int64)
    codes[np.arange(len(slots)), slots] = np.concatenate([np.arange(n) for n in sizes])
    checked = space.sample(np.random.default_rng(1), _CHECKED)
    values = values_of(np.concatenate([codes, checked]))
    first, ends = float(values[0]), np.cumsum(sizes)
    parts = np.split(values[: len(codes)] - first, ends[:-1])
    found = SlotSum(space, first, tuple(parts))
    expected = values[len(codes) :]
    if not bool(np.isfinite(values).all()):
        return None
    gap = float(np.abs(found(checked) - expected).max())
    return found if gap <= _EXACT * max(float(np.abs(expected).max()), 1e-300) else None


def additive_part(
    features: Features, weights: Floats, space: SlotSpace
) -> tuple[SlotSum, float]:
    """The sum over slots that is nearest to a linear model of features.

    Nearest in squared error over the uniform distribution of the placements of a
    space. The model is quadratic in its letters, so the main effects have a closed
    form.

    Args:
        features: The feature map.
        weights: Of the features, offset left out.
        space: A part of the space of the features.

    Returns:
        The sum, and which share of the model's variance over the space it has.
    """
    constant, linear, pairs = Quadratic(features).of(weights)
    whole = features.space.letters
    starts = np.cumsum([0, *map(len, whole)])
    chosen = [
        np.array([starts[slot] + whole[slot].index(letter) for letter in letters])
        for slot, letters in enumerate(space.letters)
    ]
    mean = np.zeros(len(linear))
    for rows in chosen:
        mean[rows] = 1 / len(rows)
    own = linear + pairs @ mean  # pairs within one slot are zero
    expected = constant + linear @ mean + 0.5 * mean @ pairs @ mean
    parts = tuple(own[rows] - own[rows].mean() for rows in chosen)
    found = SlotSum(space, float(expected), parts)
    if space.size <= _SAMPLE:
        codes = np.concatenate(list(space.enumerate()))
    else:
        codes = space.sample(np.random.default_rng(0), _SAMPLE)
    values = features(features.space.encode(space.decode(codes))) @ weights
    spread = float(values.var())
    if spread <= 1e-18 * max(1.0, float((values**2).mean())):
        return found, 1.0
    return found, max(0.0, 1 - float((values - found(codes)).var()) / spread)


def exact_front(
    score: SlotSum, costs: Sequence[SlotSum], limits: Sequence[float]
) -> Codes:
    """Placements within limits that no other one within them matches or beats.

    Args:
        score: More is better.
        costs: Less is better; at least one.
        limits: Upper bound of each cost.

    Returns:
        Of each combination of score and costs on the front one placement, the best
        score first, ``(placements, slots)``; empty if nothing keeps to the limits.
    """
    slots = len(score.parts)
    kinds = range(len(costs))
    # The least that the slots from each one on can add.
    least = np.zeros((slots + 1, len(costs)))
    for slot in reversed(range(slots)):
        least[slot] = least[slot + 1] + [costs[k].parts[slot].min() for k in kinds]
    room = np.array(limits) - [cost.offset for cost in costs]
    # Rounding of sums must not drop what lies exactly on a limit.
    room = room + 1e-12 * np.abs(limits)
    gains, spent = np.zeros(1), np.zeros((1, len(costs)))
    history: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]] = []
    for slot in range(slots):
        letters = len(score.parts[slot])
        added = np.stack([costs[k].parts[slot] for k in kinds], axis=1)
        all_gains = (gains[:, None] + score.parts[slot]).ravel()
        all_spent = (spent[:, None] + added).reshape(-1, len(costs))
        possible = np.flatnonzero((all_spent + least[slot + 1] <= room).all(axis=1))
        if not len(possible):
            return np.empty((0, slots), dtype=np.int64)
        kept = possible[_undominated(all_gains[possible], all_spent[possible])]
        history.append((kept // letters, kept % letters))
        gains, spent = all_gains[kept], all_spent[kept]
    rows = np.argsort(-gains, kind="stable")
    codes = np.empty((len(rows), slots), dtype=np.int64)
    for slot in reversed(range(slots)):
        parents, letters_of = history[slot]
        codes[:, slot] = letters_of[rows]
        rows = parents[rows]
    return codes


def _undominated(gains: Floats, spent: Floats) -> npt.NDArray[np.intp]:
    """Positions of the points that no other one matches or beats; one of equals."""
    import moocore

    points = np.column_stack([-gains, spent])
    _, first = np.unique(points, axis=0, return_index=True)
    keep = moocore.is_nondominated(points[first], keep_weakly=False)
    return np.asarray(first[np.asarray(keep, dtype=bool)], dtype=np.intp)
