"""Planted truths: what the verdict must be, and how often it may be wrong."""

import dataclasses
from itertools import product

import numpy as np
import pandas as pd
import pytest
from rule_plants import at, free_design, table
from scipy import stats

from nas.rule.rule_test import known_direction, rule_test
from search_spaces.errors import InputError

DEPTHS = ((3, 3, 3), (2, 2, 2, 2), (3, 4, 6, 3), (4, 4))


def at_most(rate, num_tables):
    """The largest share that a true rate gives in 999 of 1000 repetitions."""
    return stats.binom.ppf(0.999, num_tables, rate) / num_tables


def test_less_is_better_turns_the_good_side_round():
    rng = np.random.default_rng(3)
    bits = free_design(rng, 136, (3, 3, 3))
    values = at("last", -2.0)(bits, (3, 3, 3)) + rng.normal(size=136)
    data = table(bits, values, (3, 3, 3))
    assert rule_test(data, direction="maximize").verdict == "contradicted"
    assert rule_test(data, direction="minimize").verdict == "supported"
    undecided = rule_test(data, direction="none")
    assert undecided.verdict == "inconclusive"
    assert "--direction" in undecided.reasons[0]


def test_strided_first_blocks_are_reported_apart():
    rng = np.random.default_rng(4)
    bits = free_design(rng, 200, (3, 3, 3))
    values = at("strided", -2.0)(bits, (3, 3, 3)) + rng.normal(size=200)
    test = rule_test(table(bits, values, (3, 3, 3)))
    assert test.strided_first_blocks.ci[1] < 0
    low, high = test.end_of_stage.ci
    assert low < 0 < high
    assert [s.strided for s in test.slots] == [0, 0, 0, 1, 0, 0, 1, 0, 0]
    assert test.end_of_stage_with_strided.ci[0] > 0
    assert test.to_dict()["end_of_stage_with_strided"]["ci"][0] > 0
    assert test.verdict == "inconclusive"


def test_a_least_bad_place_is_not_support():
    rng = np.random.default_rng(5)
    bits = free_design(rng, 200, (3, 3, 3))
    values = at("last", 2.0)(bits, (3, 3, 3)) - 4 * bits.sum(axis=1)
    test = rule_test(table(bits, values + rng.normal(size=200), (3, 3, 3)))
    assert test.end_of_stage.ci[0] > 0 and test.ends_help is False
    assert test.verdict == "inconclusive"
    assert any("least bad" in reason for reason in test.reasons)


def test_whether_the_ends_help_is_said():
    rng = np.random.default_rng(6)
    bits = free_design(rng, 100, (3, 3, 3))
    values = at("last", 2.0)(bits, (3, 3, 3)) + rng.normal(size=100)
    test = rule_test(table(bits, values, (3, 3, 3)))
    assert test.ends_help is True and test.verdict == "supported"
    assert rule_test(table(bits, rng.normal(size=100), (3, 3, 3))).ends_help is None
    less = rule_test(table(bits, values, (3, 3, 3)), direction="minimize")
    assert less.ends_help is False
    none = rule_test(table(bits, values, (3, 3, 3)), direction="none")
    assert none.ends_help is None


@pytest.mark.parametrize("num_rows", [1, 2, 3, 5])
def test_few_trials_are_inconclusive(num_rows):
    for depths in DEPTHS:
        rng = np.random.default_rng(num_rows)
        bits = free_design(rng, num_rows, depths)
        test = rule_test(table(bits, at("last", 5.0)(bits, depths), depths))
        assert test.verdict == "inconclusive"
        assert test.to_dict()["num_trials"] == num_rows


def test_few_spare_placements_are_inconclusive_whatever_the_effect():
    bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    values = [0.0, 1.0, 0.0, 1.0]
    test = rule_test(table(bits, values, (2,)))
    assert test.verdict == "inconclusive" and "too few placements" in test.reasons[0]


def test_equal_values_everywhere_are_inconclusive():
    bits = free_design(np.random.default_rng(0), 40, (3, 3))
    test = rule_test(table(bits, np.full(40, 0.7), (3, 3)))
    assert test.verdict == "inconclusive"
    assert test.end_of_stage.effect == 0 and test.end_of_stage.ci == (0, 0)


