import json

import numpy as np
import pandas as pd
import pytest
from prediction_plants import EIGHT, NINE, additive, table
from scipy.stats import kendalltau

import nas
from nas.prediction.prediction import predict
from nas.prediction.slot_space import SlotSpace
from search_spaces.errors import InputError


def test_every_placement_of_three_letters_in_eight_slots_is_predicted():
    rng = np.random.default_rng(0)
    truth, _ = additive(EIGHT, rng)
    prediction = predict(table(truth, rng, 120, 0.3))
    rows = prediction.table.set_index("placement")
    assert len(rows) == prediction.space_size == 3**8
    assert prediction.complete
    assert rows["mean"].is_monotonic_decreasing
    there = truth[rows.index]
    assert kendalltau(rows["mean"], there)[0] > 0.85
    assert rows["p_best"].sum() == pytest.approx(1)
    assert rows["p_best"].iloc[:30].sum() > 0.5
    json.dumps(prediction.to_dict(), allow_nan=False)


def test_known_effects_are_recovered():
    rng = np.random.default_rng(1)
    truth, effects = additive(NINE, rng)
    prediction = predict(table(truth, rng, 80, 0.1, replicates=2))
    rows = prediction.table.set_index("placement")
    for slot, effect in enumerate(effects):
        letters = rows.index.str.replace("-", "").str[slot]
        found = (
            rows["mean"][letters == "M"].mean() - rows["mean"][letters == "C"].mean()
        )
        assert found == pytest.approx(effect[1] - effect[0], abs=0.1)
    assert prediction.trust.additive_share == pytest.approx(1, abs=0.02)
    assert "ranked at Kendall tau 0.9" in prediction.trust.sentence()


