"""What the linear model sees of a placement.

Seven groups of features, each with a variance of its own in
:mod:`nas.prediction.linear_model`:

``letters``     how many blocks of each letter there are
``stages``      the same for each stage
``slots``       the letter of each slot
``squares``     squares and products of the counts, of the model and of each stage
``adjacency``   which letters follow each other within a stage
``pairs``       pairs of slots in one stage
``far_pairs``   pairs of slots of two stages

Slots thus vary around their stage and stages around the whole model: the prior is
hierarchical. Letters enter through orthonormal (Helmert) contrasts, so that none of
them is special: naming another one the reference changes nothing. Every feature is at
most quadratic in "slot s holds letter a", which :class:`Quadratic` uses to find the
best of spaces too large to list.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nas.prediction.slot_space import Codes, SlotSpace

Floats = npt.NDArray[np.float64]

MAX_PAIRS = 600
"""Most pair features; our choice: fitting takes the cube of it. Where there would be
more, those of the nearest slots are kept, pairs of one stage first. Squares and
neighbours are left out where the letters alone would make more."""

_REFERENCE = 4096
"""Placements over which features are centred and scaled."""


class Features:
    """Feature map of a space.

    Features have mean zero and each group has mean square norm one over the space
    (over 4,096 random placements of it), so that the variance of a group is the
    variance that it gives the metric over the space.

    Args:
        space: Letters of each slot.

    Attributes:
        groups: Names of the groups that the space has, in order.
        group_of: Group of each feature, ``(features,)``.
    """

    def __init__(self, space: SlotSpace) -> None:
        self.space = space
        alphabet = space.alphabet
        self._contrasts = [_helmert(len(choices)) for choices in space.letters]
        whole = _helmert(len(alphabet))
        self._embedding = [
            whole[[alphabet.index(letter) for letter in choices]]
            for choices in space.letters
        ]
        self._pairs, self._far_pairs = self._choose_pairs()
        self._mean: Floats | None = None
        if space.size <= _REFERENCE:
            codes = np.concatenate(list(space.enumerate()))
        else:
            codes = space.sample(np.random.default_rng(0), _REFERENCE)
        blocks = self._blocks(codes)
        self.groups = tuple(blocks)
        names = [name for name, block in blocks.items() for _ in range(block.shape[1])]
        self.group_of = np.array([self.groups.index(name) for name in names], int)
        raw = np.concatenate([np.empty((len(codes), 0)), *blocks.values()], axis=1)
        self._mean = raw.mean(axis=0)
        spread = ((raw - self._mean) ** 2).mean(axis=0)
        norms = np.array(
            [spread[self.group_of == g].sum() for g in range(len(blocks))], float
        )
        self._scale = 1 / np.sqrt(norms[self.group_of])

    @property
    def size(self) -> int:
        """Number of features."""
        return len(self.group_of)

    def __call__(self, codes: Codes) -> Floats:
        """Features of placements.

        Args:
            codes: ``(placements, slots)``.

        Returns:
            ``(placements, features)``.
        """
        blocks = self._blocks(codes)
        raw = np.concatenate(
            [np.empty((len(codes), 0)), *(blocks[name] for name in self.groups)], axis=1
        )
        return np.asarray((raw - self._mean) * self._scale)

    def slots(self, codes: Codes) -> Floats:
        """The letters of the slots alone, ``(placements, contrasts)``."""
        parts = [c[codes[:, s]] for s, c in enumerate(self._contrasts)]
        return np.concatenate([np.empty((len(codes), 0)), *parts], axis=1)

    def _choose_pairs(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Pairs of slots of one stage, and of two, at most :data:`MAX_PAIRS` in all."""
        stage_of, widths = self.space.stage_of, [c.shape[1] for c in self._contrasts]
        num = len(widths)
        pairs = [(s, t) for s in range(num) for t in range(s + 1, num)]
        pairs.sort(key=lambda p: (stage_of[p[0]] != stage_of[p[1]], p[1] - p[0], p))
        kept, total = [], 0
        for s, t in pairs:
            if not widths[s] * widths[t]:
                continue
            total += widths[s] * widths[t]
            if total > MAX_PAIRS:
                break
            kept.append((s, t))
        near = sorted(p for p in kept if stage_of[p[0]] == stage_of[p[1]])
        return near, sorted(p for p in kept if stage_of[p[0]] != stage_of[p[1]])

    def _blocks(self, codes: Codes) -> dict[str, Floats]:
        """Raw features by group; columns that never vary are left out."""
        num = len(codes)
        slots = [c[codes[:, s]] for s, c in enumerate(self._contrasts)]
        seen = np.stack([e[codes[:, s]] for s, e in enumerate(self._embedding)], axis=1)
        stage_of = np.array(self.space.stage_of)
        stages = [seen[:, stage_of == i] for i in range(len(self.space.depths))]
        counts = [stage.sum(axis=1) for stage in stages]
        total = seen.sum(axis=1)
        several = len(stages) > 1
        width = seen.shape[2]
        follow, squares = [], []
        if width**2 <= MAX_PAIRS:
            follow = [_products(one[:, :-1], one[:, 1:]) for one in stages]
        if width * (width + 1) / 2 <= MAX_PAIRS:
            squares = [_squares(one) for one in (total, *(counts if several else ()))]
        found = {
            "letters": [total],
            "stages": counts if several else [],
            "slots": slots,
            "squares": squares,
            "adjacency": [sum(follow), *follow] if several and follow else follow,
            "pairs": [_outer(slots[s], slots[t]) for s, t in self._pairs],
            "far_pairs": [_outer(slots[s], slots[t]) for s, t in self._far_pairs],
        }
        blocks = {}
        for name, parts in found.items():
            block = np.concatenate([np.empty((num, 0)), *parts], axis=1)
            if self._mean is None:  # the reference placements decide what varies
                self._varies = getattr(self, "_varies", {})
                self._varies[name] = np.ptp(block, axis=0) > 1e-9
            block = block[:, self._varies[name]]
            if block.shape[1]:
                blocks[name] = block
        return blocks