def test_exact_data_are_read_exactly():
    bits = free_design(np.random.default_rng(0), 60, (3, 3, 3))
    last = bits[:, [2, 5, 8]].sum(axis=1)
    test = rule_test(table(bits, 0.7 + 0.01 * last, (3, 3, 3)))
    assert test.verdict == "supported"
    assert test.end_of_stage.effect == pytest.approx(0.01)
    late = rule_test(table(bits, 0.7 + 0.01 * bits[:, 6:].sum(axis=1), (3, 3, 3)))
    assert late.verdict == "negligible" and late.end_of_stage.effect == 0
    assert late.end_of_model.effect == pytest.approx(0.01)


def test_one_placement_again_and_again_is_inconclusive():
    bits = np.tile([0, 1, 0, 1], (20, 1))
    values = np.random.default_rng(0).normal(size=20)
    test = rule_test(table(bits, values, (2, 2)))
    assert test.verdict == "inconclusive" and test.num_placements == 1
    assert all(slot.effect.reason for slot in test.slots)


def test_slots_without_an_effect_say_why():
    rng = np.random.default_rng(5)
    bits = free_design(rng, 50, (3, 3))
    bits[:, 0], bits[:, 3], bits[:, 5] = 0, 1, bits[:, 4]
    test = rule_test(table(bits, rng.normal(size=50), (3, 3)))
    reasons = [slot.effect.reason for slot in test.slots]
    assert reasons[0] == "never varied: Conv in every placement"
    assert reasons[3] == "never varied: MSA in every placement"
    assert (
        reasons[4] == reasons[5] == "collinear: changed only together with other slots"
    )
    assert test.slots[1].effect.effect is not None
    data = test.to_dict()
    assert data["slots"][0]["effect"] is None and data["slots"][0]["ci"] == [None, None]
    assert test.end_of_stage.stages == (1,)


def test_slot_effects_recover_planted_ones():
    rng = np.random.default_rng(6)
    truth = rng.normal(size=9)
    covered = 0
    for _ in range(60):
        bits = free_design(rng, 60, (3, 3, 3))
        test = rule_test(table(bits, bits @ truth + rng.normal(size=60), (3, 3, 3)))
        for slot, effect in zip(test.slots, truth, strict=True):
            low, high = slot.effect.ci
            covered += low <= effect <= high
    assert covered / 540 == pytest.approx(0.95, abs=0.035)


def test_seeds_of_a_placement_are_not_independent_trials():
    # Ten seeds each of 20 placements that differ by more than the noise: taken for 200
    # trials, the intervals would be three times too short.
    rng = np.random.default_rng(7)
    misses = 0
    everything = np.array([[n >> i & 1 for i in range(6)] for n in range(64)])
    for _ in range(100):
        bits = rng.permutation(everything)[:20]
        shared = rng.normal(size=20)
        values = np.repeat(shared, 10) + 0.1 * rng.normal(size=200)
        test = rule_test(table(np.repeat(bits, 10, axis=0), values, (2, 2, 2)))
        low, high = test.end_of_stage.ci
        misses += low is not None and not low <= 0 <= high
    assert misses / 100 <= at_most(0.05, 100)
    assert test.noise["replicate_sd"] == pytest.approx(0.1, abs=0.02)
    assert test.num_trials == 200


def test_holm_is_that_of_statsmodels():
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(8)
    bits = free_design(rng, 40, (3, 3))
    test = rule_test(table(bits, bits[:, 2] + rng.normal(size=40), (3, 3)))
    expected = multipletests([s.effect.p for s in test.slots], method="holm")[1]
    assert [slot.p_holm for slot in test.slots] == pytest.approx(list(expected))


def test_a_planted_pair_leads_the_interactions():
    rng = np.random.default_rng(9)
    bits = free_design(rng, 120, (3, 3))
    values = 3 * bits[:, 1] * bits[:, 4] + rng.normal(size=120)
    test = rule_test(table(bits, values, (3, 3)))
    first = test.interactions[0]
    assert first.slots == ((1, 2), (2, 2)) and first.p_holm < 0.001
    assert first.effect.ci[0] < 3 < first.effect.ci[1]
    assert test.num_pairs == 15