@pytest.mark.parametrize("replicates", [1, 3])
def test_intervals_cover_at_the_nominal_rate(replicates):
    inside, single, left_out = [], [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        truth, _ = additive(NINE, rng)
        truth = truth + rng.normal(0, 0.4, len(truth))  # what no feature explains
        prediction = predict(table(truth, rng, 80, 0.5, replicates), seed=seed)
        rows = prediction.table[prediction.table["num_trainings"] == 0]
        there = truth[rows["placement"]].to_numpy()
        again = there + rng.normal(0, 0.5, len(there))
        inside.append(((rows["low"] <= there) & (there <= rows["high"])).mean())
        low, high = rows["training_low"], rows["training_high"]
        single.append(((low <= again) & (again <= high)).mean())
        left_out.append(prediction.trust.coverage)
    # without replicates an interval is that of a training, wider than of the mean
    assert np.mean(inside) > 0.9
    assert replicates == 1 or np.mean(inside) < 0.98
    assert 0.92 < np.mean(single) < 0.98
    assert 0.92 < np.mean(left_out) < 0.99


def test_pure_noise_is_predicted_at_chance_and_says_so():
    taus, warned = [], 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        frame = table(pd.Series(0.0, additive(NINE, rng)[0].index), rng, 50, 1.0)
        trust = predict(frame, seed=seed).trust
        taus.append(trust.left_out.kendall)
        warned += "Do not trust the order" in trust.sentence()
    assert abs(np.mean(taus)) < 0.06
    assert warned >= 10


def test_shrinkage_pulls_the_winner_down():
    rng = np.random.default_rng(4)
    truth, _ = additive(NINE, rng, scale=0.1)
    frame = table(truth, rng, 150, 1.0, replicates=2)
    rows = predict(frame).table.dropna(subset="measured")
    winner = rows.loc[rows["measured"].idxmax()]
    assert winner["mean"] < winner["measured"] - 0.7
    assert abs(winner["mean"] - truth[winner["placement"]]) < 1


def test_a_covariate_that_knows_the_rest_is_used_where_it_is_known():
    rng = np.random.default_rng(5)
    truth, _ = additive(NINE, rng)
    hidden = pd.Series(rng.normal(0, 1, len(truth)), truth.index)
    frame = table(truth + hidden, rng, 80, 0.1)
    frame["score"] = hidden[frame["placement"]].to_numpy()
    rest = truth.index.difference(frame["placement"])
    known = pd.DataFrame({"placement": rest[:200], "score": hidden[rest[:200]]})
    prediction = predict(
        pd.concat([frame, known], ignore_index=True), covariates=["score"]
    )
    rows = prediction.table.set_index("placement")
    there = (truth + hidden)[rows.index]
    error = (rows["mean"] - there).abs()
    assert error[rest[:200]].mean() < 0.25 < 0.5 < error[rest[200:]].mean()
    assert prediction.covariates == ("score",)
    assert any("from their letters alone" in note for note in prediction.notes)
    width = rows["high"] - rows["low"]
    assert width[rest[:200]].mean() < 0.5 * width[rest[200:]].mean()


def test_recorded_scores_are_used_unasked_and_the_metric_is_no_covariate():
    rng = np.random.default_rng(6)
    truth, _ = additive(NINE, rng)
    frame = table(truth, rng, 60, 0.2)
    frame["supernet_nll"] = -truth[frame["placement"]].to_numpy()
    assert predict(frame).covariates == ("supernet_nll",)
    with pytest.raises(InputError, match="cannot predict itself"):
        predict(frame, covariates=["accuracy"])
    with pytest.raises(InputError, match="no numeric column 'absent'"):
        predict(frame, covariates=["absent"])


def test_a_cost_can_be_a_covariate_and_is_known_for_untrained_placements():
    rng = np.random.default_rng(6)
    truth, _ = additive(NINE, rng)
    frame = table(truth, rng, 60, 0.2)
    frame["params"] = [100 + 7 * name.count("M") for name in frame["placement"]]
    prediction = predict(frame, covariates=["params"])
    assert prediction.covariates == ("params",)
    assert not any("from their letters alone" in note for note in prediction.notes)
    rows = prediction.table.set_index("placement")
    assert list(rows["params"]) == [100 + 7 * name.count("M") for name in rows.index]
    assert np.isfinite(rows["mean"]).all() and len(rows) == len(truth)


def test_letters_and_counts_beyond_the_table_are_flagged():
    rng = np.random.default_rng(7)
    truth, _ = additive(NINE, rng)
    few = truth[[name for name in truth.index if name.count("M") <= 3]]
    prediction = predict(table(few, rng, 60, 0.2), space="CMP")
    rows = prediction.table.set_index("placement")
    assert prediction.space_size == 3**9
    assert "never trained" in rows.loc["PCC-CCC-CCC", "extrapolated"]
    assert "trained were" in rows.loc["MMM-MMM-MMM", "extrapolated"]
    assert rows.loc["CCM-CCC-CCM", "extrapolated"] == ""
    width = rows["high"] - rows["low"]
    assert width["PCC-CCC-CCC"] > width["CCM-CCC-CCM"]


def test_minimised_metrics_are_sorted_the_other_way():
    rng = np.random.default_rng(8)
    truth, _ = additive(NINE, rng)
    rows = predict(table(truth, rng, 60, 0.2, metric="nll"), "nll")
    assert rows.direction == "minimize"
    assert rows.table["mean"].is_monotonic_increasing
    assert rows.table["p_best"].iloc[0] == rows.table["p_best"].max()
    undirected = predict(table(truth, rng, 60, 0.2), direction="none")
    assert undirected.table["p_best"].isna().all()


def test_a_space_too_large_to_list_is_searched():
    rng = np.random.default_rng(9)
    space = SlotSpace((10, 10), ("CM",) * 20)
    effect = rng.normal(size=20)
    codes = np.unique(space.sample(rng, 200), axis=0)
    frame = pd.DataFrame(
        {
            "placement": space.decode(codes),
            "accuracy": codes @ effect + rng.normal(0, 0.1, len(codes)),
        }
    )
    prediction = predict(frame)
    assert not prediction.complete
    assert prediction.space_size == 2**20
    best = space.decode(np.array([(effect > 0).astype(int)]))[0]
    assert best in set(prediction.table["placement"].head(20))
    assert any("too many to list" in note for note in prediction.notes)


def test_the_published_study_is_predicted_from_its_table_and_its_directory():
    study = nas.predict("results/cifar10-placement")
    assert study.metric == "accuracy"
    assert study.space_size == len(study.table) == 512
    assert study.table["macs"].notna().all()
    assert 0.5 < study.trust.left_out.kendall < study.trust.ceiling.kendall
    assert study.trust.left_out.kendall > 0.43  # the number of MSAs alone
    assert study.reliability.icc == pytest.approx(0.79, abs=0.01)
    file = nas.predict("results/cifar10-placement/trials.csv")
    assert file.table["mean"].to_numpy() == pytest.approx(
        study.table["mean"].to_numpy()
    )


def test_the_same_seed_gives_the_same_prediction():
    rng = np.random.default_rng(10)
    truth, _ = additive(NINE, rng)
    frame = table(truth, rng, 40, 0.2)
    assert predict(frame).table.equals(predict(frame).table)
    assert not predict(frame, seed=1).table.equals(predict(frame).table)
