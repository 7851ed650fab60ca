import json
import math

import numpy as np
import pytest

from nas.ledger.trial import TrialState
from nas.pareto.table import ParetoTable
from nas.reporting.content import (
    MAX_DETAILED,
    MAX_STEPS,
    block_curves,
    detailed_trials,
    report_data,
    short,
)
from nas.study.parent_difference import ParentComparison


def test_columns_are_aligned_and_placements_kept_once(known_study):
    data = report_data(known_study)
    numbers = data["trials"]["number"]
    assert numbers == [0, 1, 2, 3, 4, 5, 6]
    states = [data["states"][at] for at in data["trials"]["state"]]
    assert states == ["complete"] * 4 + ["failed", "complete", "pruned"]
    # the pruned one would beat all, but at a smaller budget
    assert data["trials"]["pareto"] == [1, 1, 0, 1, 0, 0, 0]
    assert data["trials"]["baseline"] == ["all_conv", *[""] * 6]
    placements = [data["placements"][i] for i in data["trials"]["placement"]]
    assert placements == [
        "CC-CC", "CC-CM", "CM-CC", "MM-MM", "CM-CM", "CM-MM", "MM-CM",
    ]  # fmt: skip
    assert data["values"] == {
        "accuracy": [0.7, 0.9, 0.8, 0.95, None, 0.85, 0.99],
        "params": [100, 200, 200, 400, None, 300, 50],
    }
    assert data["errors"] == {"accuracy": [None, 0.02, *[None] * 5]}
    assert data["counts"]["failed"] == data["counts"]["pruned"] == 1


def test_metrics_know_their_direction(known_study):
    metrics = {m["name"]: m for m in report_data(known_study)["metrics"]}
    assert metrics["accuracy"]["direction"] == "maximize"
    assert metrics["params"]["direction"] == "minimize"
    assert metrics["accuracy"]["unit"] == "fraction"


def test_progress_ends_at_the_hypervolume_of_all(known_study):
    data = report_data(known_study)
    progress = data["progress"]
    assert progress["trained"][-1] == 5
    assert progress["hypervolume"][-1] == pytest.approx(data["front"]["hypervolume"])
    assert progress["best"] == [0.7, 0.9, 0.95, 0.95]


def test_failures_are_grouped_by_reason(make_study, make_trial):
    failed = [make_trial(n, state=TrialState.FAILED, error="nan") for n in range(40)]
    other = make_trial(40, state=TrialState.FAILED, error="no memory")
    data = report_data(make_study([other, *failed]))
    assert [(f["reason"], f["count"]) for f in data["failures"]] == [
        ("nan", 40),
        ("no memory", 1),
    ]
    assert len(data["failures"][0]["numbers"]) == 30


@pytest.mark.parametrize("num_trials", [0, 1, 2, 10])
def test_small_and_empty_studies(make_study, make_trials, num_trials):
    data = report_data(make_study(make_trials(num_trials)))
    assert len(data["trials"]["number"]) == num_trials
    json.dumps(data, allow_nan=False)


def test_values_that_are_not_finite_are_left_out(make_study, make_trial):
    study = make_study(
        [make_trial(0, accuracy=math.nan, params=math.inf),
         make_trial(1, accuracy=0.5, params=3)]
    )  # fmt: skip
    data = report_data(study)
    assert data["values"]["accuracy"] == [None, 0.5]
    assert data["values"]["params"] == [None, 3]
    json.dumps(data, allow_nan=False)


def test_an_inconclusive_or_impossible_rule_is_part_of_it(make_study, make_trials):
    (rule,) = report_data(make_study(make_trials(3)))["rules"]
    assert rule["metric"] == "accuracy"
    assert rule.get("verdict", "inconclusive") == "inconclusive"
    (rule,) = report_data(make_study([]))["rules"]
    assert rule["error"]


def test_the_slots_of_a_measured_rule(make_study, make_trials):
    (rule,) = report_data(make_study(make_trials(200)))["rules"]
    assert [(slot["stage"], slot["block"]) for slot in rule["slots"]][:3] == [
        (1, 1), (1, 2), (2, 1),
    ]  # fmt: skip


def test_ten_thousand_trials_stay_small(make_study, make_trials):
    trials = make_trials(10_000)
    data = report_data(make_study(trials))
    assert len(data["progress"]["trained"]) <= MAX_STEPS + 1
    assert len(data["details"]) <= MAX_DETAILED
    assert len(json.dumps(data, separators=(",", ":"))) < 2_000_000


