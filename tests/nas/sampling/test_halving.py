import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.ledger.trial import Objective
from nas.sampling.halving import Halving, position, rungs
from search_spaces.errors import InputError

BOTH = (Objective("accuracy", "maximize"), Objective("macs", "minimize"))


def test_rungs_are_geometric_and_below_the_budget():
    assert rungs(1, 27, 3) == (1, 3, 9)
    assert rungs(2, 10, 2) == (2, 4, 8)
    assert rungs(5, 5, 3) == ()


@pytest.mark.parametrize(("first", "factor"), [(0, 3), (1, 1)])
def test_rungs_refuses_nonsense(first, factor):
    with pytest.raises(InputError, match="min_epochs >= 1 and reduction_factor >= 2"):
        rungs(first, 10, factor)


def test_one_objective_promotes_the_best_third():
    halving = Halving((Objective("accuracy", "maximize"),), 3)
    decisions = [
        halving.promote(1, number, {"accuracy": value})
        for number, value in enumerate([0.5, 0.4, 0.3, 0.6, 0.1, 0.7])
    ]
    # Two go on before there is anything to compare; then the best of 3, 4, 5, 6.
    assert decisions == [True, True, False, True, False, True]


def test_a_dominated_trial_stops_and_an_unbeaten_one_goes_on():
    halving = Halving(BOTH, 2)
    assert halving.promote(1, 0, {"accuracy": 0.5, "macs": 10.0})
    assert not halving.promote(1, 1, {"accuracy": 0.4, "macs": 11.0})
    # Less accurate than trial 0, but cheaper: nobody dominates it.
    assert halving.promote(1, 2, {"accuracy": 0.1, "macs": 1.0}) is False
    assert halving.promote(1, 3, {"accuracy": 0.6, "macs": 0.5})


def test_objectives_that_are_not_known_at_the_rung_do_not_count():
    objectives = (*BOTH, Objective("sharpness", "minimize"))
    halving = Halving(objectives, 2)
    halving.promote(1, 0, {"accuracy": 0.9, "macs": 1.0})
    assert not halving.promote(1, 1, {"accuracy": 0.1, "macs": 2.0})
    nothing_known = Halving((Objective("sharpness", "minimize"),), 2)
    assert all(nothing_known.promote(1, i, {"accuracy": 0.0}) for i in range(9))


def test_rungs_are_compared_each_on_its_own():
    halving = Halving((Objective("accuracy", "maximize"),), 2)
    halving.promote(1, "a", {"accuracy": 0.9})
    assert halving.promote(3, "b", {"accuracy": 0.1})  # first at its rung


def test_a_resumed_search_remembers():
    halving = Halving((Objective("accuracy", "maximize"),), 2)
    for number in range(3):
        halving.remember(number, {1: {"accuracy": 0.9}})
    assert not halving.promote(1, 3, {"accuracy": 0.5})


def test_an_attempt_that_is_repeated_counts_once():
    halving = Halving((Objective("accuracy", "maximize"),), 2)
    halving.promote(1, "run", {"accuracy": 0.5})
    assert halving.promote(1, "run", {"accuracy": 0.5})
    assert halving.promote(1, "other", {"accuracy": 0.6})


def naive_ranks(losses):
    """Rank of each row: peel off fronts by comparing all pairs."""
    left = dict(enumerate(losses.tolist()))
    ranks = {}
    rank = 0
    while left:
        front = [
            i
            for i, a in left.items()
            if not any(
                all(y <= x for x, y in zip(a, b, strict=True)) and b != a
                for b in left.values()
            )
        ]
        for i in front:
            ranks[i] = rank
            del left[i]
        rank += 1
    return ranks


@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 4))
def test_positions_are_a_permutation_in_the_order_of_ranks(seed, num, dimensions):
    rng = random.Random(seed)
    losses = np.array(
        [[float(rng.randrange(4)) for _ in range(dimensions)] for _ in range(num)]
    )
    positions = [position(losses, place) for place in range(num)]
    assert sorted(positions) == list(range(num))
    ranks = naive_ranks(losses)
    order = sorted(range(num), key=positions.__getitem__)
    assert [ranks[i] for i in order] == sorted(ranks.values())


def test_within_a_front_lonely_points_come_first():
    losses = np.array([[0.0, 1.0], [0.5, 0.5], [0.45, 0.55], [1.0, 0.0]])
    positions = [position(losses, place) for place in range(4)]
    assert {positions[0], positions[3]} == {0, 1}