def test_an_interaction_is_that_of_statsmodels():
    import statsmodels.api as sm

    rng = np.random.default_rng(10)
    bits = free_design(rng, 60, (2, 2))
    values = rng.normal(size=60)
    test = rule_test(table(bits, values, (2, 2)))
    (i, j) = (2 * (s - 1) + b - 1 for s, b in test.interactions[0].slots)
    # Same placements are averaged first, so compare with their means.
    unique, group = np.unique(bits, axis=0, return_inverse=True)
    means = np.bincount(group.ravel(), values) / np.bincount(group.ravel())
    weights = np.bincount(group.ravel())
    design = sm.add_constant(np.column_stack([unique, unique[:, i] * unique[:, j]]))
    plain = sm.OLS(means, design).fit()
    weighted = sm.WLS(means, design, weights).fit()
    effect = test.interactions[0].effect.effect
    low, high = sorted([plain.params[-1], weighted.params[-1]])
    assert low - 0.3 <= effect <= high + 0.3


def test_parameters_that_explain_it_all_leave_no_end_effect():
    # An MSA in the last block has more parameters, and only parameters help.
    rng = np.random.default_rng(11)
    bits = free_design(rng, 120, (3, 3, 3))
    size = rng.uniform(0, 3, 120)
    params = (
        100 + 10 * bits.sum(axis=1) + 5 * bits[:, [2, 5, 8]].sum(axis=1) + 20 * size
    )
    values = 0.1 * params + 0.1 * rng.normal(size=120)
    test = rule_test(table(bits, values, (3, 3, 3), params=params))
    low, high = test.controls["params"].ci
    assert low < 0 < high
    assert test.end_of_stage.effect is not None


def test_an_adaptive_search_is_tested_on_its_randomised_part():
    rng = np.random.default_rng(12)
    bits = free_design(rng, 60, (3, 3))
    blind = np.arange(60) < 30
    data = table(
        bits, rng.normal(size=60), (3, 3), sampling="adaptive", randomised=blind
    )
    test = rule_test(data)
    assert test.num_trials == 30 and "only the 30 randomised" in test.notes[0]
    few = table(
        bits, rng.normal(size=60), (3, 3), sampling="adaptive", randomised=blind & False
    )
    test = rule_test(few)
    assert test.num_trials == 60 and "99% instead of 95%" in test.notes[0]


def test_an_adaptive_search_must_show_more():
    rng = np.random.default_rng(13)
    bits = free_design(rng, 64, (3, 3, 3))
    values = at("last", 1.0)(bits, (3, 3, 3)) + rng.normal(size=64)
    for size in np.linspace(0, 1, 41):
        scaled = values - (1 - size) * bits[:, [2, 5, 8]].sum(axis=1)
        uniform = rule_test(table(bits, scaled, (3, 3, 3), sampling="uniform"))
        if uniform.end_of_stage.p < 0.04:
            break
    adaptive = rule_test(table(bits, scaled, (3, 3, 3), sampling="adaptive"))
    assert 0.01 < adaptive.end_of_stage.p < 0.04
    assert adaptive.verdict == "inconclusive" and "99%" in adaptive.reasons[0]


def test_json_has_the_keys_of_the_contract():
    import json

    rng = np.random.default_rng(14)
    bits = free_design(rng, 40, (2, 3))
    test = rule_test(table(bits, rng.normal(size=40), (2, 3), sampling="uniform"))
    data = json.loads(json.dumps(test.to_dict(), allow_nan=False))
    assert list(data)[:10] == [
        "metric", "direction", "num_trials", "num_placements", "sampling",
        "slots", "end_of_stage", "end_of_model", "verdict", "ends_help",
    ]  # fmt: skip
    assert data["sampling"] == "uniform" and data["direction"] == "maximize"
    assert len(data["slots"]) == 5
    for part in (*data["slots"], data["end_of_stage"], data["end_of_model"]):
        assert part["ci"][0] <= part["effect"] <= part["ci"][1] and 0 <= part["p"] <= 1
    assert [(s["stage"], s["block"]) for s in data["slots"]][2:4] == [(2, 1), (2, 2)]


def test_directions_are_known_and_never_guessed():
    assert known_direction("accuracy") == "maximize"
    assert known_direction("nll") == "minimize"
    assert known_direction("rmse", "minimize") == "minimize"
    for unknown in ("rmse", "fid", "my_loss", "top1"):
        assert known_direction(unknown) == "none"


