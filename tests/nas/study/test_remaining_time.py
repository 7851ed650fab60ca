import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.study.layout import TrialLayout
from nas.study.live_history import EpochsDone, read_epochs, write_history
from nas.study.remaining_time import Underway, remaining_seconds


def test_nothing_to_go_by():
    assert remaining_seconds([], [], 5) is None
    assert remaining_seconds([], [Underway(9.0, 0, 10)], 5) is None
    assert remaining_seconds([3.0], [], 0) == 0


def test_before_the_first_trial_has_ended_its_pace_tells():
    running = [Underway(10.0, 2, 10), Underway(10.0, 2, 10)]
    # each takes 50 s: 40 left of both, then 4 of 50 s on two workers
    assert remaining_seconds([], running, 6) == pytest.approx(40 + 100)


def test_ended_trials_tell_of_those_that_have_not_begun():
    running = [Underway(5.0), Underway(15.0)]
    assert remaining_seconds([20.0, 20.0], running, 4) == pytest.approx(10 + 20)
    assert remaining_seconds([20.0], [], 3) == 60


def test_a_slow_trial_keeps_the_search_alive():
    running = [Underway(100.0, 1, 10), Underway(100.0, 9, 10)]
    assert remaining_seconds([1.0], running, 2) == pytest.approx(900)


@given(
    st.lists(st.floats(0.1, 1e4), max_size=5),
    st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, 9)), max_size=4),
    st.integers(0, 50),
)
def test_it_is_never_negative(ended, running, todo):
    found = remaining_seconds(ended, [Underway(s, e, 9) for s, e in running], todo)
    assert found is None or found >= 0


def test_the_curve_so_far_is_read_back(tmp_path):
    trial = TrialLayout(tmp_path / "3")
    assert read_epochs(trial) == EpochsDone()
    epochs = [{"epoch": n, "val_loss": 1 / n} for n in (1, 2)]
    write_history(trial, epochs)
    assert read_epochs(trial) == EpochsDone(2, {"epoch": 2.0, "val_loss": 0.5})
    trial.history.write_text("epoch,val_loss\n1")
    assert read_epochs(trial) == EpochsDone()
