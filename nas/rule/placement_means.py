"""Seeds as replicates: one row a placement, weighted by how well it is known."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.rule.placement_table import PlacementTable
from nas.rule.slot_regression import SlotRegression

Floats = npt.NDArray[np.float64]

MIN_REPLICATE_DF = 3
"""Fewer repeats do not tell noise from differences between placements (our choice)."""


@dataclass(frozen=True, eq=False)
class PlacementMeans:
    """A table with the trials of each placement averaged.

    Attributes:
        bits: ``(placements, slots)``, 1 where the slot is an MSA.
        means: Mean metric of each placement, ``(placements,)``.
        counts: Trials of each placement, ``(placements,)``.
        weights: Precision of each mean up to a factor, ``(placements,)``.
        params: Parameters of each placement, or ``None``.
        replicate_sd: Standard deviation between trials of one placement, or ``None``
            where there are too few repeats.
        replicate_df: Degrees of freedom of ``replicate_sd``.
    """

    bits: Floats
    means: Floats
    counts: Floats
    weights: Floats
    params: Floats | None
    replicate_sd: float | None
    replicate_df: int

    @classmethod
    def of(cls, table: PlacementTable) -> "PlacementMeans":
        """Average the trials of each placement.

        The weights are those of a random placement effect: 1 / (lack of fit + noise /
        trials). Where repeats agree and placements do not, repeating a placement adds
        nothing and all weigh the same; where the noise is all there is, a placement
        weighs as much as it has trials.

        Args:
            table: The checked table.

        Returns:
            One row a placement, in the order of first appearance.
        """
        order: dict[object, int] = {}
        group = np.array(
            [order.setdefault(placement, len(order)) for placement in table.placements]
        )
        num = len(order)
        counts = np.bincount(group, minlength=num).astype(float)
        means = np.bincount(group, table.values, minlength=num) / counts
        _, first = np.unique(group, return_index=True)
        params = None
        if table.params is not None:
            params = np.bincount(group, table.params, minlength=num) / counts
        df = len(group) - num
        sd = None
        weights = np.ones(num)
        bits = table.bits[first]
        if df >= MIN_REPLICATE_DF:
            within = float(((table.values - means[group]) ** 2).sum() / df)
            sd = within**0.5
            weights = _weights(bits, means, counts, within)
        return cls(bits, means, counts, weights, params, sd, df)

    def regression(self, controls: Floats | None = None) -> SlotRegression:
        """The regression of the means on all slots, with further regressors."""
        return SlotRegression(self.bits, self.means, self.weights, controls)


def _weights(bits: Floats, means: Floats, counts: Floats, within: float) -> Floats:
    """Weights of a random placement effect, its variance by moments."""
    plain = SlotRegression(bits, means)
    if plain.residual_df < 1 or len(set(counts.tolist())) == 1:
        return np.ones(len(means))
    between = plain.noise**2 - within * float((1 / counts).mean())
    variance = max(between, 0.0) + within / counts
    if not variance.all():
        return np.ones(len(means))
    return np.asarray(variance.mean() / variance)
