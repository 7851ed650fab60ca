"""Tables with a known truth, for the tests of the rule."""

import numpy as np

from nas.rule.placement_table import PlacementTable
from search_spaces.placement import Placement


def placements(bits, depths):
    ends = np.cumsum(depths)[:-1]
    return tuple(
        Placement(tuple("".join("CM"[int(b)] for b in s) for s in np.split(row, ends)))
        for row in np.asarray(bits)
    )


def table(bits, values, depths, **known):
    return PlacementTable(
        "planted",
        "accuracy",
        placements(bits, depths),
        np.asarray(values, dtype=float),
        **known,
    )


def free_design(rng, num_rows, depths):
    return rng.integers(0, 2, (num_rows, sum(depths)))


def counted_design(rng, num_rows, depths):
    """The paper's family: a number of MSAs a stage, alternating from its end."""
    rows = []
    for _ in range(num_rows):
        counts = [int(rng.integers(0, depth // 2 + 1)) for depth in depths]
        letters = Placement.alternating(depths, counts).letters
        rows.append([c == "M" for c in letters])
    return np.array(rows, dtype=int)


def slots(depths, which):
    """Indices of the last, first, strided, late or final-stage slots."""
    starts = np.cumsum([0, *depths])
    num = len(depths)
    return {
        "last": [end - 1 for end in starts[1:]],
        "first": list(starts[:-1]),
        "strided": list(starts[1:-1]),
        "late": list(range(starts[num - num // 2], starts[-1])),
        "final": list(range(starts[-2], starts[-1])),
    }[which]


def stage_counts(bits, depths):
    ends = np.cumsum(depths)[:-1]
    return np.stack([part.sum(axis=1) for part in np.split(bits, ends, axis=1)], axis=1)
