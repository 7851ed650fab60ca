import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from nas.rule.slot_regression import SlotRegression, t_quantile, t_tail


def problem(seed=0, rows=30, slots=4):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (rows, slots)).astype(float)
    values = bits @ rng.normal(size=slots) + rng.normal(size=rows) * (1 + bits[:, 0])
    return bits, values


@pytest.mark.parametrize("weighted", [False, True])
def test_effects_and_errors_are_those_of_statsmodels_hc2(weighted):
    bits, values = problem()
    weights = np.linspace(0.5, 2, len(values)) if weighted else np.ones(len(values))
    fit = sm.WLS(values, sm.add_constant(bits), weights).fit(cov_type="HC2")
    regression = SlotRegression(bits, values, weights)
    for slot in range(4):
        found = regression.estimate(np.eye(4)[slot])
        assert found.effect == pytest.approx(fit.params[slot + 1])
        assert found.standard_error == pytest.approx(fit.bse[slot + 1])
    contrast = np.array([1, -1 / 3, -1 / 3, -1 / 3])
    wald = fit.t_test(np.r_[0, contrast])
    found = regression.estimate(contrast)
    assert found.effect == pytest.approx(float(wald.effect[0]))
    assert found.standard_error == pytest.approx(float(wald.sd[0, 0]))


def test_degrees_of_freedom_match_the_distribution_of_the_variance():
    # Satterthwaite: df = 2 mean^2 / variance of the variance estimator under equal
    # variances, here by the naive n x n formula and by simulation.
    bits, values = problem(rows=14)
    contrast = np.array([1.0, 0, 0, -1])
    regression = SlotRegression(bits, values)
    design = sm.add_constant(bits)
    inverse = np.linalg.pinv(design)
    maker = np.eye(14) - design @ inverse
    loads = np.r_[0, contrast] @ inverse
    middle = maker @ np.diag(loads**2 / np.diag(maker)) @ maker
    naive = np.trace(middle) ** 2 / np.trace(middle @ middle)
    assert regression.estimate(contrast).df == pytest.approx(naive)
    noise = np.random.default_rng(1).normal(size=(20_000, 14))
    variances = np.einsum("ni,ij,nj->n", noise, middle, noise)
    simulated = 2 * variances.mean() ** 2 / variances.var()
    assert naive == pytest.approx(simulated, rel=0.05)


@pytest.mark.parametrize("spread", ["equal", "unequal"])
def test_intervals_of_few_rows_cover_the_truth(spread):
    rng = np.random.default_rng(2)
    misses = 0
    for _ in range(600):
        bits = rng.integers(0, 2, (14, 4)).astype(float)
        scale = 1 + 2 * bits[:, 0] if spread == "unequal" else np.ones(14)
        found = SlotRegression(bits, rng.normal(size=14) * scale).estimate(
            np.array([1.0, 0, 0, 0])
        )
        if found is not None:
            misses += not found.ci[0] <= 0 <= found.ci[1]
    # Binomial: 30 expected at 5%; 99.9% of the time within 16 and 48.
    assert misses <= 48


def test_only_what_the_rows_determine_is_estimable():
    bits = np.array(
        [[0, 0, 1, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]] * 3, dtype=float
    )
    regression = SlotRegression(bits, np.arange(12.0))
    eye = np.eye(4)
    assert not regression.estimable(eye[0])  # changes only together with slot 1
    assert not regression.estimable(eye[0] - eye[1])
    assert regression.estimable(eye[0] + eye[1])
    assert not regression.estimable(eye[2])  # never varied
    assert regression.estimable(eye[3])
    assert regression.estimate(eye[0]) is None


def test_at_a_fixed_count_only_differences_are_estimable():
    bits = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]] * 3, dtype=float)
    regression = SlotRegression(bits, np.array([1.0, 2, 4] * 3) + np.arange(9) / 100)
    eye = np.eye(3)
    assert not regression.estimable(eye[0])
    assert regression.estimate(eye[2] - eye[0]).effect == pytest.approx(3.02)


def test_without_spare_rows_there_is_no_interval():
    bits = np.eye(3)
    assert SlotRegression(bits, np.ones(3)).estimate(np.array([1.0, -1, 0])) is None


def test_exact_data_give_exact_effects_and_no_false_ones():
    bits, _ = problem()
    found = SlotRegression(bits, 0.7 + 0.1 * bits[:, 1]).estimate(np.eye(4)[1])
    assert found.effect == pytest.approx(0.1) and found.p == 0
    assert found.ci == (found.effect, found.effect)
    found = SlotRegression(bits, 0.7 + 0.1 * bits[:, 1]).estimate(np.eye(4)[2])
    assert found.effect == 0 and found.p == 1 and found.ci == (0, 0)
    assert found.p_above(1) == found.p_above(-1) == 1


def test_a_row_that_alone_carries_a_slot_falls_back_to_equal_variances():
    bits = np.zeros((8, 2))
    bits[:4, 0] = 1
    bits[0, 1] = 1  # the only row with slot 1
    values = np.array([3.0, 1, 2, 1.5, 0, 0.5, -0.5, 0])
    found = SlotRegression(bits, values).estimate(np.array([0.0, 1]))
    classical = sm.OLS(values, sm.add_constant(bits)).fit()
    assert found.effect == pytest.approx(classical.params[2])
    assert found.standard_error == pytest.approx(classical.bse[2])
    assert found.df == 5


def test_scale_of_the_metric_does_not_matter():
    bits, values = problem()
    small = SlotRegression(bits, values * 1e-8).estimate(np.eye(4)[0])
    large = SlotRegression(bits, values * 1e8).estimate(np.eye(4)[0])
    assert small.p == pytest.approx(large.p)
    assert small.effect * 1e16 == pytest.approx(large.effect)


def test_t_functions_are_those_of_scipy():
    assert t_quantile(0.975, 7.3) == pytest.approx(stats.t.ppf(0.975, 7.3))
    assert t_tail(2.1, 4.5) == pytest.approx(stats.t.sf(2.1, 4.5))


def test_clusters_are_those_of_the_naive_cr2():
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2, (60, 4)).astype(float)
    values = rng.normal(size=60)
    labels = np.repeat(np.arange(14), [1, 1, 2, 3, 4, 4, 4, 5, 5, 5, 6, 6, 7, 7])
    contrast = np.array([1.0, 0, 0, -1])
    found = SlotRegression(bits, values, clusterings=[labels]).estimate(contrast)
    design = sm.add_constant(bits)
    inverse = np.linalg.pinv(design)
    maker = np.eye(60) - design @ inverse
    loads = np.r_[0, contrast] @ inverse
    variance, middle = 0.0, np.zeros((60, 60))
    for label in range(14):
        inside = labels == label
        sizes, vectors = np.linalg.eigh(maker[np.ix_(inside, inside)])
        root = vectors @ np.diag(sizes**-0.5) @ vectors.T
        adjusted = np.zeros(60)
        adjusted[inside] = root @ loads[inside]
        variance += float(adjusted @ maker @ values) ** 2
        middle += np.outer(maker @ adjusted, maker @ adjusted)
    assert found.standard_error == pytest.approx(variance**0.5)
    naive = np.trace(middle) ** 2 / np.trace(middle @ middle)
    assert found.df == pytest.approx(naive)
