import numpy as np
import pytest
from prediction_plants import NINE
from scipy import optimize, stats

from nas.prediction.features import Features
from nas.prediction.linear_model import LinearModel, Observations


def _observations(num, replicates, seed=0):
    rng = np.random.default_rng(seed)
    features = Features(NINE)
    codes = np.unique(NINE.sample(rng, num), axis=0)
    num = len(codes)
    counts = np.where(np.arange(num) < 12, replicates, 1).astype(float)
    design = features(codes)
    means = design @ rng.normal(0, 0.4, features.size) + rng.normal(0, 0.3, num)
    within = 0.4 * (counts.sum() - num)
    return features, Observations(design, 5 + 7 * means, counts, 49 * within)


@pytest.mark.parametrize("num", [30, 200])  # solved over placements, over features
@pytest.mark.parametrize("replicates", [1, 3])
def test_loss_gradient_and_left_out_values_are_those_of_the_dense_gaussian(
    num, replicates
):
    features, data = _observations(num, replicates)
    model = LinearModel(data, features.groups, features.group_of, draws=0)
    problem = model._problem
    assert problem.over_placements == (num == 30)
    point = np.random.default_rng(1).normal(-1, 0.5, len(model.mode))
    groups, misfit, noise = problem._unpack(point)
    prior = problem._prior_variances(groups)
    covariance = problem.design * prior @ problem.design.T
    covariance += np.diag(misfit + noise / data.counts)
    size = len(problem.targets)
    zero = np.zeros(size)
    dense = -stats.multivariate_normal.logpdf(problem.targets, zero, covariance)
    dense -= size / 2 * np.log(2 * np.pi)
    if replicates > 1:
        # the density of the sum of squares, a multiple of chi-square
        degrees = data.degrees
        density = stats.gamma.logpdf(problem.within, degrees / 2, scale=2 * noise)
        constant = stats.gamma.logpdf(problem.within, degrees / 2, scale=2)
        dense += constant - density + problem.within / 2
    for log_sd, scale in zip(point, problem.prior_scales, strict=True):
        density = stats.halfcauchy.logpdf(np.exp(log_sd), scale=scale) + log_sd
        dense -= density - np.log(2 / np.pi / scale)
    assert problem.loss(point)[0] == pytest.approx(dense)
    error = optimize.check_grad(
        lambda x: problem.loss(x)[0], lambda x: problem.loss(x)[1], point
    )
    assert error < 1e-3 * np.abs(problem.loss(point)[1]).max()

    left_out, variances = problem.leave_one_out(point)
    for row in (0, size // 2):
        others = np.arange(size) != row
        cross = covariance[row, others]
        mean = cross @ np.linalg.solve(
            covariance[np.ix_(others, others)], problem.targets[others]
        )
        variance = covariance[row, row] - cross @ np.linalg.solve(
            covariance[np.ix_(others, others)], cross
        )
        assert left_out[row] == pytest.approx(mean * model.scale + model.centre)
        assert variances[row] == pytest.approx(variance * model.scale**2)

    posterior = problem.posterior(point)
    weights = (
        prior[:, None] * problem.design.T @ np.linalg.solve(covariance, problem.targets)
    )
    expected = weights * model.scale
    expected[0] += model.centre
    assert posterior.mean == pytest.approx(expected, abs=1e-8)


def test_replicates_tell_noise_from_misfit():
    rng = np.random.default_rng(3)
    features = Features(NINE)
    codes = np.concatenate(list(NINE.enumerate()))[::3]
    num = len(codes)
    means = features(codes)[:, 0] + rng.normal(0, 0.5, num)
    noise = rng.normal(0, 0.2, (num, 4))
    within = ((noise - noise.mean(axis=1, keepdims=True)) ** 2).sum()
    data = Observations(
        features(codes), means + noise.mean(axis=1), np.full(num, 4.0), within
    )
    model = LinearModel(data, features.groups, features.group_of)
    assert model.variances["noise"] == pytest.approx(0.04, rel=0.25)
    assert model.variances["misfit"] == pytest.approx(0.25, rel=0.35)
    assert model.tells_noise


def test_units_and_offset_of_the_metric_do_not_matter():
    features, data = _observations(60, 2)
    moved = Observations(
        data.features, 1000 - 3 * data.means, data.counts, 9 * data.within
    )
    one, other = (
        LinearModel(d, features.groups, features.group_of) for d in (data, moved)
    )
    mean, deviation = one.predict(data.features)
    twin, twin_deviation = other.predict(data.features)
    assert twin == pytest.approx(1000 - 3 * mean, rel=1e-3)
    assert twin_deviation == pytest.approx(3 * deviation, rel=0.05)


def test_a_mean_of_many_trainings_is_believed_and_a_single_one_is_shrunken():
    features, data = _observations(100, 1)
    counts = np.ones(len(data.counts))
    counts[:20] = 50
    data = Observations(data.features, data.means, counts, 49.0 * 49 * 20)
    model = LinearModel(data, features.groups, features.group_of)
    mean, deviation = model.trained()
    untrained, _ = model.leave_one_out()
    moved = (mean - untrained) / (data.means - untrained)
    assert np.median(moved[:20]) > 0.8 > np.median(moved[20:])
    assert deviation[:20].mean() < deviation[20:].mean()
