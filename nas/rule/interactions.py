"""Pairs of slots: what two MSAs do together beyond the sum of what each does."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from nas.rule.effect import Effect, holm
from nas.rule.placement_means import PlacementMeans
from nas.rule.slot_layout import SlotLayout
from nas.rule.slot_regression import LEVEL, t_quantile

Floats = npt.NDArray[np.float64]

MAX_PAIRS = 10
"""Pairs of slots that a result lists (our choice; all of them are tested)."""

CHUNK = 4_000_000
"""Numbers of one intermediate array (our choice: 32 MB)."""


@dataclass(frozen=True)
class Interaction:
    """What two MSAs do together beyond the sum of what each does.

    Attributes:
        slots: Stage and block of both.
        effect: The effect.
        p_holm: P-value after Holm's correction for all pairs.
    """

    slots: tuple[tuple[int, int], tuple[int, int]]
    effect: Effect
    p_holm: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "slots": [{"stage": s, "block": b} for s, b in self.slots],
            **self.effect.to_dict(),
            "p_holm": self.p_holm,
        }


def interactions(
    means: PlacementMeans, layout: SlotLayout
) -> tuple[tuple[Interaction, ...], int]:
    """Test each pair of slots for more or less than the sum of its two effects.

    One pair at a time is added to the slots (Frisch-Waugh-Lovell: the product's
    residual on the slots carries its effect), with HC2-style robust errors, by cluster
    where rows share luck.

    Args:
        means: One row a placement.
        layout: The slots.

    Returns:
        The most significant pairs, and how many pairs could be tested.
    """
    base = means.regression()
    df = base.residual_df - 1
    if means.clusterings:
        df = min(df, base.num_clusters - 1)
    slots = layout.slots
    pairs = [(i, j) for i in range(len(slots)) for j in range(i + 1, len(slots))]
    if df < 1 or not pairs:
        return (), 0
    root = np.sqrt(means.weights)
    response = root * means.means
    response = response - base.basis @ (base.basis.T @ response)
    floor = 1e-9 * float(np.abs(means.means).max())
    step = max(1, CHUNK // len(root))
    found: list[tuple[tuple[int, int], float, float]] = []
    for start in range(0, len(pairs), step):
        part = pairs[start : start + step]
        first, second = map(list, zip(*part, strict=True))
        products = means.bits[:, first] * means.bits[:, second] * root[:, None]
        products -= base.basis @ (base.basis.T @ products)
        effects, errors, usable = _fit_pairs(means, products, response, base.leverage)
        settled = (errors <= floor) & (np.abs(effects) <= floor)
        effects = np.where(settled, 0.0, effects)
        found += [
            (part[index], float(effect), float(error))
            for index, effect, error in zip(usable, effects, errors, strict=True)
        ]
    if not found:
        return (), 0
    effects = np.array([effect for _, effect, _ in found])
    errors = np.array([error for _, _, error in found])
    p_values = 2 * special.stdtr(df, -np.abs(effects) / np.maximum(errors, 1e-300))
    corrected = holm(p_values.tolist())
    half = t_quantile(0.5 + LEVEL / 2, df) * errors
    listed = []
    for rank in np.argsort(p_values, kind="stable")[:MAX_PAIRS]:
        (i, j), value, error = found[rank]
        effect = Effect(
            value,
            (value - float(half[rank]), value + float(half[rank])),
            float(p_values[rank]),
            standard_error=error,
            df=float(df),
        )
        listed.append(Interaction((slots[i], slots[j]), effect, corrected[rank]))
    return tuple(listed), len(found)


def _fit_pairs(
    means: PlacementMeans, products: Floats, response: Floats, leverage: Floats
) -> tuple[Floats, Floats, list[int]]:
    """Effect and standard error of each usable column of residual products."""
    sizes = (products**2).sum(axis=0)
    usable = np.flatnonzero(sizes > 1e-6)
    products, sizes = products[:, usable], sizes[usable]
    effects = products.T @ response / sizes
    each = leverage[:, None] + products**2 / sizes
    residuals = response[:, None] - products * effects
    scores = products * residuals / np.sqrt(np.maximum(1 - each, 1e-8))
    # A pair that a single placement carries has no residual there to judge it by.
    carried = ((each > 1 - 1e-6) & (np.abs(products) > 1e-9)).any(axis=0)
    variance = (scores**2).sum(axis=0)
    for labels in means.clusterings:
        sums = np.zeros((int(labels.max()) + 1, scores.shape[1]))
        np.add.at(sums, labels, scores)
        variance = np.maximum(variance, (sums**2).sum(axis=0))
    rows = len(response) - round(float(leverage.sum())) - 1
    classical = np.sqrt((residuals**2).sum(axis=0) / max(rows, 1) / sizes)
    errors = np.where(carried, classical, np.sqrt(variance) / sizes)
    return effects, errors, usable.tolist()
