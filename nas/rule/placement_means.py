"""Seeds as replicates: one row a placement, weighted by how well it is known."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nas.rule.letters import bits_of, indicators
from nas.rule.placement_table import PlacementTable
from nas.rule.slot_design import Labels
from nas.rule.slot_regression import SlotRegression

Floats = npt.NDArray[np.float64]

MIN_REPLICATE_DF = 3
"""Fewer repeats do not tell noise from differences between placements (our choice)."""


@dataclass(frozen=True, eq=False)
class PlacementMeans:
    """A table with the trials of each placement averaged, each cluster by itself.

    Attributes:
        bits: ``(placements, slots)``, 1 where the slot has the compared letter.
        convs: ``(placements, slots)``, 1 where the slot has a C.
        means: Mean metric of each placement, ``(placements,)``.
        counts: Trials of each placement, ``(placements,)``.
        weights: Precision of each mean up to a factor, ``(placements,)``.
        params: Parameters of each placement, or ``None``.
        replicate_sd: Standard deviation between trials of one placement, or ``None``
            where there are too few repeats.
        replicate_df: Degrees of freedom of ``replicate_sd``.
        other_bits: For each further letter ``(placements, slots)``, 1 where the slot
            has it.
        clusterings: Ways in which the rows share luck; see
            :class:`~nas.rule.slot_design.SlotDesign`.
        distinct: One row of each placement, however many clusters it is in.
        are_swaps: Whether the clusters are blocks of swaps.
        by_split: Mean metric of each placement on each train/validation split, where
            trials have splits of their own.
    """

    bits: Floats
    convs: Floats
    means: Floats
    counts: Floats
    weights: Floats
    params: Floats | None
    replicate_sd: float | None
    replicate_df: int
    other_bits: tuple[Floats, ...]
    clusterings: tuple[Labels, ...]
    distinct: npt.NDArray[np.intp]
    by_split: tuple[dict[str, float], ...] | None = None
    are_swaps: bool = False

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
            One row a placement and cluster, in the order of first appearance.
        """
        order: dict[tuple[str, int], int] = {}
        names: dict[str, int] = {}
        shared = table.clusters
        clusters = [0] * len(table.values) if shared is None else shared.tolist()
        group = np.array(
            [
                order.setdefault((placement, cluster), len(order))
                for placement, cluster in zip(table.placements, clusters, strict=True)
            ]
        )
        same = np.array([names.setdefault(one, len(names)) for one, _ in order])
        num = len(order)
        counts = np.bincount(group, minlength=num).astype(float)
        means = np.bincount(group, table.values, minlength=num) / counts
        _, first = np.unique(group, return_index=True)
        params = None
        if table.params is not None:
            params = np.bincount(group, table.params, minlength=num) / counts
        df = len(group) - num
        bits = table.bits[first]
        other_bits = bits_of(table.letters[first], table.other_letters)
        clusterings: tuple[Labels, ...] = ()
        if shared is not None:
            _, labels = np.unique(shared[first], return_inverse=True)
            clusterings = (labels.astype(np.intp),)
            if len(names) < num:
                each = np.arange(num, dtype=np.intp)
                clusterings = (clusterings[0], same.astype(np.intp), each)
        _, distinct = np.unique(same, return_index=True)
        sd = None
        weights = np.ones(num)
        if df >= MIN_REPLICATE_DF:
            within = float(((table.values - means[group]) ** 2).sum() / df)
            sd = within**0.5
            weights = _weights(bits, means, counts, within, indicators(other_bits))
        convs = (table.letters[first] == "C").astype(float)
        return cls(
            bits, convs, means, counts, weights, params, sd, df, other_bits,
            clusterings, distinct, _means_by_split(table, group, num),
            table.are_swaps,
        )  # fmt: skip

    @property
    def num_placements(self) -> int:
        """Distinct placements."""
        return len(self.distinct)

    @cached_property
    def others(self) -> Floats | None:
        """Indicators of further letters, ``(placements, columns)``, or ``None``."""
        return indicators(self.other_bits)

    def regression(self, controls: Floats | None = None) -> SlotRegression:
        """The regression of the means on all slots, with further regressors."""
        found = [part for part in (self.others, controls) if part is not None]
        joined = np.concatenate(found, axis=1) if found else None
        return SlotRegression(
            self.bits, self.means, self.weights, joined, self.clusterings
        )


def _means_by_split(
    table: PlacementTable, group: npt.NDArray[np.int_], num: int
) -> tuple[dict[str, float], ...] | None:
    if table.splits is None:
        return None
    found: list[dict[str, list[float]]] = [{} for _ in range(num)]
    for row, split, value in zip(group, table.splits, table.values, strict=True):
        found[row].setdefault(str(split), []).append(float(value))
    return tuple(
        {split: float(np.mean(values)) for split, values in one.items()}
        for one in found
    )


def _weights(
    bits: Floats,
    means: Floats,
    counts: Floats,
    within: float,
    others: Floats | None,
) -> Floats:
    """Weights of a random placement effect, its variance by moments."""
    plain = SlotRegression(bits, means, controls=others)
    if plain.residual_df < 1 or len(set(counts.tolist())) == 1:
        return np.ones(len(means))
    between = plain.noise**2 - within * float((1 / counts).mean())
    variance = max(between, 0.0) + within / counts
    if not variance.all():
        return np.ones(len(means))
    return np.asarray(variance.mean() / variance)
