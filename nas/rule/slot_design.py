"""What a design can say of slot effects, whatever the responses turn out to be.

A linear model of the metric: one column a slot (1 = the compared kind of block), one
row a *placement*. Everything that does not depend on the metric's values is kept here,
so that thousands of responses to one design cost two matrix products.

Standard errors are HC2 (robust to unequal variances) with Bell-McCaffrey degrees of
freedom: plain HC1/HC3 intervals with n - p degrees of freedom are known to be too short
for few rows and unbalanced designs (Imbens & Kolesar 2016, REStat 98:701). Where rows
share luck, the same estimator by cluster: CR2 of Pustejovsky & Tipton (2018, JBES
36:672), of which HC2 is the case of one row a cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.intp]

TOLERANCE = 1e-9
"""Relative size below which a number is rounding error (float64 has 2e-16)."""

SATURATED = 1e-8
"""Share of a cluster's own residual below which it has none (our choice)."""


@dataclass(frozen=True, eq=False)
class Loads:
    """One combination of slot effects as a linear function of the rows.

    Attributes:
        rows: Weight of each row's whitened response in the estimate, ``(rows,)``.
        adjusted: For each way to cluster, the same after the CR2 adjustment.
        df: For each way to cluster, the Bell-McCaffrey degrees of freedom.
        robust: False if a row alone carries a parameter: it has no residual of its
            own, and the classical variance is taken.
    """

    rows: Floats
    adjusted: tuple[Floats, ...]
    df: tuple[float, ...]
    robust: bool = True


