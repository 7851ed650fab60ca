"""A Bayesian linear model whose few variances the data choose.

    y = offset + features @ weights + misfit + noise

The weights of a group of features share a variance, the misfit of a placement is what
no feature explains, and the noise is what differs between trainings of one placement.
Placements that were trained several times tell noise and misfit apart; without any of
them only their sum is known. The variances are found by maximising the marginal
likelihood under weak priors (empirical Bayes, as in Williams & Rasmussen, Gaussian
Processes for Machine Learning, 2006, sec. 5.4.1; the weights and the offset are
integrated out in closed form), and their own uncertainty is kept: the posterior is a
mixture over draws of the variances, weighted by importance, without which intervals
from 20 trainings are too narrow (benchmarks/prediction.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]

OFFSET_VARIANCE = 100.0
"""Prior variance of the offset, in variances of the data: as good as flat."""

PRIOR_SCALES = {
    "letters": 0.25,
    "stages": 0.175,
    "slots": 1.0,
    "squares": 0.08,
    "adjacency": 0.08,
    "pairs": 0.1,
    "far_pairs": 0.1,
    "covariates": 0.5,
}
"""Scale of the half-Cauchy prior on a group's standard deviation, in standard
deviations of the data; our choice: slots first, interactions last. The half-Cauchy
(Gelman, Bayesian Analysis 1:515, 2006) lets the data overrule it either way, so that
the scales matter with few trainings only (benchmarks/README.md, `prediction.py`)."""

MISFIT_SCALE = 0.4
NOISE_SCALE = 0.3

NUM_DRAWS = 48
"""Draws of the variances; our choice, more change intervals by less than 1%."""


@dataclass(frozen=True, eq=False)
class Observations:
    """Trainings, put together by placement.

    Attributes:
        features: ``(placements, features)``.
        means: Mean of the metric over the trainings of each placement.
        counts: Trainings of each placement.
        within: Sum of squared deviations of trainings from their placement's mean.
    """

    features: Floats
    means: Floats
    counts: Floats
    within: float = 0.0

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the noise."""
        return float(self.counts.sum()) - len(self.counts)

    def only(self, rows: npt.NDArray[np.intp]) -> "Observations":
        """Some of the placements; the noise keeps all of its degrees' mean square."""
        kept = Observations(self.features[rows], self.means[rows], self.counts[rows])
        if not self.degrees:
            return kept
        return replace(kept, within=self.within / self.degrees * kept.degrees)


@dataclass(frozen=True, eq=False)
class Posterior:
    """Posterior of the weights given one value of the variances, in data units.

    Attributes:
        mean: ``(1 + features,)``, the offset first.
        covariance: ``(1 + features, 1 + features)``.
        misfit: Variance of the misfit of a placement.
        noise: Variance of a training around its placement.
    """

    mean: Floats
    covariance: Floats
    misfit: float
    noise: float