def test_baselines_and_the_best_of_the_front_come_in_full(make_study, make_trials):
    table = ParetoTable.of(make_study(make_trials(2000)))
    chosen = detailed_trials(table)
    assert chosen[0].baseline
    mask = table.front.is_pareto
    on_front = {t.number for t, f in zip(table.trials, mask, strict=True) if f}
    assert {t.number for t in chosen[1:]} <= on_front
    accuracies = [trial.metrics["accuracy"] for trial in chosen[1:]]
    assert accuracies == sorted(accuracies, reverse=True)


def test_blocks_and_curves_of_trained_models(trained_study):
    details = report_data(trained_study)["details"]
    for number, kind in (("0", "conv"), ("2", "msa")):  # the ends of the front
        blocks = details[number]["blocks"]
        assert [block["kind"] for block in blocks] == [kind] * 3
        assert [block["stage"] for block in blocks] == [1, 2, 2]
        assert all(block["variance"] > 0 for block in blocks)
        assert all(block["amplitude"] < 0 for block in blocks)


def test_a_comparison_with_the_parent_is_that_of_the_figures(make_study, make_trial):
    error = {"standard_errors": {"accuracy": 0.01}}
    trials = [
        make_trial(0, "CC", accuracy=0.70, params=1, baseline="all_conv", **error),
        make_trial(1, "CM", accuracy=0.71, params=2, **error),
    ]
    found = report_data(make_study(trials))["comparisons"]
    one = ParentComparison.of(trials, "accuracy")
    assert list(found) == ["accuracy"]  # parameters have no error
    assert found["accuracy"]["parent"] == 0
    assert found["accuracy"]["quantile"] == pytest.approx(one.quantile, rel=1e-6)
    assert found["accuracy"]["sentence"] == one.sentence()


def test_a_lost_trial_is_shown_once_as_what_replaced_it(make_study, make_trial):
    lost = make_trial(0, state=TrialState.FAILED, retried_as=1, error="lost")
    data = report_data(make_study([lost, make_trial(1, accuracy=1, params=1)]))
    assert data["trials"]["number"] == [1]


def test_too_few_placements_are_not_predicted(known_study):
    assert (
        "needs 20 trained placements" in report_data(known_study)["forecast"]["reason"]
    )


def test_the_published_study_is_predicted_where_it_was_not_trained(published_copy):
    from nas.reporting.forecast import forecast
    from nas.study.study import Study

    study = Study.open(published_copy)
    found = forecast(study)
    assert found["metric"] == "accuracy" and found["space_size"] == 512
    trained = {trial.placement for trial in study.trials()}
    assert not trained & set(found["placement"])
    rows = list(zip(found["low"], found["mean"], found["high"], strict=True))
    assert len(rows) == 150 and all(low < mean < high for low, mean, high in rows)
    assert found["mean"] == sorted(found["mean"], reverse=True)
    assert all(value > 0 for value in found["macs"])
    left_out = found["left_out"]
    assert set(left_out["placement"]) == trained and left_out["noise"] > 0
    # the band is one of measured means, most of which are single trainings
    error = np.subtract(left_out["measured"], left_out["predicted"])
    assert 0.5 < np.mean(np.abs(error) < left_out["noise"]) < 0.99
    front = {one["placement"]: one for one in found["front"]}
    assert set(front) == {
        study.trial(n).placement for n in (1, 81, 156, 23, 152, 58, 12)
    }
    assert front["MCC-CCC-CMM"]["expected"] < front["MCC-CCC-CMM"]["measured"]
    assert front["CCC-CCC-CCC"]["p_better_than_parent"] is None


def test_what_it_took_is_written_down(known_study):
    facts = dict(report_data(known_study)["facts"])
    assert facts["data set"] == "mnist5k"
    assert facts["epochs of a trial"] == "3"
    assert facts["cost, all trials"] == "10 s of 1 CPU each"


def test_blocks_of_one_evaluator_alone():
    block = {
        "name": "stages.0.0", "kind": "msa", "stage": 1,
        "after": [0.0, -1.5], "after_se": [0.0, 0.25], "read": 1,
    }  # fmt: skip
    assert block_curves({"low_pass": {"blocks": [block]}}) == [
        {"name": "stages.0.0", "stage": 1, "kind": "msa",
         "amplitude": -1.5, "amplitude_se": 0.25}
    ]  # fmt: skip
    assert block_curves({}) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (34_062_538.0, 34062538),
        (0.123456789, 0.123457),
        (math.nan, None),
        (-math.inf, None),
        (None, None),
        (1e300, 1e300),
    ],
)
def test_numbers_in_few_characters(value, expected):
    assert short(value) == expected
