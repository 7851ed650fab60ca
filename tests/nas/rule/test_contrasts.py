import numpy as np
import pytest
from rule_plants import free_design

from nas.rule.contrasts import (
    beyond_depth,
    comparable,
    end_of_model,
    end_of_stage,
    end_of_stage_with_strided,
    ends,
    last_over_first,
    last_over_middle,
    last_over_strided,
    slopes_over_depth,
    stage_levels_off_line,
)
from nas.rule.slot_design import SlotDesign
from nas.rule.slot_layout import SlotLayout
from nas.rule.slot_regression import SlotRegression


def full(depths, seed=0, rows=80, fix=()):
    bits = free_design(np.random.default_rng(seed), rows, depths).astype(float)
    for index, value in dict(fix).items():
        bits[:, index] = value
    return SlotRegression(bits, np.zeros(rows)), SlotLayout(depths)


def test_end_of_stage_is_last_minus_mean_of_the_others():
    regression, layout = full((1, 3, 4))
    contrast = end_of_stage(regression, layout)
    # The first stage has one block and no part; the others weigh the same, and their
    # strided first blocks are on neither side.
    expected = np.array([0, 0, -1, 1, 0, -0.5, -0.5, 1]) / 2
    assert contrast.weights == pytest.approx(expected)
    assert contrast.stages == (2, 3)
    with_strided = end_of_stage_with_strided(regression, layout)
    third = 1 / 3
    expected = np.array([0, -0.5, -0.5, 1, -third, -third, -third, 1]) / 2
    assert with_strided.weights == pytest.approx(expected)


def test_slots_that_never_varied_are_left_out():
    regression, layout = full((3, 4, 2), fix={0: 0, 4: 1, 7: 0})
    contrast = end_of_stage(regression, layout)
    expected = np.array([0, -1, 1, 0, 0, -1, 1, 0, 0]) / 2
    assert contrast.weights == pytest.approx(expected)
    assert contrast.stages == (1, 2)


def test_two_block_stages_have_nothing_but_a_strided_block_to_compare_with():
    regression, layout = full((2, 2, 2))
    contrast = end_of_stage(regression, layout)
    assert contrast.weights == pytest.approx([-1, 1, 0, 0, 0, 0])
    assert contrast.stages == (1,)


def test_last_over_first_and_middle():
    regression, layout = full((3, 4))
    assert last_over_first(regression, layout).weights == pytest.approx(
        [-1, 0, 1, 0, 0, 0, 0]
    )
    expected = np.array([0, -1, 1, 0, -0.5, -0.5, 1]) / 2
    assert last_over_middle(regression, layout).weights == pytest.approx(expected)
    assert last_over_strided(regression, layout).weights == pytest.approx(
        [0, 0, 0, -1, 0, 0, 1]
    )
    assert ends(regression, layout).weights == pytest.approx([0, 0, 0.5, 0, 0, 0, 0.5])


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


@pytest.mark.parametrize("stage_levels", [False, True])
def test_a_line_and_strided_blocks_are_not_an_end_effect(stage_levels):
    regression, layout = full((3, 4, 4))
    weights = beyond_depth(regression, layout, stage_levels).weights
    assert weights @ np.arange(11) == pytest.approx(0, abs=1e-9)
    assert weights @ layout.is_one_of(layout.strided) == pytest.approx(0, abs=1e-9)
    assert weights @ layout.is_one_of(layout.last) == pytest.approx(1)
    stage = np.repeat([5.0, -1, 2], (3, 4, 4))
    if stage_levels:
        assert weights @ stage == pytest.approx(0, abs=1e-9)


def test_levels_off_the_line_see_neither_line_nor_ends():
    regression, layout = full((3, 4, 4))
    found = stage_levels_off_line(regression, layout)
    assert found
    for weights in found:
        for nothing in (
            np.arange(11.0),
            layout.is_one_of(layout.strided),
            layout.is_one_of(layout.last),
        ):
            assert weights @ nothing == pytest.approx(0, abs=1e-9)
    levels = np.repeat([0.0, 1, 0], (3, 4, 4))
    assert max(abs(weights @ levels) for weights in found) > 0.1


def test_one_stage_of_two_blocks_cannot_tell_end_from_depth():
    regression, layout = full((2,))
    assert beyond_depth(regression, layout, False).weights is None


def test_slots_are_grouped_by_what_can_be_compared():
    regression, layout = full((3, 2), fix={1: 1})
    assert comparable(regression, layout, range(5)) == [[0, 2, 3, 4]]


def test_the_slope_is_not_taken_from_the_ends():
    """Ends and strided blocks of any size leave the slope as it is."""
    rng = np.random.default_rng(0)
    for depths, strided in (((3, 3, 3), None), ((2, 2, 2), ()), ((2, 3, 4, 2), ())):
        layout = SlotLayout(depths, strided)
        bits = free_design(rng, 120, depths).astype(float)
        slope, *others = slopes_over_depth(SlotDesign(bits), layout)
        effects = 0.5 * np.arange(layout.num_slots)
        effects += 3.0 * layout.is_one_of(layout.strided)
        effects[layout.last] += rng.normal(size=len(depths))
        assert slope @ effects == pytest.approx(0.5)
        assert len(others) == (depths == (2, 2, 2))
