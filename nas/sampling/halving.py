"""Successive halving with several objectives: who goes on at a rung.

Asynchronous successive halving (Li et al., MLSys 2020, ASHA, in its stopping form)
ranks the trials at a rung by one number. Here they are ranked by non-domination on
the objectives that are known at the rung, ties by crowding distance (Deb et al.,
2002, NSGA-II), as in MO-ASHA (Schmucker et al., 2021, arXiv 2106.12639). A trial
that is stopped keeps the rung in its record and is never compared with trials that
were trained to the end.
"""

from collections.abc import Hashable, Mapping

import numpy as np

from nas.ledger.trial import Objective
from search_spaces.errors import InputError


def rungs(min_epochs: int, max_epochs: int, reduction_factor: int) -> tuple[int, ...]:
    """Epochs at which trials are compared: a geometric sequence below the budget.

    Args:
        min_epochs: The first rung.
        max_epochs: The full budget, which is not a rung.
        reduction_factor: One in so many goes on.

    Returns:
        The rungs in increasing order.

    Raises:
        InputError: A value is out of range.
    """
    if min_epochs < 1 or reduction_factor < 2:
        raise InputError(
            "fidelity needs min_epochs >= 1 and reduction_factor >= 2, "
            f"got {min_epochs} and {reduction_factor}"
        )
    found = []
    rung = min_epochs
    while rung < max_epochs:
        found.append(rung)
        rung *= reduction_factor
    return tuple(found)


class Halving:
    """Remembers what was measured at each rung and decides who goes on.

    Args:
        objectives: The objectives of the search.
        reduction_factor: About one in so many goes on at each rung.
    """

    def __init__(
        self, objectives: tuple[Objective, ...], reduction_factor: int
    ) -> None:
        self._objectives = objectives
        self._reduction_factor = reduction_factor
        self._rungs: dict[int, dict[Hashable, dict[str, float]]] = {}

    def remember(
        self, key: Hashable, measured: Mapping[int, Mapping[str, float]]
    ) -> None:
        """Take over what a trial had measured before the search was resumed.

        Args:
            key: Identifies the training run; a repeated attempt has the same.
            measured: Metrics by rung.
        """
        for rung, metrics in measured.items():
            self._rungs.setdefault(rung, {})[key] = dict(metrics)

    def promote(self, rung: int, key: Hashable, metrics: Mapping[str, float]) -> bool:
        """Record a trial at a rung and decide whether it goes on.

        Args:
            rung: The rung in epochs.
            key: Identifies the training run.
            metrics: What is known of it there; all costs and usually the accuracy.

        Returns:
            Whether it is among the best ``1 / reduction_factor`` of all trials that
            have reached the rung, itself included. The first trials go on while
            there are fewer than ``reduction_factor``, as in ASHA.
        """
        here = self._rungs.setdefault(rung, {})
        here[key] = dict(metrics)
        known = [
            objective
            for objective in self._objectives
            if all(objective.metric in values for values in here.values())
        ]
        if not known or len(here) < self._reduction_factor:
            return True
        losses = np.array(
            [
                [values[o.metric] * (-1.0 if o.maximize else 1.0) for o in known]
                for values in here.values()
            ]
        )
        place = list(here).index(key)
        num_kept = max(1, len(here) // self._reduction_factor)
        return position(losses, place) < num_kept


def position(losses: np.ndarray, place: int) -> int:
    """Position of one point in the order of NSGA-II: rank, then crowding distance.

    Args:
        losses: ``(points, objectives)``, smaller is better.
        place: Index of the point.

    Returns:
        How many points come before it. Points that are equal in rank and crowding
        distance keep the order of the rows.
    """
    remaining = np.arange(len(losses))
    before = 0
    while True:
        front = _front(losses[remaining])
        members = remaining[front]
        if place in members:
            break
        before += len(members)
        remaining = remaining[~front]
    distance = _crowding_distance(losses[members])
    order = np.argsort(-distance, kind="stable")
    return before + int(np.flatnonzero(members[order] == place)[0])


def _front(losses: np.ndarray) -> np.ndarray:
    """Mask of the non-dominated rows of ``(points, objectives)``."""
    mask = np.ones(len(losses), dtype=bool)
    for index, point in enumerate(losses):
        no_worse = (losses <= point).all(axis=1)
        better = (losses < point).any(axis=1)
        mask[index] = not (no_worse & better).any()
    return mask


def _crowding_distance(losses: np.ndarray) -> np.ndarray:
    """Crowding distance of each row of one front ``(points, objectives)``."""
    distance = np.zeros(len(losses))
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        values = column[order]
        span = values[-1] - values[0]
        distance[order[[0, -1]]] = np.inf
        if span > 0:
            distance[order[1:-1]] += (values[2:] - values[:-2]) / span
    return distance
