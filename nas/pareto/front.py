"""Non-dominated trials and the hypervolume they cover.

Everything here is exact and works on any number of objectives. Inside, every
objective is turned into a loss (smaller is better), so that dominance and volume
know one direction only.

A trial with a missing value (NaN) is never on the front and dominates nothing.
Equal points do not dominate each other: replicas of a front point are all on it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.html_table import html_table
from search_spaces.errors import InputError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

REFERENCE_MARGIN = 0.1
"""How far beyond the worst value the default reference lies, as a share of the range.

Our choice: on the worst value itself the end points of a front would count for
nothing. A tenth is the share that BoTorch's `infer_reference_point` takes, too.
"""


def non_dominated(values: ArrayLike, directions: Sequence[str]) -> Mask:
    """Find the points that no other point beats.

    A point beats another if it is at least as good in every objective and better
    in one.

    Args:
        values: ``(points, objectives)``; NaN marks a missing value.
        directions: ``"maximize"`` or ``"minimize"`` for each objective.

    Returns:
        ``(points,)``, true where the point is on the front.

    Raises:
        InputError: Shapes do not match or a direction is unknown.
    """
    losses = _losses(values, directions)
    front = np.zeros(len(losses), dtype=bool)
    present = np.flatnonzero(~np.isnan(losses).any(axis=1))
    front[present] = _minimal(losses[present])
    return front


def hypervolume(
    values: ArrayLike, reference: ArrayLike, directions: Sequence[str]
) -> float:
    """Volume that the points dominate, up to the reference point.

    Exact, by moocore. Points that are not better than the reference in every
    objective add nothing, nor do points with a missing value.

    Args:
        values: ``(points, objectives)``.
        reference: ``(objectives,)``; NaN, as `reference_point` gives it for an
            objective that no point has, makes the volume 0.
        directions: ``"maximize"`` or ``"minimize"`` for each objective.

    Returns:
        The volume, in the product of the objectives' units; 0 without points.

    Raises:
        InputError: Shapes do not match, a direction is unknown, or the reference
            is infinite.
    """
    gains = _gains(values, reference, directions)
    gains = gains[(gains > 0).all(axis=1)]
    if np.isinf(gains).any():
        return math.inf
    return _volume(gains[_minimal(-gains)])


def hypervolume_over_trials(
    values: ArrayLike, reference: ArrayLike, directions: Sequence[str]
) -> Floats:
    """Hypervolume after each point, in the order given.

    Args:
        values: ``(points, objectives)``.
        reference: ``(objectives,)``; NaN, as `reference_point` gives it for an
            objective that no point has, makes the volume 0.
        directions: ``"maximize"`` or ``"minimize"`` for each objective.

    Returns:
        ``(points,)``, never falling; the last one is the hypervolume of all.

    Raises:
        InputError: As for `hypervolume`.
    """
    gains = _gains(values, reference, directions)
    totals = np.zeros(len(gains))
    front = gains[:0]
    total = 0.0
    for index, gain in enumerate(gains):
        if (gain > 0).all() and not (front >= gain).all(axis=1).any():
            if np.isinf(gain).any():
                totals[index:] = math.inf
                return totals
            front = np.vstack([front[~(front <= gain).all(axis=1)], gain])
            total = max(total, _volume(front))  # rounding must not make it fall
        totals[index] = total
    return totals


def reference_point(values: ArrayLike, directions: Sequence[str]) -> Floats:
    """Choose a reference point a little worse than the worst of all the points.

    Args:
        values: ``(points, objectives)``; points of every study to be compared.
        directions: ``"maximize"`` or ``"minimize"`` for each objective.

    Returns:
        ``(objectives,)``: the worst finite value of each objective, worsened by
        `REFERENCE_MARGIN` of its range. Where all values are equal the margin is
        that share of the value, or of 1 for zero. NaN for an objective that has
        no finite value.

    Raises:
        InputError: Shapes do not match or a direction is unknown.
    """
    losses = _losses(values, directions)
    worst = np.full(losses.shape[1], math.nan)
    for column, column_losses in enumerate(losses.T):
        finite = column_losses[np.isfinite(column_losses)]
        if len(finite):
            span = float(np.ptp(finite)) or abs(float(finite[0])) or 1.0
            worst[column] = finite.max() + REFERENCE_MARGIN * span
    return worst * _signs(directions)


@dataclass(frozen=True)
class ParetoFront:
    """Points, which of them count, and which of those nothing beats.

    Attributes:
        metrics: Name of each objective.
        directions: ``"maximize"`` or ``"minimize"`` for each objective.
        values: ``(points, objectives)``; NaN marks a missing value.
        feasible: ``(points,)``; an infeasible point is shown but is not on the
            front, beats nothing and covers no volume.
    """

    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    values: Floats
    feasible: Mask

    @classmethod
    def of(
        cls,
        values: ArrayLike,
        metrics: Sequence[str],
        directions: Sequence[str],
        feasible: ArrayLike | None = None,
    ) -> "ParetoFront":
        """Build a front from plain lists.

        Args:
            values: ``(points, objectives)``.
            metrics: Name of each objective.
            directions: ``"maximize"`` or ``"minimize"`` for each objective.
            feasible: ``(points,)``; every point if ``None``.

        Returns:
            The front.

        Raises:
            InputError: Shapes do not match or a direction is unknown.
        """
        _signs(directions)
        if len(metrics) != len(directions):
            raise InputError(
                f"every metric needs one direction, got {len(metrics)} metrics and "
                f"{len(directions)} directions"
            )
        array = np.asarray(values, dtype=float).reshape(-1, len(metrics))
        mask = (
            np.ones(len(array), dtype=bool)
            if feasible is None
            else np.asarray(feasible, dtype=bool)
        )
        return cls(tuple(metrics), tuple(directions), array, mask)

    @cached_property
    def is_pareto(self) -> Mask:
        """``(points,)``, true where the point is feasible and on the front."""
        return non_dominated(self._counted(), self.directions)

    def reference(self) -> Floats:
        """``(objectives,)``: the default reference point of all these points."""
        return reference_point(self.values, self.directions)

    def _repr_html_(self) -> str:
        """The points of the front as a table, for notebooks."""
        axes = zip(self.metrics, self.directions, strict=True)
        return html_table(
            [f"{name} ({direction})" for name, direction in axes],
            self.values[self.is_pareto].tolist(),
        )

    def hypervolume(self, reference: ArrayLike | None = None) -> float:
        """Volume that the feasible points dominate.

        Args:
            reference: ``(objectives,)``; the default reference if ``None``.

        Returns:
            The volume; 0 without points.
        """
        return hypervolume(self._counted(), *self._with(reference))

    def hypervolume_over_trials(self, reference: ArrayLike | None = None) -> Floats:
        """Hypervolume after each point.

        Args:
            reference: ``(objectives,)``; the default reference if ``None``.

        Returns:
            ``(points,)``, never falling.
        """
        return hypervolume_over_trials(self._counted(), *self._with(reference))

    def box(self, reference: ArrayLike | None = None) -> float:
        """Volume between the reference and the best value of each objective.

        The hypervolume divided by it says how much of what is thinkable from
        these points the front reaches: 1 if one point is best at everything.

        Args:
            reference: ``(objectives,)``; the default reference if ``None``.

        Returns:
            The volume; 0 without points.
        """
        point, directions = self._with(reference)
        gains = _gains(self._counted(), point, directions)
        gains = gains[~np.isnan(gains).any(axis=1)]
        if not len(gains):
            return 0.0
        return float(np.prod(np.clip(gains.max(axis=0), 0, None)))

    def _counted(self) -> Floats:
        counted = self.values.copy()
        counted[~self.feasible] = math.nan
        return counted

    def _with(self, reference: ArrayLike | None) -> tuple[ArrayLike, tuple[str, ...]]:
        if reference is None:
            reference = self.reference()
        return reference, self.directions


def _signs(directions: Sequence[str]) -> Floats:
    """``(objectives,)``: -1 where a larger value is better, else 1."""
    for direction in directions:
        if direction not in ("maximize", "minimize"):
            raise InputError(
                f"a direction must be 'maximize' or 'minimize', got {direction!r}"
            )
    return np.array([-1.0 if d == "maximize" else 1.0 for d in directions])


def _losses(values: ArrayLike, directions: Sequence[str]) -> Floats:
    array = np.asarray(values, dtype=float)
    if array.size == 0:
        array = array.reshape(-1, len(directions))
    if array.ndim != 2 or array.shape[1] != len(directions):
        raise InputError(
            "values must have one row a point and one column an objective "
            f"({len(directions)}), got shape {array.shape}"
        )
    return array * _signs(directions)


def _gains(
    values: ArrayLike, reference: ArrayLike, directions: Sequence[str]
) -> Floats:
    """How much better than the reference, ``(points, objectives)``."""
    losses = _losses(values, directions)
    point = np.asarray(reference, dtype=float)
    if point.shape != (len(directions),) or np.isinf(point).any():
        raise InputError(
            f"a reference point needs {len(directions)} finite values, "
            f"got {point.tolist()}"
        )
    gains: Floats = point * _signs(directions) - losses
    return gains


def _minimal(losses: Floats) -> Mask:
    """``(points,)``, true where no other row is as small everywhere and smaller once.

    Rows must be free of NaN.
    """
    if losses.shape[1] == 0 or len(losses) == 0:
        return np.ones(len(losses), dtype=bool)
    import moocore  # not at the top: reading a study must not wait for it

    # Ranks instead of values keep the order and are finite: moocore 0.3.2 reads outside
    # its memory where one of three or more objectives is infinite.
    ranks = [np.unique(column, return_inverse=True)[1] for column in losses.T]
    minimal: Mask = moocore.is_nondominated(
        np.stack(ranks, axis=1).astype(float), keep_weakly=True
    )
    return minimal


def _volume(gains: Floats) -> float:
    """Volume of the union of the boxes from 0 to each row of positive gains."""
    if len(gains) == 0:
        return 0.0
    if gains.shape[1] == 1:
        return float(gains.max())
    import moocore

    return float(moocore.hypervolume(gains, np.zeros(gains.shape[1]), maximise=True))


def common_reference(fronts: Sequence[ParetoFront]) -> Floats:
    """A reference point a little worse than the worst point of all the fronts.

    Args:
        fronts: Fronts with the same axes.

    Returns:
        ``(objectives,)``.
    """
    values = np.concatenate([front.values for front in fronts])
    return reference_point(values, fronts[0].directions)