@dataclass(frozen=True, eq=False)
class Quadratic:
    """A linear model of :class:`Features` as a function of the letters of all slots.

    The value of a placement is ``constant + z @ linear + z @ pairs @ z / 2`` with one
    entry of z for each slot and letter, 1 where the slot holds the letter. It is found
    from the features of the placements that differ from the first one in at most two
    slots, of which a quadratic function is made.

    Attributes:
        features: The feature map.
    """

    features: Features

    @cached_property
    def _entries(self) -> list[tuple[int, int]]:
        letters = self.features.space.letters
        return [
            (s, a) for s, choices in enumerate(letters) for a in range(len(choices))
        ]

    @cached_property
    def _probes(self) -> tuple[Codes, npt.NDArray[np.int64]]:
        """Placements to probe, and the two entries that each one is about."""
        size = len(self.features.space.letters)
        index = {entry: i for i, entry in enumerate(self._entries)}
        changes = [(s, a) for s, a in self._entries if a]
        rows = [np.zeros(size, np.int64)]
        about = [(-1, -1)]
        for number, (s, a) in enumerate(changes):
            row = np.zeros(size, np.int64)
            row[s] = a
            rows.append(row)
            about.append((index[s, a], -1))
            for t, b in changes[number + 1 :]:
                if t != s:
                    both = row.copy()
                    both[t] = b
                    rows.append(both)
                    about.append((index[s, a], index[t, b]))
        return np.array(rows), np.array(about)

    @cached_property
    def _probed(self) -> Floats:
        return self.features(self._probes[0])

    def of(self, weights: Floats) -> tuple[float, Floats, Floats]:
        """Coefficients of a model.

        Args:
            weights: One weight a feature, ``(features,)``.

        Returns:
            The constant, the linear part ``(entries,)`` and the symmetric pairs
            ``(entries, entries)``.
        """
        values = self._probed @ weights
        about = self._probes[1]
        size = len(self._entries)
        constant = float(values[0])
        linear, pairs = np.zeros(size), np.zeros((size, size))
        single = (about[:, 0] >= 0) & (about[:, 1] < 0)
        linear[about[single, 0]] = values[single] - constant
        double = about[:, 1] >= 0
        first, second = about[double].T
        joint = values[double] - constant - linear[first] - linear[second]
        pairs[first, second] = pairs[second, first] = joint
        return constant, linear, pairs

    def one_hot(self, codes: Codes) -> Floats:
        """``(placements, entries)``: 1 where a slot holds a letter."""
        starts = np.cumsum([0, *map(len, self.features.space.letters)])[:-1]
        found = np.zeros((len(codes), len(self._entries)))
        np.put_along_axis(found, codes + starts, 1.0, axis=1)
        return found


def _helmert(size: int) -> Floats:
    """Orthonormal contrasts of the letters, ``(size, size - 1)``; rows sum to zero."""
    matrix = np.zeros((size, max(size - 1, 0)))
    for column in range(size - 1):
        matrix[: column + 1, column] = 1.0
        matrix[column + 1, column] = -(column + 1.0)
    norms = np.sqrt((matrix**2).sum(axis=0))
    return np.asarray(matrix / np.where(norms > 0, norms, 1.0))


def _outer(left: Floats, right: Floats) -> Floats:
    return np.asarray((left[:, :, None] * right[:, None, :]).reshape(len(left), -1))


def _products(left: Floats, right: Floats) -> Floats:
    """Sum over neighbours of the products of their embeddings."""
    return np.asarray(np.einsum("nta,ntb->nab", left, right).reshape(len(left), -1))


def _squares(counts: Floats) -> Floats:
    rows, columns = np.triu_indices(counts.shape[1])
    return np.asarray(counts[:, rows] * counts[:, columns])
