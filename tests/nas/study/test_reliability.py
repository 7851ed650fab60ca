import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from evaluators.registry import all_metrics
from nas.study.reliability import rank_ceiling, reliability
from nas.study.study import Study


def test_shrout_and_fleiss_1979_table_four():
    # Six targets, four judges; the paper gives ICC(1,1) = .17 and [-.13, .72].
    table = [
        [9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8],
        [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7],
    ]  # fmt: skip
    groups = [i for i, row in enumerate(table) for _ in row]
    found = reliability(groups, [v for row in table for v in row])
    assert found is not None
    assert (found.icc, found.low, found.high) == pytest.approx(
        (0.17, -0.13, 0.72), abs=0.005
    )
    assert found.exact
    assert found.num_repeated == 6


def test_agrees_with_a_mixed_model_on_unbalanced_data():
    rng = np.random.default_rng(0)
    groups = [i for i in range(150) for _ in range(1 + i % 3)]
    level = rng.normal(0, 1, 150)
    values = [
        level[g] + e for g, e in zip(groups, rng.normal(0, 0.6, 300), strict=True)
    ]
    found = reliability(groups, values)
    frame = pd.DataFrame({"value": values, "group": groups})
    fit = smf.mixedlm("value ~ 1", frame, groups=frame["group"]).fit()
    between, within = float(fit.cov_re.iloc[0, 0]), fit.scale
    assert found is not None
    assert found.icc == pytest.approx(between / (between + within), abs=0.02)
    assert not found.exact


@pytest.mark.parametrize("icc", [0.0, 0.5, 0.9])
def test_intervals_hold_the_truth_with_24_of_136_placements_repeated(icc):
    rng = np.random.default_rng(0)
    groups = [*range(136), *range(24)]
    inside = 0
    for _ in range(400):
        level = rng.normal(0, np.sqrt(icc), 136)
        values = level[groups] + rng.normal(0, np.sqrt(1 - icc), 160)
        found = reliability(groups, values.tolist())
        assert found is not None
        inside += found.low <= icc <= found.high
    assert 0.92 <= inside / 400 <= 0.98


@pytest.mark.parametrize(
    ("groups", "values"),
    [
        ([], []),
        (["a", "b"], [1.0, 2.0]),
        (["a", "a", "b"], [1.0, 2.0, 3.0]),
        (["a", "a", "b", "b"], [1.0, 1.0, 1.0, 1.0]),
        (["a", "a", "b", "b"], [1.0, np.nan, 1.0, 2.0]),
    ],
)
def test_none_without_repeats_or_variance(groups, values):
    assert reliability(groups, values) is None


def test_no_noise_is_an_icc_of_one():
    found = reliability(["a", "a", "b", "b"], [1.0, 1.0, 2.0, 2.0])
    assert found is not None
    assert (found.icc, found.low, found.high) == (1, 1, 1)


def test_the_published_study_by_metric():
    found = Study.open("results/cifar10-placement").reliability()
    assert found["accuracy"].icc == pytest.approx(0.79, abs=0.01)
    assert found["nll"].icc > found["ece"].icc > found["nep"].icc
    assert found["nep"].low < 0 < found["nep"].high
    assert "params" not in found
    flag = all_metrics()["nep"].noise
    assert f"{found['nep'].icc:.2f} [{found['nep'].low:.2f}" in flag
    assert not all_metrics()["accuracy"].noise


def test_ceiling_is_the_rank_correlation_of_truth_and_measurement():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    measured = truth + rng.normal(0, np.sqrt(0.25 / 0.75), 4000)
    kendall, spearman = rank_ceiling(0.75)
    assert kendall == pytest.approx(stats.kendalltau(truth, measured)[0], abs=0.02)
    assert spearman == pytest.approx(stats.spearmanr(truth, measured)[0], abs=0.02)
    assert rank_ceiling(-0.2) == (0, 0)
    assert rank_ceiling(1.0) == pytest.approx((1, 1))
