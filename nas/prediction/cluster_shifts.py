"""What all rows of a cluster (a supernet, a split) have more or less than others."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas.rule.letters import bits_of, indicators, letters_of

Floats = npt.NDArray[np.float64]

MIN_SPARE = 5
"""Fewer rows than this beyond the unknowns do not tell shifts from noise (our
choice)."""


def cluster_shifts(
    values: Floats, placements: Sequence[str], clusters: Sequence[object]
) -> Floats | None:
    """How far the cluster of each row shifts its value.

    Least squares on slots and clusters together, so that a cluster that happens to hold
    good placements is not taken for a lucky one; the shifts then shrink as those of a
    random effect do, its variance by moments.

    Args:
        values: Metric of each row, ``(rows,)``.
        placements: Placement of each row, of one depth.
        clusters: Cluster of each row.

    Returns:
        ``(rows,)``, zero on average; ``None`` where the rows cannot tell.
    """
    letters = letters_of(placements)
    slots = indicators(bits_of(letters, sorted(np.unique(letters))[1:]))
    names, codes = np.unique(np.array(clusters, dtype=str), return_inverse=True)
    if len(names) < 2:
        return None
    known = np.ones((len(values), 1))
    if slots is not None:
        known = np.concatenate([known, slots], axis=1)
    members = np.eye(len(names))[codes]
    design = np.concatenate([known, members - members.mean(axis=0)], axis=1)
    inverse = np.linalg.pinv(design, rcond=1e-10)
    spare = len(values) - np.linalg.matrix_rank(design)
    if spare < MIN_SPARE:
        return None
    found = inverse @ values
    noise = float(((values - design @ found) ** 2).sum() / spare)
    shifts = found[-len(names) :]
    errors = noise * (inverse[-len(names) :] ** 2).sum(axis=1)
    variance = max(float((shifts**2 - errors).mean()), 0.0)
    if variance == 0:
        return None
    shifts = shifts * variance / (variance + errors)
    return np.asarray(shifts[codes] - shifts[codes].mean())
