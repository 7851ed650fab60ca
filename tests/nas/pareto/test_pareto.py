import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.pareto.front import (
    ParetoFront,
    hypervolume,
    hypervolume_over_trials,
    non_dominated,
    reference_point,
)
from search_spaces.errors import InputError

MIN2 = ("minimize", "minimize")
NAN = math.nan
INF = math.inf


def naive_front(values, directions):
    """Compare every pair, by the words of the definition."""

    def beats(a, b):
        better = [
            x > y if d == "maximize" else x < y
            for x, y, d in zip(a, b, directions, strict=True)
        ]
        worse = [
            x < y if d == "maximize" else x > y
            for x, y, d in zip(a, b, directions, strict=True)
        ]
        return any(better) and not any(worse)

    complete = [not any(math.isnan(x) for x in row) for row in values]
    return [
        complete[i]
        and not any(
            complete[j] and beats(values[j], values[i]) for j in range(len(values))
        )
        for i in range(len(values))
    ]


def naive_volume(losses, reference):
    """Cut space at every coordinate and add the cells that some point dominates."""
    rows = [r for r in losses if all(x < y for x, y in zip(r, reference, strict=True))]
    edges = [
        sorted({row[k] for row in rows} | {reference[k]}) for k in range(len(reference))
    ]
    volume = 0.0
    for cell in itertools.product(*(range(len(e) - 1) for e in edges)):
        corner = [edges[k][i] for k, i in enumerate(cell)]
        if any(all(x <= y for x, y in zip(row, corner, strict=True)) for row in rows):
            volume += math.prod(
                edges[k][i + 1] - edges[k][i] for k, i in enumerate(cell)
            )
    return volume


def points(min_objectives=1, max_objectives=4, max_points=9, specials=False):
    grid = st.integers(-4, 4).map(float)
    number = st.one_of(grid, st.sampled_from([NAN, INF, -INF])) if specials else grid
    return st.integers(min_objectives, max_objectives).flatmap(
        lambda k: st.tuples(
            st.lists(
                st.lists(number, min_size=k, max_size=k),
                min_size=0,
                max_size=max_points,
            ),
            st.lists(st.sampled_from(["maximize", "minimize"]), min_size=k, max_size=k),
        )
    )


@given(points(specials=True))
def test_front_agrees_with_comparing_every_pair(case):
    values, directions = case
    assert non_dominated(values, directions).tolist() == naive_front(values, directions)


@settings(max_examples=60, deadline=None)
@given(points(max_points=7))
def test_volume_agrees_with_counting_cells(case):
    values, directions = case
    signs = [-1 if d == "maximize" else 1 for d in directions]
    losses = [[s * x for s, x in zip(signs, row, strict=True)] for row in values]
    reference = [3.0] * len(directions)
    expected = naive_volume(losses, reference)
    got = hypervolume(values, [s * 3.0 for s in signs], directions)
    assert got == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(points(max_points=8))
def test_volume_over_trials_is_the_volume_of_every_prefix(case):
    values, directions = case
    reference = [0.5 if d == "maximize" else 3.5 for d in directions]
    curve = hypervolume_over_trials(values, reference, directions)
    expected = [
        hypervolume(values[: n + 1], reference, directions) for n in range(len(values))
    ]
    assert curve.tolist() == pytest.approx(expected, abs=1e-9)


def test_dominance_in_a_picture():
    #  y
    #  3  .  C  .  D
    #  2  A  .  B  .
    #  1  .  E  .  .
    values = {"A": (0, 2), "B": (2, 2), "C": (1, 3), "D": (3, 3), "E": (1, 1)}
    front = non_dominated(list(values.values()), MIN2)
    assert dict(zip(values, front.tolist(), strict=True)) == {
        "A": True, "B": False, "C": False, "D": False, "E": True,
    }  # fmt: skip
    front = non_dominated(list(values.values()), ("maximize", "minimize"))
    assert dict(zip(values, front.tolist(), strict=True)) == {
        "A": False, "B": True, "C": False, "D": True, "E": True,
    }  # fmt: skip


def test_equal_points_are_all_on_the_front():
    assert non_dominated([[1, 1], [1, 1], [2, 1]], MIN2).tolist() == [True, True, False]


def test_one_objective_keeps_the_best_and_its_equals():
    front = non_dominated([[0.5], [0.9], [0.9]], ["maximize"])
    assert front.tolist() == [False, True, True]


def test_no_points():
    assert non_dominated([], MIN2).shape == (0,)
    assert hypervolume([], [1, 1], MIN2) == 0
    assert hypervolume_over_trials([], [1, 1], MIN2).shape == (0,)
    front = ParetoFront.of([], ["a", "b"], MIN2)
    assert front.is_pareto.shape == (0,)
    assert front.hypervolume() == 0
    assert front.box() == 0


def test_missing_values_neither_beat_nor_stand():
    values = [[NAN, 0], [1, 1], [0, NAN]]
    assert non_dominated(values, MIN2).tolist() == [False, True, False]
    assert hypervolume(values, [2, 2], MIN2) == 1
    assert hypervolume_over_trials(values, [2, 2], MIN2).tolist() == [0, 1, 1]


