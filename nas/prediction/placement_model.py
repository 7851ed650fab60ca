"""The linear model on placements: what is to be expected of any of them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas.prediction.features import Features
from nas.prediction.linear_model import NUM_DRAWS, LinearModel, Observations
from nas.prediction.slot_space import SlotSpace
from nas.prediction.trained import TrainedTable

Floats = npt.NDArray[np.float64]

_CHUNK = 20_000
"""Placements whose features are in memory at once."""


class PlacementModel:
    """The model fitted to a table.

    Args:
        table: What was trained.
        space: Letters of each slot; holds every placement that is asked about.
        covariates: Columns of the table that predict beside the letters; every trained
            placement has them.
        draws: See :class:`LinearModel`.
        seed: Of the draws.

    Attributes:
        features: Feature map of the letters.
        linear: The fitted model.
    """

    def __init__(
        self,
        table: TrainedTable,
        space: SlotSpace,
        covariates: Sequence[str] = (),
        *,
        draws: int = NUM_DRAWS,
        seed: int = 0,
    ) -> None:
        self.table = table
        self.covariates = tuple(covariates)
        self.features = Features(space)
        self.codes = space.encode(table.placements)
        columns = self._columns(list(table.placements))
        self._centre = columns.mean(axis=0)
        spread = columns.std(axis=0) * np.sqrt(max(len(self.covariates), 1))
        self._spread = np.where(spread > 0, spread, 1.0)
        groups, group_of = self.features.groups, self.features.group_of
        if self.covariates:
            own = np.full(len(self.covariates), len(groups))
            groups, group_of = (*groups, "covariates"), np.append(group_of, own)
        observations = Observations(
            self._design(list(table.placements)),
            table.means,
            table.counts,
            table.within,
        )
        self.linear = LinearModel(
            observations, groups, group_of, draws=draws, seed=seed
        )
        self._row = {name: i for i, name in enumerate(table.placements)}

    def expected(self, placements: Sequence[str]) -> tuple[Floats, Floats]:
        """The metric to be expected over seeds.

        Args:
            placements: Of the space, with all covariates; trained or not.

        Returns:
            Means and standard deviations, ``(placements,)``.
        """
        rows, own = self._trained(placements)
        mean, deviation = np.empty((2, len(placements)))
        untrained = np.setdiff1d(np.arange(len(placements)), rows)
        for start in range(0, len(untrained), _CHUNK):
            chunk = untrained[start : start + _CHUNK]
            mean[chunk], deviation[chunk] = self.linear.predict(
                self._design([placements[i] for i in chunk])
            )
        if len(rows):
            trained = self.linear.trained()
            mean[rows], deviation[rows] = trained[0][own], trained[1][own]
        return mean, deviation

    def worlds(
        self, placements: Sequence[str], count: int, rng: np.random.Generator
    ) -> Floats:
        """Draws of the expected metric of all placements together.

        Args:
            placements: As for :meth:`expected`.
            count: Draws.
            rng: Source of randomness.

        Returns:
            ``(count, placements)``.
        """
        one = self.linear.mixture
        values, vectors = np.linalg.eigh(one.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))
        weights = one.mean + rng.standard_normal((count, len(one.mean))) @ root.T
        design = self._design(placements)
        fitted = weights[:, 1:] @ design.T + weights[:, :1]
        misfit, noise = one.misfit, one.noise
        if not self.linear.tells_noise:
            misfit, noise = misfit / 2, misfit / 2
        rows, own = self._trained(placements)
        spread = np.full(len(placements), np.sqrt(misfit))
        if len(rows):
            data = self.linear.observations
            share = misfit / (misfit + noise / data.counts[own])
            fitted[:, rows] += share * (data.means[own] - fitted[:, rows])
            spread[rows] = np.sqrt(misfit * (1 - share))
        return np.asarray(fitted + spread * rng.standard_normal(fitted.shape))

    def _trained(
        self, placements: Sequence[str]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Which of some placements were trained, and their rows of the table."""
        pairs = [(i, self._row[p]) for i, p in enumerate(placements) if p in self._row]
        both = np.array(pairs, dtype=np.intp).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def _columns(self, placements: Sequence[str]) -> Floats:
        if not self.covariates:
            return np.empty((len(placements), 0))
        known: pd.DataFrame = self.table.known[list(self.covariates)]
        return known.reindex(list(placements)).to_numpy(dtype=float)

    def _design(self, placements: Sequence[str]) -> Floats:
        letters = self.features(self.features.space.encode(placements))
        if not self.covariates:
            return letters
        beside = (self._columns(placements) - self._centre) / self._spread
        return np.concatenate([letters, beside], axis=1)
