import numpy as np
import pandas as pd
import pytest
from prediction_plants import EIGHT, NINE, additive, table

from nas.prediction.best_of_space import best_placements
from nas.prediction.costs import complete_cost
from nas.prediction.features import Features
from nas.prediction.prediction import predict
from nas.prediction.slot_space import SlotSpace
from search_spaces.errors import InputError


def test_local_searches_find_what_enumeration_finds():
    rng = np.random.default_rng(0)
    features = Features(EIGHT)
    weights = rng.normal(size=features.size)
    codes = np.concatenate(list(EIGHT.enumerate()))
    values = features(codes) @ weights
    found = best_placements(features, weights, 50)
    order = np.argsort(-values)[:50]
    assert (found == codes[order]).all()


def test_a_search_keeps_to_the_letters_asked_for():
    rng = np.random.default_rng(0)
    features = Features(EIGHT)
    within = np.tile([True, True, False], 8)
    found = best_placements(features, rng.normal(size=features.size), 20, within=within)
    assert not (found == 2).any()


def test_costs_follow_only_where_they_are_sums_over_slots():
    features = Features(NINE)
    codes = np.concatenate(list(NINE.enumerate()))
    cost = 1000 + codes @ np.arange(1, 10) * 37
    known = codes[np.random.default_rng(0).permutation(512)[:60]]
    values = 1000.0 + known @ np.arange(1, 10) * 37
    assert (complete_cost(features, known, values, codes) == cost).all()
    curved = values + (known[:, 0] * known[:, 1])
    assert complete_cost(features, known, curved, codes) is None
    assert complete_cost(features, known[:5], values[:5], codes) is None
    fixed = known[known[:, 0] == 0]
    # the first slot never varied: nothing is known of its other letter
    partial = 1000.0 + fixed @ np.arange(1, 10) * 37
    assert complete_cost(features, fixed, partial, codes) is None
    assert complete_cost(features, known, np.full(60, np.nan), codes) is None


def _with_macs(rng, num=80):
    truth, _ = additive(NINE, rng)
    frame = table(truth, rng, num, 0.1)
    return frame.assign(macs=[1e6 + 2e5 * p.count("M") for p in frame["placement"]])


def test_limits_leave_cheap_placements_only():
    prediction = predict(_with_macs(np.random.default_rng(1)), limits={"macs": 1.6e6})
    counts = prediction.table["placement"].str.count("M")
    assert counts.max() == 3
    assert (prediction.table["macs"] == 1e6 + 2e5 * counts).all()


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"macs": 1.0}, r"no placement keeps to the limits macs=1; .*macs 1e\+06"),
        ({"latency": 1.0}, "no cost 'latency'; there are macs"),
    ],
)
def test_impossible_and_unknown_limits_are_refused(limits, said):
    with pytest.raises(InputError, match=said):
        predict(_with_macs(np.random.default_rng(1)), limits=limits)


def test_a_limited_cost_that_cannot_be_known_is_refused():
    rng = np.random.default_rng(2)
    frame = _with_macs(rng)
    frame["macs"] += rng.normal(0, 1e5, len(frame))
    with pytest.raises(InputError, match="not a sum over slots"):
        predict(frame, limits={"macs": 1.6e6})


def test_limits_hold_in_a_space_too_large_to_list():
    rng = np.random.default_rng(3)
    space = SlotSpace((18,), ("CM",) * 18)
    effect = rng.uniform(0.5, 1, 18)  # every M is better, and dear
    codes = np.unique(space.sample(rng, 150), axis=0)
    frame = pd.DataFrame(
        {
            "placement": space.decode(codes),
            "accuracy": codes @ effect + rng.normal(0, 0.05, len(codes)),
            "macs": 100.0 + codes.sum(axis=1),
        }
    )
    prediction = predict(frame, limits={"macs": 105.0})
    assert prediction.table["macs"].max() <= 105
    top = prediction.table.iloc[0]["placement"]
    best = np.sort(effect)[-5:].sum()
    mine = sum(e for e, c in zip(effect, top, strict=True) if c == "M")
    assert mine > 0.95 * best