def test_infinite_values_are_ordinary_ends_of_the_scale():
    values = [[INF, 0], [1, 1], [-INF, 5]]
    assert non_dominated(values, MIN2).all()
    assert hypervolume(values[:2], [2, 2], MIN2) == 1
    assert hypervolume(values, [2, 6], MIN2) == INF
    assert hypervolume_over_trials(values, [2, 6], MIN2).tolist() == [0, 5, INF]


@pytest.mark.parametrize("num_objectives", [1, 2, 3, 4, 5])
def test_one_point_covers_its_box(num_objectives):
    sides = np.arange(1, num_objectives + 1) / 2
    got = hypervolume([-sides], np.zeros(num_objectives), ["minimize"] * num_objectives)
    assert got == pytest.approx(math.prod(sides))


@pytest.mark.parametrize(("num_objectives", "steps"), [(2, 50), (3, 9), (4, 5)])
def test_staircase_on_the_simplex_has_the_closed_form_volume(num_objectives, steps):
    # Lattice points with coordinates 1..steps that add up to steps + objectives - 1:
    # every unit cell whose corner lies under the simplex is covered exactly once,
    # C(steps + objectives - 1, objectives) of them.
    total = steps + num_objectives - 1
    lattice = [
        p
        for p in itertools.product(range(1, steps + 1), repeat=num_objectives)
        if sum(p) == total
    ]
    got = hypervolume(lattice, [0] * num_objectives, ["maximize"] * num_objectives)
    assert got == pytest.approx(math.comb(total, num_objectives))


@pytest.mark.parametrize("num_objectives", [2, 3, 4])
def test_volume_ignores_order_dominated_points_and_units(num_objectives):
    rng = np.random.default_rng(7)
    values = rng.random((40, num_objectives))
    directions = ["minimize"] * num_objectives
    ones = np.ones(num_objectives)
    volume = hypervolume(values, ones, directions)
    assert hypervolume(values[::-1], ones, directions) == pytest.approx(volume)
    front = values[non_dominated(values, directions)]
    assert hypervolume(front, ones, directions) == pytest.approx(volume)
    scale = np.arange(2, 2 + num_objectives)
    scaled = hypervolume(-values * scale, -scale, ["maximize"] * num_objectives)
    assert scaled == pytest.approx(volume * math.prod(scale))


def test_volume_agrees_with_random_darts_on_a_large_front():
    rng = np.random.default_rng(3)
    values = rng.dirichlet(np.ones(4), 150)
    darts = rng.random((20_000, 4))
    hit = np.zeros(len(darts), dtype=bool)
    for row in values:
        hit |= (darts >= row).all(axis=1)
    share = hit.mean()
    error = math.sqrt(share * (1 - share) / len(darts))
    got = hypervolume(values, np.ones(4), ["minimize"] * 4)
    assert abs(got - share) < 4 * error


def test_default_reference_is_a_tenth_of_the_range_beyond_the_worst():
    values = [[0.5, 10], [0.9, 30], [NAN, INF]]
    got = reference_point(values, ("maximize", "minimize"))
    assert got.tolist() == pytest.approx([0.5 - 0.04, 30 + 2])


def test_default_reference_without_a_range():
    assert reference_point([[2.0], [2.0]], ["maximize"]).tolist() == pytest.approx(
        [1.8]
    )
    assert reference_point([[0.0]], ["minimize"]).tolist() == pytest.approx([0.1])
    assert math.isnan(reference_point([[NAN]], ["minimize"])[0])


def test_infeasible_points_neither_beat_nor_count():
    values = [[0, 0], [1, 2], [2, 1]]
    front = ParetoFront.of(values, ["a", "b"], MIN2, feasible=[False, True, True])
    assert front.is_pareto.tolist() == [False, True, True]
    assert front.reference().tolist() == pytest.approx([2.2, 2.2])
    assert front.hypervolume([3, 3]) == 3
    assert front.hypervolume_over_trials([3, 3]).tolist() == [0, 2, 3]
    assert front.box([3, 3]) == 4


def test_a_point_that_is_best_at_everything_fills_the_box():
    front = ParetoFront.of([[0, 0], [1, 2]], ["a", "b"], MIN2)
    assert front.hypervolume() == pytest.approx(front.box())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: non_dominated([[1, 2]], ["minimize"]), "one column an objective"),
        (lambda: non_dominated([[1]], ["up"]), "'maximize' or 'minimize', got 'up'"),
        (lambda: hypervolume([[1, 2]], [1], MIN2), "2 finite values"),
        (lambda: hypervolume([[1, 2]], [1, INF], MIN2), "2 finite values"),
        (lambda: ParetoFront.of([], ["a"], MIN2), "1 metrics and 2 directions"),
    ],
)
def test_wrong_input_is_told(call, message):
    with pytest.raises(InputError, match=message):
        call()