class SlotDesign:
    """A regression on slots without its response.

    Args:
        bits: ``(rows, slots)``, 1 where the slot has the compared kind of block.
        weights: Precision of each row up to a factor, ``(rows,)``; default equal.
        controls: Further regressors, ``(rows, controls)``.
        clusterings: Ways in which rows share luck, each ``(rows,)`` of cluster
            numbers from 0, each of which occurs. Of two ways the third must be their
            intersection; the variance is then that of two-way clustering (Cameron,
            Gelbach & Miller 2011, JBES 29:238), and never less than that of either.
            Default: every row by itself.
    """

    def __init__(
        self,
        bits: Floats,
        weights: Floats | None = None,
        controls: Floats | None = None,
        clusterings: Sequence[Labels] = (),
    ) -> None:
        rows = len(bits)
        self.num_slots = bits.shape[1]
        parts = [np.ones((rows, 1)), bits]
        if controls is not None:
            parts.append(controls)
        self.design = np.concatenate(parts, axis=1)
        self.weights = np.ones(rows) if weights is None else weights
        self.clusterings = tuple(clusterings)
        self._roots: dict[int, list[tuple[Labels, _HalfInverse]]] = {}
        self._root = np.sqrt(self.weights)
        # columns of one length, so that rank and null space do not depend on units
        lengths = np.linalg.norm(self.design, axis=0)
        self._lengths = np.where(lengths > 0, lengths, 1.0)
        exog = self.design / self._lengths * self._root[:, None]
        left, singular, right = np.linalg.svd(exog, full_matrices=False)
        kept = singular > 1e-8 * singular[0]
        self.rank = int(kept.sum())
        self.basis = left[:, kept]
        self._row_space = right[kept]
        self._back = self._row_space.T / singular[kept]
        self.residual_df = rows - self.rank

    @property
    def num_clusters(self) -> int:
        """Clusters of the coarsest way to cluster; rows if each is by itself."""
        if not self.clusterings:
            return len(self.design)
        return min(len(np.unique(labels)) for labels in self.clusterings)

    @cached_property
    def leverage(self) -> Floats:
        """Leverage of each row, ``(rows,)``."""
        return np.asarray(np.clip((self.basis**2).sum(axis=1), 0.0, 1.0))

    def _padded(self, contrast: Floats) -> Floats:
        padded = np.zeros(self.design.shape[1])
        padded[1 : 1 + len(contrast)] = contrast
        return padded / self._lengths

    def estimable(self, contrast: Floats) -> bool:
        """Whether the rows determine this combination of slot effects.

        Args:
            contrast: Weight of each slot, ``(slots,)``.

        Returns:
            True if it lies in the row space of the design.
        """
        padded = self._padded(contrast)
        size = float(np.linalg.norm(padded))
        if size == 0:
            return False
        outside = padded - (padded @ self._row_space.T) @ self._row_space
        return bool(np.linalg.norm(outside) < 1e-7 * size)

    def loads(self, contrast: Floats) -> Loads | None:
        """How a combination of slot effects is estimated from the rows.

        Args:
            contrast: Weight of each slot, ``(slots,)``.

        Returns:
            Its loads; ``None`` if the rows do not determine it, leave no degree of
            freedom for its error, or all lie in one cluster.
        """
        if self.residual_df < 1 or not self.estimable(contrast):
            return None
        rows = self.basis @ (self._padded(contrast) @ self._back)
        if not self.clusterings:
            carried = np.abs(rows) > 1e-10 * np.abs(rows).max()
            if bool((self.leverage[carried] > 1 - SATURATED).any()):
                return Loads(rows, (rows,), (float(self.residual_df),), robust=False)
        adjusted, freedoms = [], []
        for labels in self.clusterings or (None,):
            found = self._adjusted(rows, labels)
            if found is None:
                return None
            adjusted.append(found[0])
            freedoms.append(found[1])
        return Loads(rows, tuple(adjusted), tuple(freedoms))

    def _adjusted(
        self, rows: Floats, labels: Labels | None
    ) -> tuple[Floats, float] | None:
        """CR2-adjusted loads and their degrees of freedom."""
        # A row by itself: (1 - h)^(-1/2). Rows that share luck are done again below.
        spare = np.maximum(1 - self.leverage, SATURATED)
        carried = np.abs(rows) > 1e-10 * np.abs(rows).max()
        adjusted = np.where(carried, rows / np.sqrt(spare), 0.0)
        squares = adjusted**2
        shared = self.basis * adjusted[:, None]
        if labels is not None:
            if bool((self.leverage[carried & _alone(labels)] > 1 - SATURATED).any()):
                return None
            for members, roots in self._shared_luck(labels):
                part = roots.apply(rows[members], float(np.linalg.norm(rows)))
                if part is None:
                    return None
                adjusted[members] = part
            num = int(labels.max()) + 1
            if num < 2:
                return None
            squares = np.bincount(labels, adjusted**2, minlength=num)
            shared = _sum_by(labels, self.basis * adjusted[:, None])
        # The variance is a quadratic form in the errors with the matrix
        # diag(squares) - shared shared'; Satterthwaite from its first two traces.
        overlap = (shared**2).sum(axis=1)
        first = float(squares.sum() - overlap.sum())
        second = float(
            (squares**2).sum()
            - 2 * squares @ overlap
            + ((shared.T @ shared) ** 2).sum()
        )
        if first <= 0 or second <= 0:
            return None
        return adjusted, first**2 / second

    def _shared_luck(self, labels: Labels) -> "list[tuple[Labels, _HalfInverse]]":
        """Clusters of several rows with (I - H)^(-1/2), made once for a clustering."""
        key = id(labels)
        if key not in self._roots:
            counts = np.bincount(labels)
            order = np.argsort(labels, kind="stable")
            groups = np.split(order, np.cumsum(counts)[:-1])
            self._roots[key] = [
                (members, _HalfInverse(self.basis[members]))
                for members in groups
                if len(members) > 1
            ]
        return self._roots[key]

    def whitened(self, responses: Floats) -> Floats:
        """Responses times the root of the weights, ``(rows, tables)``."""
        return np.asarray(responses * self._root[:, None])

    def whitened_residuals(self, whitened: Floats) -> Floats:
        """What the slots leave of whitened responses, rounding errors set to zero."""
        residuals = whitened - self.basis @ (self.basis.T @ whitened)
        floor = TOLERANCE * np.abs(whitened).max(axis=0, initial=0.0)
        residuals[np.abs(residuals) < floor] = 0.0
        return np.asarray(residuals)

    def errors(
        self, loads: Loads, residuals: Floats
    ) -> tuple[Floats, npt.NDArray[np.float64]]:
        """Standard errors of a combination for many responses.

        Args:
            loads: From :meth:`loads`.
            residuals: From :meth:`whitened_residuals`, ``(rows, tables)``.

        Returns:
            Standard errors and degrees of freedom, each ``(tables,)``.
        """
        num = residuals.shape[1]
        if not loads.robust:
            per_row = (residuals**2).sum(axis=0) / self.residual_df
            variance = float(loads.rows @ loads.rows) * per_row
            return np.sqrt(variance), np.full(num, loads.df[0])
        variances = []
        for adjusted, labels in zip(
            loads.adjusted, self.clusterings or (None,), strict=True
        ):
            if labels is None:
                variances.append((adjusted**2) @ residuals**2)
            else:
                sums = _sum_by(labels, adjusted[:, None] * residuals)
                variances.append((sums**2).sum(axis=0))
        if len(variances) == 1:
            return np.sqrt(variances[0]), np.full(num, loads.df[0])
        one, other, both = variances
        variance = np.maximum(np.maximum(one, other), one + other - both)
        return np.sqrt(variance), np.full(num, min(loads.df[:2]))


class _HalfInverse:
    """(I - H)^(-1/2) of a cluster, H its part of the hat matrix, by its low rank."""

    def __init__(self, basis: Floats) -> None:
        left, singular, _ = np.linalg.svd(basis, full_matrices=False)
        values = np.minimum(singular**2, 1.0)
        spare = 1 - values
        self._lost = left[:, spare < SATURATED]
        kept = (values > 1e-12) & (spare >= SATURATED)
        self._left = left[:, kept]
        self._factor = spare[kept] ** -0.5 - 1

    def apply(self, part: Floats, size: float) -> Floats | None:
        """The product; ``None`` if the cluster's luck in it cannot be seen."""
        if bool((np.abs(part @ self._lost) > 1e-8 * size).any()):
            return None
        return np.asarray(part + self._left @ (self._factor * (part @ self._left)))


def _alone(labels: Labels) -> npt.NDArray[np.bool_]:
    return np.asarray(np.bincount(labels)[labels] == 1)


def _sum_by(labels: Labels, rows: Floats) -> Floats:
    """Sums of the rows of each cluster; every number up to the largest occurs."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(int(labels.max()) + 1))
    return np.asarray(np.add.reduceat(rows[order], starts, axis=0))
