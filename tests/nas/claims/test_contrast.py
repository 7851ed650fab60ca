import math
import random
from statistics import fmean

import pytest
from scipy import stats

from nas.claims.contrast import Contrast, Value, contrast


def runs(*values, error=0.0):
    return [Value(value, error) for value in values]


def test_without_errors_of_images_it_is_welchs_test():
    first, second = [0.1, 0.4, 0.2, 0.35], [0.9, 0.7, 1.3]
    found = contrast({"a": runs(*first), "b": runs(*second)}, {"a": 1.0, "b": -1.0})
    truth = stats.ttest_ind(first, second, equal_var=False)
    low, high = truth.confidence_interval(0.95)
    assert found.p == pytest.approx(truth.pvalue)
    assert found.interval == pytest.approx((low, high))
    assert found.num_runs == 7


def test_of_one_network_it_is_the_t_test():
    values = [0.3, 0.1, 0.5]
    found = contrast({"a": runs(*values)}, {"a": 1.0})
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_without_spread_over_seeds_it_is_the_normal_interval_of_the_images():
    found = contrast(
        {"a": runs(0.5, 0.5, error=0.03), "b": runs(0.4, 0.4, error=0.04)},
        {"a": 1.0, "b": -1.0},
    )
    assert found.half_width() == pytest.approx(1.959964 * 0.05, rel=1e-5)
    assert found.p == pytest.approx(2 * stats.norm.sf(0.1 / 0.05), rel=1e-6)


def test_the_p_value_is_the_level_whose_interval_ends_at_zero():
    found = Contrast(0.3, 0.08, 2.7, 0.05, 6)
    assert found.half_width(found.p) == pytest.approx(0.3)


def test_errors_of_images_go_together_within_one_side():
    some = {"a": runs(1.0, 1.1, error=0.2), "b": runs(1.0, 1.2, error=0.2)}
    both = contrast(some, {"a": 0.5, "b": 0.5})
    assert both.image_error == pytest.approx(0.2)
    apart = contrast(some, {"a": 0.5, "b": -0.5})
    assert apart.image_error == pytest.approx(0.2 / math.sqrt(2))


def test_copies_of_one_training_prove_nothing():
    found = contrast({"a": runs(0.9, 0.9), "b": runs(0.1, 0.1)}, {"a": 1.0, "b": -1.0})
    assert found.p == 1.0


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
@pytest.mark.parametrize("image_sd", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("ratio", [1.0, 4.0])
def test_intervals_cover_the_truth_at_least_as_often_as_they_say(
    num_seeds, image_sd, ratio
):
    """Two networks with spreads over seeds 1 and ``ratio``, measured on one sample."""
    rng = random.Random(f"{num_seeds} {image_sd} {ratio}")
    covered = []
    for _ in range(1000):
        shared = [rng.gauss(0, image_sd) for _ in "ab"]
        some = {
            label: [Value(rng.gauss(0, sd) + shift, image_sd) for _ in range(num_seeds)]
            for label, sd, shift in zip("ab", (1.0, ratio), shared, strict=True)
        }
        low, high = contrast(some, {"a": 1.0, "b": -1.0}).interval
        covered.append(low <= 0 <= high)
    # 0.95 less three standard errors of 1000 draws, and the 0.5% by which Welch's
    # degrees of freedom are too many with two or three values.
    assert fmean(covered) > 0.924
