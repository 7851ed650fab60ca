"""The front by dynamic programming, against brute force and against HiGHS."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from nas.prediction.exact_front import SlotSum, additive_part, exact_front, slot_sum
from nas.prediction.features import Features
from nas.prediction.prediction import predict
from nas.prediction.slot_space import SlotSpace


@st.composite
def problems(draw):
    """Small spaces with integer scores and costs: ties everywhere."""
    letters = draw(
        st.lists(st.sampled_from(["C", "CM", "CMP"]), min_size=1, max_size=5)
    )
    space = SlotSpace((len(letters),), tuple(letters))

    def a_sum(low):
        parts = tuple(
            np.array([draw(st.integers(low, 4)) for _ in c], dtype=float)
            for c in letters
        )
        return SlotSum(space, draw(st.integers(-3, 3)) * 1.0, parts)

    costs = [a_sum(0) for _ in range(draw(st.integers(1, 3)))]
    limits = [draw(st.integers(-3, 18)) * 1.0 for _ in costs]
    return space, a_sum(-4), costs, limits


@given(problems())
@settings(max_examples=150, deadline=None)
def test_it_is_the_front_of_all_placements(problem):
    space, score, costs, limits = problem
    every = np.concatenate(list(space.enumerate()))
    columns = np.stack([-score(every), *(cost(every) for cost in costs)], axis=1)
    allowed = [tuple(p) for p in columns if (p[1:] <= limits).all()]

    def beaten(point):
        others = (q for q in allowed if q != point)
        return any(all(a <= b for a, b in zip(q, point, strict=True)) for q in others)

    expected = {point for point in allowed if not beaten(point)}
    codes = exact_front(score, costs, limits)
    found = list(zip(-score(codes), *(c(codes) for c in costs), strict=True))
    assert set(found) == expected
    assert len(found) == len(expected)
    assert found == sorted(found, key=lambda p: p[0])


def large_problem(num_costs, seed):
    rng = np.random.default_rng(seed)
    space = SlotSpace((5,) * 4, ("CMPS",) * 20)

    def costs():
        return tuple(rng.integers(10**5, 10**6, 4).astype(float) for _ in range(20))

    score = SlotSum(space, 0.5, tuple(rng.normal(size=4) for _ in range(20)))
    sums = [SlotSum(space, 1e6, costs()) for _ in range(num_costs)]
    limits = [
        c.offset + sum((p.min() + p.max()) / 2 for p in c.parts) * 0.8 for c in sums
    ]
    return score, sums, limits


@pytest.mark.parametrize("num_costs", [1, 2, 3])
def test_of_a_trillion_placements_the_best_is_that_of_an_integer_program(num_costs):
    score, costs, limits = large_problem(num_costs, seed=num_costs)
    codes = exact_front(score, costs, limits)
    for cost, limit in zip(costs, limits, strict=True):
        assert (cost(codes) <= limit).all()
    # At several tighter budgets too: the front answers all of them.
    for share in (1.0, 0.9, 0.8):
        tight = [limits[0] * share, *limits[1:]]
        rows = [np.concatenate(c.parts) for c in costs]
        one_letter = np.kron(np.eye(20), np.ones(4))
        solved = milp(
            -np.concatenate(score.parts),
            integrality=np.ones(80),
            bounds=Bounds(0, 1),
            constraints=[
                LinearConstraint(one_letter, 1, 1),
                LinearConstraint(
                    np.array(rows),
                    ub=[b - c.offset for b, c in zip(tight, costs, strict=True)],
                ),
            ],
            options={"mip_rel_gap": 0},
        )
        within = codes[costs[0](codes) <= tight[0]]
        if not solved.success:
            assert not len(within)
            continue
        assert score(within).max() - score.offset == pytest.approx(
            -solved.fun, abs=1e-6
        )


def test_nothing_within_the_limits_gives_nothing():
    score, costs, _ = large_problem(1, seed=0)
    assert exact_front(score, costs, [1.0]).shape == (0, 20)


@pytest.mark.parametrize("letters", [("CM", "CMP", "CM"), ("CM", "M", "CMP")])
def test_the_additive_part_is_the_least_squares_fit_over_the_space(letters):
    whole = SlotSpace((1, 2), ("CM", "CMP", "CMP"))
    features = Features(whole)
    weights = np.random.default_rng(0).normal(size=features.size)
    space = SlotSpace((1, 2), letters)
    found, share = additive_part(features, weights, space)
    codes = np.concatenate(list(space.enumerate()))
    values = features(whole.encode(space.decode(codes))) @ weights
    columns = [np.ones(len(codes))]
    for slot, choices in enumerate(letters):
        columns += [codes[:, slot] == a for a in range(1, len(choices))]
    design = np.stack(columns, axis=1).astype(float)
    fitted = design @ np.linalg.lstsq(design, values, rcond=None)[0]
    assert found(codes) == pytest.approx(fitted, abs=1e-9)
    assert share == pytest.approx(1 - (values - fitted).var() / values.var())
    assert 0.05 < share < 1


def test_a_cost_is_a_sum_over_slots_or_it_is_told():
    space = SlotSpace((2, 2), ("CMP",) * 4)
    parts = np.random.default_rng(0).integers(1, 9, (4, 3)).astype(float)

    def total(codes):
        return 7 + parts[np.arange(4), codes].sum(axis=1)

    found = slot_sum(total, space)
    every = np.concatenate(list(space.enumerate()))
    assert (found(every) == total(every)).all()
    assert slot_sum(lambda codes: total(codes) ** 2, space) is None
    assert slot_sum(lambda codes: np.where(codes[:, 0] > 0, np.nan, 1.0), space) is None


SLOTS = 10


def large_table(seed=0, count=150):
    """Trained placements of 4 letters in 10 slots with planted effects and costs."""
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=(SLOTS, 4))
    costs = rng.integers(1, 50, size=(SLOTS, 4)).astype(float)
    codes = rng.integers(0, 4, (count, SLOTS))
    rows = np.arange(SLOTS)
    space = SlotSpace((5,) * 2, ("CMPS",) * SLOTS)
    table = pd.DataFrame(
        {
            "placement": space.decode(codes),
            "accuracy": effects[rows, codes].sum(axis=1) + rng.normal(0, 0.05, count),
            "macs": costs[rows, codes].sum(axis=1),
        }
    )
    return table, space, effects, costs


def test_nas_predict_finds_the_best_under_a_budget_in_a_space_too_large_to_list():
    table, space, effects, costs = large_table()
    limit = float(table["macs"].quantile(0.05))
    prediction = predict(table, space="CMPS", limits={"macs": limit})
    front = prediction.front
    assert "exact" in prediction.front_method
    assert (front["macs"] <= limit).all()
    # No placement of the front beats another in the planted truth's own costs.
    order = front.sort_values("macs")
    assert order["macs"].is_unique
    truth = SlotSum(space, 0.0, tuple(effects))
    price = SlotSum(space, 0.0, tuple(costs))
    best = truth(exact_front(truth, [price], [limit])).max()
    found = truth(space.encode([front["placement"].iloc[0]]))[0]
    spread = truth(space.encode(list(table["placement"]))).std()
    assert best - found < 0.2 * spread  # the model has learnt the effects nearly
    assert prediction.to_dict()["front"]["placements"][0]["macs"] <= limit


def test_of_a_listed_space_the_front_is_that_of_all_means():
    rng = np.random.default_rng(1)
    names = ["".join(p) for p in product("CM", repeat=6)]
    macs = [float(sum(2**i for i, c in enumerate(n) if c == "M")) for n in names]
    value = [n.count("M") + rng.normal(0, 0.1) for n in names]
    table = pd.DataFrame({"placement": names, "accuracy": value, "macs": macs})
    prediction = predict(table, limits={"macs": 40.0})
    rows = prediction.table[["mean", "macs"]].to_numpy()
    expected = {
        i
        for i, (mean, cost) in enumerate(rows)
        if not ((rows[:, 0] >= mean) & (rows[:, 1] <= cost)
                & ((rows[:, 0] > mean) | (rows[:, 1] < cost))).any()
    }  # fmt: skip
    assert list(prediction.front["placement"]) == list(
        prediction.table["placement"].iloc[sorted(expected)]
    )
    assert predict(table).front is None
