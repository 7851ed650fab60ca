import math

import numpy as np
import pytest
from scipy import stats

from nas.ledger.trial import TrialState
from nas.study.parent_difference import ParentComparison, parent_network


def test_without_repeats_the_errors_of_measuring_are_used(make_trial):
    trials = [
        make_trial(0, "CC", accuracy=0.7, standard_errors={"accuracy": 0.03}),
        make_trial(1, "CM", accuracy=0.8, standard_errors={"accuracy": 0.04}),
        make_trial(2, "MM", accuracy=0.9),
    ]
    comparison = ParentComparison.of(trials, "accuracy")
    found = comparison.difference(trials[1])
    assert found.difference == pytest.approx(0.1)
    # two networks are compared with the parent: 2.5% / 2 to each side
    assert found.half_width == pytest.approx(stats.norm.ppf(1 - 0.0125) * 0.05)
    assert not found.can_be_told
    assert comparison.difference(trials[0]) is None  # the parent itself
    assert comparison.difference(trials[2]) is None  # no error is known
    assert "measuring alone" in comparison.sentence()


def test_repeats_tell_the_noise_of_training(make_trial):
    values = {"CC": (0.70, 0.72), "CM": (0.80, 0.84), "MM": (0.71,)}
    runs = [(p, s, v) for p, vs in values.items() for s, v in enumerate(vs)]
    trials = [
        make_trial(i, p, accuracy=v, seed=s, standard_errors={"accuracy": 9.0})
        for i, (p, s, v) in enumerate(runs)
    ]
    comparison = ParentComparison.of(trials, "accuracy")
    noise = math.sqrt((2 * 0.01**2 + 2 * 0.02**2) / 2)
    assert comparison.noise == pytest.approx(noise)
    one = comparison.difference(trials[-1])
    quantile = stats.t.ppf(1 - 0.05 / 4, 2)
    assert one.half_width == pytest.approx(quantile * noise * math.sqrt(1 + 1 / 2))
    assert "spread between seeds" in comparison.sentence()


def test_no_parent_or_no_error_is_no_comparison(make_trial):
    plain = [make_trial(0, "CC", accuracy=0.7), make_trial(1, "CM", accuracy=0.8)]
    assert ParentComparison.of(plain, "accuracy") is None
    assert ParentComparison.of(plain, "params") is None
    assert ParentComparison.of(plain[1:], "accuracy") is None
    failed = make_trial(0, "CC", TrialState.FAILED, accuracy=0.7)
    assert ParentComparison.of([failed, plain[1]], "accuracy") is None


def test_of_several_all_conv_networks_the_baseline_is_the_parent(make_trial):
    named = make_trial(0, "CC-C", accuracy=1, baseline="all_conv")
    other = make_trial(1, "CCC", accuracy=1)
    assert parent_network([named, other]) == ("CC-C", 3)
    assert parent_network([other, make_trial(2, "CC", accuracy=1)]) is None
    assert parent_network([other]) == ("CCC", 3)


@pytest.mark.parametrize("repeats", [1, 3])
def test_equal_networks_are_told_in_at_most_a_twentieth_of_studies(make_trial, repeats):
    rng = np.random.default_rng(repeats)
    wrong = 0
    for _ in range(200):
        trials = [
            make_trial(
                repeats * i + seed,
                "CC" if i == 0 else f"CM-{'C' * i}",
                accuracy=rng.normal(0.8, 0.02),
                seed=seed,
                standard_errors={"accuracy": 0.02},
            )
            for i in range(12)
            for seed in range(repeats)
        ]
        comparison = ParentComparison.of(trials, "accuracy")
        found = map(comparison.difference, trials[repeats:])
        wrong += any(one.can_be_told for one in found)
    # 0.05 of 200 is 10; 20 or more has a chance below 0.003
    assert wrong < 20


def test_a_planted_effect_is_told(make_trial):
    trials = [
        make_trial(
            3 * i + seed, p, accuracy=0.8 + effect + 0.001 * seed, seed=seed
        )
        for i, (p, effect) in enumerate((("CC", 0), ("CM", 0.05), ("MC", 0.0005)))
        for seed in range(3)
    ]  # fmt: skip
    comparison = ParentComparison.of(trials, "accuracy")
    assert comparison.difference(trials[3]).can_be_told
    assert not comparison.difference(trials[6]).can_be_told