class LinearModel:
    """The model, fitted.

    Args:
        observations: What was trained; at least two placements of different means.
        groups: Name of each group of features.
        group_of: Group of each feature, ``(features,)``.
        draws: Draws of the variances; 0 uses the most probable ones alone, which is
            quick and all that choosing the next training needs.
        start: Logarithms of standard deviations to start from, e.g. ``mode`` of an
            earlier fit to fewer trainings.
        iterations: Most steps of the optimiser.
        seed: Of the draws.

    Attributes:
        mode: Logarithms of the most probable standard deviations, standardised.
        posteriors: One for each draw.
        weights: Weight of each draw; they sum to one.
        variances: Most probable variance of each group, ``misfit`` and ``noise``, in
            data units. Without repeated placements ``noise`` is 0 and ``misfit`` is
            their sum.
    """

    def __init__(
        self,
        observations: Observations,
        groups: Sequence[str],
        group_of: npt.NDArray[np.int64],
        *,
        draws: int = NUM_DRAWS,
        start: Floats | None = None,
        iterations: int = 100,
        seed: int = 0,
    ) -> None:
        self.observations = observations
        self.groups, self.group_of = tuple(groups), group_of
        self.centre = float(observations.means.mean())
        self.scale = float(observations.means.std())
        self._has_noise = observations.degrees > 0
        self._problem = _Problem(observations, len(groups), group_of, self)
        if start is None or len(start) != len(self._problem.prior_scales):
            start = self._start()
        found = minimize(
            self._problem.loss, start, jac=True, method="L-BFGS-B",
            bounds=[(-9.0, 3.0)] * len(start), options={"maxiter": iterations},
        )  # fmt: skip
        self.mode: Floats = found.x
        points, self.weights = self._draw(draws, np.random.default_rng(seed))
        self._points = points
        self.posteriors = [self._problem.posterior(point) for point in points]
        names = [*self.groups, "misfit", *(["noise"] if self._has_noise else [])]
        best = np.exp(2 * self.mode) * self.scale**2
        self.variances = dict(zip(names, best.tolist(), strict=True))
        self.variances.setdefault("noise", 0.0)

    @property
    def tells_noise(self) -> bool:
        """Whether some placement was trained more than once."""
        return self._has_noise

    @cached_property
    def mixture(self) -> Posterior:
        """Mean and covariance of the weights over all draws."""
        means = np.array([one.mean for one in self.posteriors])
        mean = self.weights @ means
        away = means - mean
        covariance = (away.T * self.weights) @ away
        for weight, one in zip(self.weights, self.posteriors, strict=True):
            covariance += weight * one.covariance
        misfit = float(self.weights @ [one.misfit for one in self.posteriors])
        noise = float(self.weights @ [one.noise for one in self.posteriors])
        return Posterior(mean, covariance, misfit, noise)

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """The expected metric of placements, without what their own trainings add.

        Args:
            features: ``(placements, features)``.

        Returns:
            Means and standard deviations (misfit included), each ``(placements,)``.
        """
        design = _with_offset(features)
        one = self.mixture
        spread = np.einsum("np,pq,nq->n", design, one.covariance, design, optimize=True)
        return design @ one.mean, np.sqrt(np.maximum(spread, 0) + one.misfit)

    def trained(self) -> tuple[Floats, Floats]:
        """The expected metric of the trained placements, their trainings included.

        A placement's own mean counts as far as the noise allows. Without repeated
        placements nobody knows how far: half of what no feature explains is then
        taken for noise (our choice, in the middle of what is possible).

        Returns:
            Means and standard deviations, each ``(placements,)``.
        """
        data = self.observations
        design = _with_offset(data.features)
        means, squares = np.zeros(len(design)), np.zeros(len(design))
        for weight, one in zip(self.weights, self.posteriors, strict=True):
            misfit, noise = one.misfit, one.noise
            if not self._has_noise:
                misfit, noise = misfit / 2, misfit / 2
            own = misfit / (misfit + noise / data.counts)
            fitted = design @ one.mean
            spread = np.einsum(
                "np,pq,nq->n", design, one.covariance, design, optimize=True
            )
            mean = fitted + own * (data.means - fitted)
            means += weight * mean
            variance = (1 - own) ** 2 * np.maximum(spread, 0) + misfit * (1 - own)
            squares += weight * (variance + mean**2)
        return means, np.sqrt(np.maximum(squares - means**2, 0))

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """What the model says of each trained placement without its trainings.

        Exact for each draw of the variances (Rasmussen & Williams 2006, eq. 5.12); the
        draws are weighted anew without the placement that is left out.

        Returns:
            Means and standard deviations of the *measured* mean (noise of its own
            trainings included), each ``(placements,)``.
        """
        data = self.observations
        found = [self._problem.leave_one_out(point) for point in self._points]
        means = np.array([one[0] for one in found])
        variances = np.array([one[1] for one in found])
        log_density = -0.5 * (np.log(variances) + (data.means - means) ** 2 / variances)
        log_weights = np.log(np.maximum(self.weights, 1e-300))[:, None] - log_density
        weights = np.exp(log_weights - log_weights.max(axis=0))
        weights /= weights.sum(axis=0)
        mean = (weights * means).sum(axis=0)
        square = (weights * (variances + means**2)).sum(axis=0)
        return mean, np.sqrt(np.maximum(square - mean**2, 0))

    def _start(self) -> Floats:
        start = [np.log(PRIOR_SCALES[name]) for name in self.groups]
        start.append(np.log(MISFIT_SCALE))
        if self._has_noise:
            data = self.observations
            pure = np.sqrt(data.within / data.degrees) / self.scale
            start.append(float(np.clip(np.log(max(pure, 1e-9)), -6, 2)))
        return np.array(start)

    def _draw(self, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Variances from a Student t around the mode, with importance weights."""
        if not count:
            return self.mode[None], np.ones(1)
        curvature = self._problem.curvature(self.mode)
        values, vectors = np.linalg.eigh(curvature)
        # Where the data say nothing the prior's own curvature is about a quarter.
        root = vectors / np.sqrt(np.clip(values, 0.25, None))
        degrees = 5.0
        normal = rng.standard_normal((count, len(self.mode)))
        stretch = np.sqrt(rng.chisquare(degrees, count) / degrees)
        away = normal / stretch[:, None]
        points = np.clip(self.mode + away @ root.T, -9.0, 3.0)
        log_proposal = (
            -0.5
            * (degrees + len(self.mode))
            * np.log1p((away**2).sum(axis=1) / degrees)
        )
        losses = np.array([self._problem.loss(point)[0] for point in points])
        log_weights = -losses - log_proposal
        weights = np.exp(log_weights - log_weights.max())
        # Truncated importance sampling (Ionides, J. Comput. Graph. Stat. 17, 2008).
        weights = np.minimum(weights, weights.mean() * np.sqrt(count))
        return points, weights / weights.sum()


class _Problem:
    """Marginal likelihood of standardised data, its gradient, and posteriors.

    Where there are fewer placements than features the equations are solved over the
    placements, else over the features.
    """

    def __init__(
        self,
        data: Observations,
        num_groups: int,
        group_of: npt.NDArray[np.int64],
        model: LinearModel,
    ) -> None:
        self.design = _with_offset(data.features)
        self.targets = (data.means - model.centre) / model.scale
        self.counts = data.counts
        self.within = data.within / model.scale**2
        self.degrees = data.degrees
        self.num_groups, self.group_of = num_groups, group_of
        self.centre, self.scale = model.centre, model.scale
        scales = [PRIOR_SCALES[name] for name in model.groups] + [MISFIT_SCALE]
        self.prior_scales = np.array(
            [*scales, *([NOISE_SCALE] if self.degrees else [])]
        )
        self.over_placements = len(self.design) < self.design.shape[1]
        if self.over_placements:
            blocks = [self.design[:, 1:][:, group_of == g] for g in range(num_groups)]
            self.kernels = [block @ block.T for block in blocks]
        else:
            self.levels = np.unique(self.counts)
            masks = [self.counts == level for level in self.levels]
            self.grams = [self.design[m].T @ self.design[m] for m in masks]
            self.moments = [self.design[m].T @ self.targets[m] for m in masks]
            self.powers = [float(self.targets[m] @ self.targets[m]) for m in masks]
            self.nums = [int(m.sum()) for m in masks]

    def _unpack(self, point: Floats) -> tuple[Floats, float, float]:
        """Group variances, misfit and noise."""
        variances = np.exp(2 * point)
        noise = float(variances[self.num_groups + 1]) if self.degrees else 0.0
        return variances[: self.num_groups], float(variances[self.num_groups]), noise

    def _prior_variances(self, groups: Floats) -> Floats:
        return np.concatenate([[OFFSET_VARIANCE], groups[self.group_of]])

    def loss(self, point: Floats) -> tuple[float, Floats]:
        """Negative log posterior of the log standard deviations, and its gradient."""
        groups, misfit, noise = self._unpack(point)
        by_groups = np.zeros(self.num_groups)
        if self.over_placements:
            value, by_misfit, by_noise = self._over_placements(
                groups, misfit, noise, by_groups
            )
        else:
            value, by_misfit, by_noise = self._over_features(
                groups, misfit, noise, by_groups
            )
        gradient = [*(by_groups * groups * 2), by_misfit * misfit * 2]
        if self.degrees:
            value += 0.5 * (self.degrees * np.log(noise) + self.within / noise)
            by_noise += 0.5 * (self.degrees / noise - self.within / noise**2)
            gradient.append(by_noise * noise * 2)
        # half-Cauchy on each standard deviation, as a density of its logarithm
        ratio = np.exp(2 * point) / self.prior_scales**2
        value += float((np.log1p(ratio) - point).sum())
        return value, np.array(gradient) + 2 * ratio / (1 + ratio) - 1

    def _over_placements(
        self, groups: Floats, misfit: float, noise: float, by_groups: Floats
    ) -> tuple[float, float, float]:
        factor, _ = self._factor_placements(groups, misfit, noise)
        inverse = cho_solve(factor, np.eye(len(self.targets)))
        alpha = inverse @ self.targets
        value = float(np.log(np.diag(factor[0])).sum() + 0.5 * self.targets @ alpha)
        for g, kernel in enumerate(self.kernels):
            by_groups[g] = 0.5 * ((inverse * kernel).sum() - alpha @ kernel @ alpha)
        by_diagonal = 0.5 * (np.diag(inverse) - alpha**2)
        return value, float(by_diagonal.sum()), float((by_diagonal / self.counts).sum())

    def _factor_placements(
        self, groups: Floats, misfit: float, noise: float
    ) -> tuple[tuple[Floats, bool], Floats]:
        covariance = np.full((len(self.targets),) * 2, OFFSET_VARIANCE)
        for variance, kernel in zip(groups, self.kernels, strict=True):
            covariance += variance * kernel
        covariance[np.diag_indices_from(covariance)] += misfit + noise / self.counts
        return cho_factor(covariance, lower=True), covariance

    def _over_features(
        self, groups: Floats, misfit: float, noise: float, by_groups: Floats
    ) -> tuple[float, float, float]:
        prior = self._prior_variances(groups)
        mean, covariance, log_det = self._solve_features(prior, misfit, noise)
        value, by_misfit, by_noise = 0.5 * log_det, 0.0, 0.0
        for level, gram, moment, power, num in zip(
            self.levels, self.grams, self.moments, self.powers, self.nums, strict=True
        ):
            diagonal = misfit + noise / level
            error = power - 2 * mean @ moment + mean @ gram @ mean
            leverage = float((covariance * gram).sum())
            value += 0.5 * (num * np.log(diagonal) + error / diagonal)
            by = 0.5 * (num / diagonal - (leverage + error) / diagonal**2)
            by_misfit += by
            by_noise += by / level
        value += 0.5 * float((mean**2 / prior).sum())
        each = 1 / prior - (np.diag(covariance) + mean**2) / prior**2
        by_groups += 0.5 * np.bincount(
            self.group_of, weights=each[1:], minlength=self.num_groups
        )
        return float(value), float(by_misfit), float(by_noise)

    def _solve_features(
        self, prior: Floats, misfit: float, noise: float
    ) -> tuple[Floats, Floats, float]:
        """Posterior mean and covariance of the weights, and log |I + V^½ A V^½|."""
        root = np.sqrt(prior)
        gram = np.zeros((len(prior),) * 2)
        moment = np.zeros(len(prior))
        for level, one, cross in zip(
            self.levels, self.grams, self.moments, strict=True
        ):
            gram += one / (misfit + noise / level)
            moment += cross / (misfit + noise / level)
        inner = root[:, None] * gram * root
        inner[np.diag_indices_from(inner)] += 1.0
        factor = cho_factor(inner, lower=True)
        log_det = 2 * float(np.log(np.diag(factor[0])).sum())
        inverse = cho_solve(factor, np.eye(len(prior)))
        covariance = root[:, None] * inverse * root
        return covariance @ moment, covariance, log_det

    def curvature(self, point: Floats) -> Floats:
        """Hessian of the loss, by differences of its gradient."""
        step = 1e-3
        rows = []
        for i in range(len(point)):
            away = np.zeros(len(point))
            away[i] = step
            up, down = self.loss(point + away)[1], self.loss(point - away)[1]
            rows.append((up - down) / (2 * step))
        found = np.array(rows)
        return (found + found.T) / 2

    def posterior(self, point: Floats) -> Posterior:
        """Posterior of the weights in data units."""
        groups, misfit, noise = self._unpack(point)
        prior = self._prior_variances(groups)
        if self.over_placements:
            factor, _ = self._factor_placements(groups, misfit, noise)
            cross = self.design * prior
            mean = cross.T @ cho_solve(factor, self.targets)
            covariance = np.diag(prior) - cross.T @ cho_solve(factor, cross)
        else:
            mean, covariance, _ = self._solve_features(prior, misfit, noise)
        mean = mean * self.scale
        mean[0] += self.centre
        square = self.scale**2
        return Posterior(mean, covariance * square, misfit * square, noise * square)

    def leave_one_out(self, point: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of each measured mean without itself, in data units."""
        groups, misfit, noise = self._unpack(point)
        diagonal = misfit + noise / self.counts
        if self.over_placements:
            factor, _ = self._factor_placements(groups, misfit, noise)
            inverse = cho_solve(factor, np.eye(len(self.targets)))
            precision, alpha = np.diag(inverse), inverse @ self.targets
        else:
            prior = self._prior_variances(groups)
            mean, covariance, _ = self._solve_features(prior, misfit, noise)
            leverage = np.einsum(
                "np,pq,nq->n", self.design, covariance, self.design, optimize=True
            )
            alpha = (self.targets - self.design @ mean) / diagonal
            precision = 1 / diagonal - leverage / diagonal**2
        left_out = self.targets - alpha / precision
        return left_out * self.scale + self.centre, self.scale**2 / precision


def _with_offset(features: Floats) -> Floats:
    return np.concatenate([np.ones((len(features), 1)), features], axis=1)
