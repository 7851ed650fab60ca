import math

import pytest

from nas.scoring.schedule import Schedule


def test_the_cosine_rises_to_the_peak_and_falls_to_zero():
    schedule = Schedule(peak=2.0, warmup_steps=4, total_steps=12)
    rates = [schedule(step) for step in range(12)]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    expected = [1 + math.cos(math.pi * k / 8) for k in range(8)]
    assert rates[4:] == pytest.approx(expected)
    assert schedule(12) == pytest.approx(0)


def test_the_triangle_is_two_straight_lines():
    schedule = Schedule(peak=1.0, warmup_steps=2, total_steps=6, decay="linear")
    rates = [schedule(step) for step in range(7)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0])


def test_a_warm_up_from_zero_moves_nothing_at_first_and_ends_below_the_peak():
    """ops/schedulers.py of the reference: base_lr * last_epoch / iters, from 0."""
    schedule = Schedule(1.0, warmup_steps=4, total_steps=12, first_step="zero")
    assert [schedule(step) for step in range(5)] == [0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("decay", ["cosine", "linear"])
def test_no_warm_up_starts_at_the_peak(decay):
    assert Schedule(3.0, 0, 5, decay)(0) == 3.0
