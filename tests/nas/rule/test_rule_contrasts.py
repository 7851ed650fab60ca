import numpy as np
import pytest
from rule_plants import free_design

from nas.rule.contrasts import (
    SlotLayout,
    beyond_depth,
    comparable,
    end_of_model,
    end_of_stage,
)
from nas.rule.slot_regression import SlotRegression


def full(depths, seed=0, rows=80, fix=()):
    bits = free_design(np.random.default_rng(seed), rows, depths).astype(float)
    for index, value in dict(fix).items():
        bits[:, index] = value
    return SlotRegression(bits, np.zeros(rows)), SlotLayout(depths)


def test_end_of_stage_is_last_minus_mean_of_the_others():
    regression, layout = full((1, 2, 3))
    contrast = end_of_stage(regression, layout)
    # The first stage has one block and no part; the others weigh the same.
    expected = np.array([0, -1, 1, -0.5, -0.5, 1]) / 2
    assert contrast.weights == pytest.approx(expected)
    assert contrast.stages == (2, 3)


def test_slots_that_never_varied_are_left_out():
    regression, layout = full((3, 3, 2), fix={0: 0, 4: 1, 6: 0})
    contrast = end_of_stage(regression, layout)
    expected = np.array([0, -1, 1, -1, 0, 1, 0, 0]) / 2
    assert contrast.weights == pytest.approx(expected)
    assert contrast.stages == (1, 2)


def test_strided_first_blocks_can_be_excluded():
    regression, layout = full((2, 3))
    assert layout.strided == [2]
    contrast = end_of_stage(regression, layout, exclude=layout.strided)
    assert contrast.weights == pytest.approx(np.array([-1, 1, 0, -1, 1]) / 2)


def test_no_comparison_has_a_reason_and_no_weights():
    regression, layout = full((2, 2), fix={1: 0, 3: 0})
    contrast = end_of_stage(regression, layout)
    assert contrast.weights is None and "last slot" in contrast.reason


def test_end_of_model_compares_halves_and_skips_the_middle():
    regression, layout = full((1, 2, 1))
    contrast = end_of_model(regression, layout)
    assert contrast.weights == pytest.approx([-1, 0, 0, 1])
    regression, layout = full((2, 1, 1, 2))
    weights = end_of_model(regression, layout).weights
    assert weights == pytest.approx(np.array([-1, -1, -1, 1, 1, 1]) / 3)
    regression, layout = full((4,))
    assert end_of_model(regression, layout).weights is None


@pytest.mark.parametrize("within_stage", [False, True])
def test_a_line_over_depth_is_not_an_end_effect(within_stage):
    regression, layout = full((3, 4, 2))
    weights = beyond_depth(regression, layout, within_stage).weights
    assert weights @ np.arange(9) == pytest.approx(0, abs=1e-9)
    last = np.array([0, 0, 1, 0, 0, 0, 1, 0, 1])
    assert weights @ last == pytest.approx(1)
    stage = np.repeat([5.0, -1, 2], (3, 4, 2))
    if within_stage:
        assert weights @ stage == pytest.approx(0, abs=1e-9)


def test_one_stage_of_two_blocks_cannot_tell_end_from_depth():
    regression, layout = full((2,))
    assert beyond_depth(regression, layout, False).weights is None


def test_slots_are_grouped_by_what_can_be_compared():
    regression, layout = full((3, 2), fix={1: 1})
    assert comparable(regression, layout, range(5)) == [[0, 2, 3, 4]]
