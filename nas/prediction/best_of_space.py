"""The best placements of a space too large to list: many local searches."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas.prediction.features import Features, Quadratic
from nas.prediction.slot_space import Codes

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

STARTS = 256
"""Local searches (our choice)."""

WIDENED = 200
"""Of the best so many, every placement one slot away is looked at too."""


def climb(
    coefficients: tuple[float, Floats, Floats],
    quadratic: Quadratic,
    starts: Codes,
    within: Flags | None = None,
) -> tuple[Codes, Floats]:
    """Change one slot at a time, the best change first, until none helps.

    Args:
        coefficients: Of the function, as ``Quadratic.of`` gives them.
        quadratic: The feature map as a quadratic function.
        starts: Where to start, ``(starts, slots)``.
        within: For each letter of each slot whether it may be chosen.

    Returns:
        The local maxima ``(starts, slots)`` and their values.
    """
    constant, linear, pairs = coefficients
    codes = starts.copy()
    letters = quadratic.features.space.letters
    slot_of = np.repeat(np.arange(len(letters)), [len(c) for c in letters])
    first = np.cumsum([0, *map(len, letters)])[:-1]
    rows = np.arange(len(codes))
    one_hot = quadratic.one_hot(codes)
    for _ in range(4 * len(letters)):
        field = linear + one_hot @ pairs
        here = np.take_along_axis(field, codes + first, axis=1)
        gain = field - here[:, slot_of]
        if within is not None:
            gain[:, ~within] = -np.inf
        best = gain.argmax(axis=1)
        moves = rows[gain[rows, best] > 1e-12]
        if not len(moves):
            break
        slots = slot_of[best[moves]]
        one_hot[moves, first[slots] + codes[moves, slots]] = 0.0
        codes[moves, slots] = best[moves] - first[slots]
        one_hot[moves, best[moves]] = 1.0
    values = constant + one_hot @ linear
    values += 0.5 * ((one_hot @ pairs) * one_hot).sum(axis=1)
    return codes, values


def best_placements(
    features: Features,
    weights: Floats,
    count: int,
    *,
    within: Flags | None = None,
    seed: int = 0,
) -> Codes:
    """The placements of the highest predicted mean that local searches find.

    Not proven to be the best: the search starts at random placements.

    Args:
        features: The feature map.
        weights: Of the features, offset left out.
        count: Placements wanted.
        within: For each letter of each slot whether it may be chosen.
        seed: Of the starts.

    Returns:
        ``(at most count, slots)``, best first.
    """
    letters = features.space.letters
    within = np.ones(sum(map(len, letters)), dtype=bool) if within is None else within
    allowed = allowed_letters(letters, within)
    rng = np.random.default_rng(seed)
    starts = np.stack([rng.choice(some, STARTS) for some in allowed], axis=1)
    quadratic = Quadratic(features)
    codes, _ = climb(quadratic.of(weights), quadratic, starts, within)
    found = _best(features, weights, codes, count)
    while True:  # the neighbours of good placements are good
        near = [neighbours(code, allowed) for code in found[:WIDENED]]
        grown = _best(features, weights, np.concatenate([found, *near]), count)
        if grown.shape == found.shape and bool((grown == found).all()):
            return found
        found = grown


def allowed_letters(
    letters: Sequence[str], within: Flags
) -> list[npt.NDArray[np.intp]]:
    """Positions of the letters that each slot may hold.

    Args:
        letters: Letters of each slot.
        within: For each letter of each slot whether it may be chosen.
    """
    ends = np.cumsum([0, *map(len, letters)])
    pairs = zip(ends[:-1], ends[1:], strict=True)
    return [np.flatnonzero(within[a:b]) for a, b in pairs]


def neighbours(
    code: npt.NDArray[np.int64], allowed: list[npt.NDArray[np.intp]]
) -> Codes:
    """The placements that differ from one in one slot.

    Args:
        code: The placement, ``(slots,)``.
        allowed: Positions of the letters that each slot may hold.

    Returns:
        ``(neighbours, slots)``.
    """
    rows = []
    for slot, letters in enumerate(allowed):
        for letter in letters:
            if letter != code[slot]:
                row = code.copy()
                row[slot] = letter
                rows.append(row)
    return np.array(rows, dtype=np.int64).reshape(-1, len(allowed))


def _best(features: Features, weights: Floats, codes: Codes, count: int) -> Codes:
    codes = np.unique(codes, axis=0)
    values = features(codes) @ weights
    return np.asarray(codes[np.argsort(-values, kind="stable")[:count]])
