"""Thompson sampling of placements from the posterior of the linear model.

One draw of the weights is a world in which every placement has a value; the best
placement of that world is trained next (Thompson, Biometrika 25:285, 1933). Draws
differ, so many workers may ask at once without being told of each other's choices.
With several objectives the placement whose drawn values add most hypervolume to the
front is trained next; hypervolume is measured by random scalarisations (Golovin &
Zhang, ICML 2020, arXiv 2006.04655).
Constraints are drawn like objectives; a world's best placement keeps to them.

Knows neither Optuna nor studies.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.blas import dsymv, dsyr

from nas.prediction.features import Features, Quadratic
from nas.prediction.linear_model import (
    OFFSET_VARIANCE,
    LinearModel,
    Observations,
)
from nas.prediction.slot_space import Codes, SlotSpace

Floats = npt.NDArray[np.float64]
Code = npt.NDArray[np.int64]

MAX_LISTED = 10_000
"""Largest space whose placements are compared one by one (our choice: a millisecond);
larger ones are climbed."""

NUM_STARTS = 24
"""Climbs of a larger space: half from the best known placements, half from anywhere."""

REFIT_GROWTH = 1.15
"""Variances are fitted anew after so much more data; the weights after every trial."""

MAX_REFIT = 400
"""Trials from which the variances stay as they are: they are known well by then."""

_MOST_UPDATES = 256
"""Updates of a covariance before it is computed anew, against rounding (our choice)."""

MIN_TRIALS = 3
"""Different placements before there is a model."""


NUM_DIRECTIONS = 32
"""Directions in which hypervolume is measured (our choice)."""

_BEYOND = 0.5
"""Reference point of the hypervolume beyond the worst seen, in ranges of what was seen;
our choice: nearer ones leave the ends of the front alone."""

_LAST = -1e6
"""Score from which placements that break a bound count down."""


class Output:
    """Posterior of one objective or constraint, larger being better.

    Args:
        features: Feature map of the space.
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        size = features.size + 1
        self._gram, self._moment = np.zeros((size, size)), np.zeros(size)
        self._codes: list[Code] = []
        self._designs = np.empty((64, size))
        self._covariance: Floats | None = None
        self._num_updates = 0
        self.values: list[float] = []
        self._fitted_at = 0
        self._mode: Floats | None = None
        self._prior: Floats | None = None
        self._spread, self._centre, self._scale = 1.0, 0.0, 1.0

    def add(self, code: Code, design: Floats, value: float) -> None:
        """Learn from one training.

        Args:
            code: The placement, ``(slots,)``.
            design: One, then its features.
            value: What was measured.
        """
        self._gram += np.outer(design, design)
        self._moment += design * value
        self._codes.append(code)
        count = len(self.values)
        if count == len(self._designs):
            more = np.empty_like(self._designs)
            self._designs = np.concatenate([self._designs, more])
        self._designs[count] = design
        self.values.append(value)
        if self._covariance is not None:
            self._update(design)

    def draw(self, rng: np.random.Generator, temperature: float) -> Floats | None:
        """Weights of one world, the offset first.

        Args:
            rng: Source of randomness.
            temperature: Factor on the spread of the draw; 0 gives the mean.

        Returns:
            ``(1 + features,)``, or ``None`` while there is no model.
        """
        count = len(self.values)
        due = count >= max(MIN_TRIALS, self._fitted_at * REFIT_GROWTH)
        if due and (self._prior is None or self._fitted_at < MAX_REFIT):
            self._refit()
        if self._prior is None:
            return None
        if self._covariance is None or self._num_updates >= _MOST_UPDATES:
            precision = self._gram / self._spread
            precision[np.diag_indices_from(precision)] += 1 / self._prior
            factor = cho_factor(precision, lower=True)
            inverse = cho_solve(factor, np.eye(len(precision)))
            self._covariance = np.asfortranarray(inverse)
            self._num_updates = 0
        # A draw is the mean for data and prior with as much noise again as they have
        # (Papandreou & Yuille, NeurIPS 2010): exact, and without a factorisation.
        moment = (self._moment - self._centre * self._gram[:, 0]) / self._scale
        total = moment / self._spread
        if temperature:
            noise = rng.standard_normal(count) @ self._designs[:count]
            noise /= np.sqrt(self._spread)
            noise += rng.standard_normal(len(noise)) / np.sqrt(self._prior)
            total += temperature * noise
        weights = dsymv(self._scale, self._covariance, total, lower=1)
        weights[0] += self._centre
        return np.asarray(weights)

    def _update(self, design: Floats) -> None:
        """Take one more training into the covariance (Sherman & Morrison)."""
        along = dsymv(1.0, self._covariance, design, lower=1)
        factor = -1 / (self._spread + float(along @ design))
        # of a symmetric matrix, only the lower half is kept up to date
        self._covariance = dsyr(
            factor, along, a=self._covariance, lower=1, overwrite_a=1
        )
        self._num_updates += 1

    def _refit(self) -> None:
        values = np.array(self.values)
        codes = np.array(self._codes)
        _, first, which, counts = np.unique(
            codes, axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        means = np.bincount(which.ravel(), values) / counts
        if len(means) < MIN_TRIALS or np.ptp(means) <= 1e-12 * np.abs(means).max():
            return
        within = float(((values - means[which.ravel()]) ** 2).sum())
        design = self._designs[first, 1:]
        data = Observations(design, means, counts.astype(float), within)
        groups, group_of = self._features.groups, self._features.group_of
        model = LinearModel(
            data,
            groups,
            group_of,
            draws=0,
            start=self._mode,
            iterations=40,
        )
        self._mode, self._fitted_at = model.mode, len(values)
        self._centre, self._scale = model.centre, model.scale
        variances = np.exp(2 * model.mode)
        self._prior = np.append(OFFSET_VARIANCE, variances[: len(groups)][group_of])
        self._spread = float(variances[len(groups) :].sum())
        self._covariance = None


class ThompsonProposer:
    """Proposes placements of a space.

    Args:
        space: Letters of each slot.
        num_objectives: How many objectives there are; larger is better in all.
        rng: Source of randomness.
        num_startup: Placements to spread over the space first.
        temperature: See :meth:`Output.draw`.
        avoid_repeats: Whether a placement is proposed once only, as long as there are
            others.
    """

    def __init__(
        self,
        space: SlotSpace,
        num_objectives: int,
        rng: np.random.Generator,
        *,
        num_startup: int,
        temperature: float = 1.0,
        avoid_repeats: bool = True,
    ) -> None:
        self.space = space
        self._rng = rng
        self._num_startup, self._temperature = num_startup, temperature
        self._avoid_repeats = avoid_repeats
        self._features = Features(space)
        self._objectives = [Output(self._features) for _ in range(num_objectives)]
        self._constraints: dict[str, Output] = {}
        self._shape = tuple(len(choices) for choices in space.letters)
        self._seen: set[tuple[int, ...]] = set()
        self._num_learned = 0
        self._listed: Codes | None = None
        self._listed_design = np.empty((0, 0))
        self._unseen = np.empty(0, dtype=bool)
        self._quadratic = Quadratic(self._features)
        if space.size <= MAX_LISTED:
            self._listed = np.concatenate(list(space.enumerate()))
            self._listed_design = _with_offset(self._features(self._listed))
            self._unseen = np.ones(len(self._listed), dtype=bool)

    def see(self, code: Code) -> None:
        """Do not propose this placement (again)."""
        key = tuple(code.tolist())
        if key not in self._seen:
            self._seen.add(key)
            if self._listed is not None:
                self._unseen[int(np.ravel_multi_index(key, self._shape))] = False

    def forget(self, code: Code) -> None:
        """A placement that was seen may be proposed again: its training failed."""
        key = tuple(code.tolist())
        self._seen.discard(key)
        if self._listed is not None:
            self._unseen[int(np.ravel_multi_index(key, self._shape))] = True

    def learn(
        self,
        code: Code,
        values: Sequence[float] | None,
        constraints: Mapping[str, float],
    ) -> None:
        """Learn from a finished trial.

        Args:
            code: The placement, ``(slots,)``.
            values: Its objectives, larger being better; ``None`` if it was not trained.
            constraints: By how much it misses each constraint; at most 0 is kept.
        """
        self._num_learned += 1
        design = _with_offset(self._features(code[None]))[0]
        if values is not None:
            for output, value in zip(self._objectives, values, strict=True):
                output.add(code, design, float(value))
        for name, amount in constraints.items():
            if name not in self._constraints:
                self._constraints[name] = Output(self._features)
            self._constraints[name].add(code, design, -float(amount))

    def propose(self) -> Code:
        """The placement to train next, ``(slots,)``."""
        worlds = [o.draw(self._rng, self._temperature) for o in self._objectives]
        bounds = [
            output.draw(self._rng, self._temperature)
            for output in self._constraints.values()
        ]
        kept = [bound for bound in bounds if bound is not None]
        unknown = any(world is None for world in worlds)
        if self._num_learned < self._num_startup or (unknown and not kept):
            return self._spread_out()
        if unknown:  # nothing that keeps to the constraints was found yet
            size = self._features.size + 1
            worlds = [self._rng.standard_normal(size) for _ in worlds]
        weights = np.array([*worlds, *kept], dtype=float)
        score = self._scalarisation()
        if self._listed is not None:
            scores = score(self._listed_design @ weights.T)
            if self._avoid_repeats and self._unseen.any():
                scores = np.where(self._unseen, scores, -np.inf)
            return np.asarray(self._listed[int(scores.argmax())])
        return self._climb(weights, score)

    def _scalarisation(self) -> "_Score":
        observed = np.array([output.values for output in self._objectives])
        if not observed.size:
            observed = np.zeros((len(self._objectives), 1))
        low, high = observed.min(axis=1), observed.max(axis=1)
        width = np.where(high > low, high - low, 1.0)
        num = NUM_DIRECTIONS if len(observed) > 1 else 1
        directions = np.abs(self._rng.standard_normal((num, len(observed))))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        weights = width * np.maximum(directions, 1e-3)
        return _Score(low - _BEYOND * width, weights, observed.T)

    def _spread_out(self) -> Code:
        """Of random placements the one farthest from all that were seen."""
        drawn = self.space.sample(self._rng, 64)
        if not self._seen:
            return np.asarray(drawn[0])
        seen = np.array(sorted(self._seen))
        # Allowing for ties: the nearest counts first, then the mean distance.
        distance = (drawn[:, None] != seen).sum(axis=2)
        return np.asarray(
            drawn[int((distance.min(axis=1) + 1e-3 * distance.mean(axis=1)).argmax())]
        )

    def _climb(self, weights: Floats, score: "_Score") -> Code:
        """The best unseen placement of a world, by climbing from several places."""
        quadratic = self._quadratic
        parts = [quadratic.of(one[1:]) for one in weights]
        constants = np.array([p[0] for p in parts]) + weights[:, 0]
        linear = np.array([p[1] for p in parts])
        pairs = np.array([p[2] for p in parts])
        letters = self.space.letters
        slot_of = np.repeat(np.arange(len(letters)), self._shape)
        first = np.cumsum([0, *self._shape])[:-1]
        codes = self._starts(score)
        one_hot = quadratic.one_hot(codes)
        scores = np.empty((len(codes), len(slot_of)))
        moves = np.arange(len(codes))  # those that still climb
        for _ in range(4 * len(letters)):
            some = one_hot[moves]
            field = linear[:, None] + some @ pairs  # (outputs, starts, entries)
            value = constants[:, None] + 0.5 * ((field + linear[:, None]) * some).sum(
                axis=2
            )
            here = np.take_along_axis(field, (codes[moves] + first)[None], axis=2)
            near = value[:, :, None] + field - here[:, :, slot_of]
            found = score(np.moveaxis(near, 0, -1))
            scores[moves] = found
            now = score(value.T)
            best = found.argmax(axis=1)
            gain = found.max(axis=1) > now + 1e-12 * (1 + np.abs(now))
            moves, best = moves[gain], best[gain]
            if not len(moves):
                break
            slots = slot_of[best]
            one_hot[moves, first[slots] + codes[moves, slots]] = 0.0
            codes[moves, slots] = best - first[slots]
            one_hot[moves, best] = 1.0
        # Of equal climbs one is enough, and so is one of the slots to leave as it is.
        alone = np.sort(np.unique(codes, axis=0, return_index=True)[1])
        codes, scores = codes[alone], scores[alone].copy()
        own = first[1:] + codes[:, 1:]
        np.put_along_axis(scores, own, -np.inf, axis=1)
        for place in np.argsort(-scores, axis=None, kind="stable"):
            row, entry = divmod(int(place), scores.shape[1])
            code = codes[row].copy()
            code[slot_of[entry]] = entry - first[slot_of[entry]]
            if not self._avoid_repeats or tuple(code.tolist()) not in self._seen:
                return np.asarray(code)
        return self._spread_out()

    def _starts(self, score: "_Score") -> Codes:
        output = self._objectives[0]
        known: list[Code] = []
        if output.values:
            values = score(np.array([o.values for o in self._objectives]).T)
            best = np.argsort(-values, kind="stable")[: NUM_STARTS // 2]
            known = [output._codes[i] for i in best]
        drawn = self.space.sample(self._rng, NUM_STARTS - len(known))
        return np.array([*known, *drawn], dtype=np.int64)


class _Score:
    """Joins objectives, the first columns, and constraints, the others.

    One objective is its own score. Several are scored by the mean gain in hypervolume
    over random directions; what gains nothing is scored by how near it comes.

    Args:
        reference: Worst value of each objective.
        weights: Divisors of what is beyond it, ``(directions, objectives)``.
        observed: Objectives of finished trials, ``(trials, objectives)``.
    """

    def __init__(self, reference: Floats, weights: Floats, observed: Floats) -> None:
        self._reference, self._weights = reference, weights
        self._best = self._lengths(observed).max(axis=0)

    def _lengths(self, values: Floats) -> Floats:
        """How far values reach in each direction, ``(..., directions)``."""
        # objective by objective: a minimum over an axis of two is slow
        parts = zip(self._reference, self._weights.T, strict=True)
        found: Floats | None = None
        for at, (reference, weights) in enumerate(parts):
            beyond = (values[..., at, None] - reference) * (1 / weights)
            found = beyond if found is None else np.minimum(found, beyond, out=beyond)
        assert found is not None
        return found

    def __call__(self, values: Floats) -> Floats:
        """Score values ``(..., outputs)``; larger is better, broken bounds are last."""
        num = len(self._reference)
        lengths = self._lengths(values[..., :num])
        if num == 1:
            score = lengths[..., 0]
        else:
            # The mean over directions as a product: twice as fast as mean().
            share = np.full(lengths.shape[-1], 1 / lengths.shape[-1])
            reached = np.maximum(lengths, self._best)
            nearness = (lengths - reached) @ share
            score = (reached**num) @ share - self._best**num @ share + 1e-3 * nearness
        if values.shape[-1] > num:
            broken = np.minimum(values[..., num:], 0.0).sum(axis=-1)
            score = np.where(broken < 0, _LAST + broken, score)
        return np.asarray(score)


def _with_offset(features: Floats) -> Floats:
    return np.concatenate([np.ones((len(features), 1)), features], axis=1)
