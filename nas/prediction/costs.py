"""What placements cost that the table has no cost of.

Costs such as MACs and parameters are sums over slots. Where the known values are that
sum exactly, the others follow from it; where they are not, nothing is guessed.
"""

import numpy as np
import numpy.typing as npt

from nas.prediction.features import Features
from nas.prediction.slot_space import Codes

Floats = npt.NDArray[np.float64]

_EXACT = 1e-6
"""Largest error of a sum over slots, relative to the range, that counts as none."""


def complete_cost(
    features: Features, known: Codes, values: Floats, wanted: Codes
) -> Floats | None:
    """A cost for all placements from the known ones.

    Args:
        features: Feature map of the space.
        known: Placements whose cost is known.
        values: Their cost; NaN where it is not.
        wanted: Placements whose cost is wanted.

    Returns:
        ``(wanted,)``, or ``None`` if the cost is not a sum over slots or the known
        placements do not determine it.
    """
    there = np.isfinite(values)
    if not there.any():
        return None
    values = values[there]
    design = _with_offset(features.slots(known[there]))
    target = _with_offset(features.slots(wanted))
    weights, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    spread = float(np.ptp(values)) or max(abs(float(values[0])), 1.0)
    if np.abs(design @ weights - values).max() > _EXACT * spread:
        return None
    if len(values) <= rank:  # would fit anything
        return None
    if np.linalg.matrix_rank(np.concatenate([design, target])) > rank:
        return None
    wanted_values = np.asarray(target @ weights)
    whole = bool((values == np.rint(values)).all())  # counts such as MACs
    return np.rint(wanted_values) if whole else wanted_values


def _with_offset(columns: Floats) -> Floats:
    return np.concatenate([np.ones((len(columns), 1)), columns], axis=1)