def test_an_unknown_metric_gets_no_verdict():
    rng = np.random.default_rng(15)
    bits = free_design(rng, 100, (3, 3, 3))
    values = at("last", 3.0)(bits, (3, 3, 3)) + rng.normal(size=100)
    data = dataclasses.replace(table(bits, values, (3, 3, 3)), metric="rmse")
    test = rule_test(data)
    assert test.direction == "none" and test.verdict == "inconclusive"
    assert test.ends_help is None and "--direction" in test.reasons[0]
    assert test.end_of_stage.effect == pytest.approx(3, abs=1)


def test_the_smallest_effect_of_interest():
    rng = np.random.default_rng(16)
    bits = free_design(rng, 128, (3, 3, 3))
    values = 0.7 + 0.001 * rng.normal(size=128)
    data = table(bits, values, (3, 3, 3))
    assert rule_test(data).verdict == "negligible"
    assert rule_test(data).smallest_effect == 0.005
    assert rule_test(data, smallest_effect=1e-6).verdict == "inconclusive"
    other = dataclasses.replace(data, metric="nll")
    assert rule_test(other).smallest_effect is None
    assert rule_test(other).verdict == "inconclusive"
    assert rule_test(other, smallest_effect=0.005).verdict == "negligible"
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="smallest effect of interest"):
            rule_test(data, smallest_effect=wrong)


def test_percent_is_told_from_fractions():
    rng = np.random.default_rng(17)
    bits = free_design(rng, 40, (3, 3))
    test = rule_test(table(bits, 70 + rng.normal(size=40), (3, 3)))
    assert any("half a point in percent is 0.5" in note for note in test.notes)


def test_slots_with_few_of_a_letter_are_named():
    rng = np.random.default_rng(18)
    bits = free_design(rng, 60, (3, 3))
    bits[:, 1] = 0
    bits[:3, 1] = 1
    test = rule_test(table(bits, rng.normal(size=60), (3, 3)))
    note = next(note for note in test.notes if "fewer than 8" in note)
    assert "stage 1 block 2 (3 M" in note and "block 3" not in note


def test_the_detectable_effect_is_that_of_the_verdict():
    rng = np.random.default_rng(19)
    bits = np.unique(free_design(rng, 100, (3, 3, 3)), axis=0)
    test = rule_test(table(bits, 0.1 * rng.normal(size=len(bits)), (3, 3, 3)))
    size = test.minimum_detectable_effect
    found = 0
    for _ in range(60):
        values = size * bits[:, [2, 5, 8]].sum(axis=1) + 0.1 * rng.normal(
            size=len(bits)
        )
        found += rule_test(table(bits, values, (3, 3, 3))).verdict == "supported"
    assert 0.6 <= found / 60 <= 0.95


def test_the_only_other_letter_is_compared_where_there_is_no_m(tmp_path):
    rng = np.random.default_rng(8)
    bits = free_design(rng, 64, (2, 2))
    values = rng.normal(size=64)
    letters = np.where(bits > 0, "P", "C")
    rows = [
        f"{''.join(one[:2])}-{''.join(one[2:])},{value}"
        for one, value in zip(letters, values, strict=True)
    ]
    file = tmp_path / "pooling.csv"
    file.write_text("\n".join(["placement,accuracy", *rows]))
    assert rule_test(file).letter == "P"
    assert rule_test(file).to_dict() == rule_test(file, letter="P").to_dict()
    file.write_text(file.read_text().replace("P", "M", 1))
    assert rule_test(file).letter == "M"


def test_a_table_in_memory_is_taken_too(tmp_path):
    names = ["".join(letters) for letters in product("CM", repeat=4)]
    frame = pd.DataFrame({"placement": names, "accuracy": [0.1] * 8 + [0.2] * 8})
    frame.to_csv(tmp_path / "t.csv", index=False)
    of_file, of_frame = rule_test(tmp_path / "t.csv"), rule_test(frame)
    assert of_frame.to_dict() == of_file.to_dict()
    with pytest.raises(InputError, match="the table has no metric 'nll'"):
        rule_test(frame, "nll")
