import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.figures.trial import draw_trial, scaled_metrics
from nas.study.trial_view import BARS, TrialView, read_history, sparkline
from search_spaces.errors import InputError

HISTORY = """epoch,learning_rate,train_loss,val_loss,val_accuracy,seconds
1,0.1,2.0,1.9,0.3,1.0
2,0.05,1.0,1.2,0.6,1.0
3,0.0,0.5,nan,0.8,1.0
"""


@pytest.fixture
def study_with_files(known_study, tmp_path):
    known_study.path = tmp_path
    directory = known_study.trial_directory(1)
    directory.mkdir(parents=True)
    (directory / "history.csv").write_text(HISTORY)
    return known_study


def test_a_trial_on_the_front(study_with_files):
    view = TrialView.of(study_with_files, 1)
    assert view.is_pareto
    assert view.beaten_by == ()
    assert view.ranks == {"accuracy": 2, "params": 2}
    assert view.history["train_loss"] == [2.0, 1.0, 0.5]


def test_a_beaten_trial_names_who_beats_it(known_study):
    view = TrialView.of(known_study, 5)  # 0.85 at 300: only 1 is better at both
    assert not view.is_pareto
    assert view.beaten_by == (1,)
    assert view.history == {}


def test_failed_and_pruned_trials_do_not_compete(known_study):
    for number in (4, 6):
        view = TrialView.of(known_study, number)
        assert (view.is_pareto, view.beaten_by, view.ranks) == (False, (), {})


def test_a_missing_trial_is_told(known_study, make_study):
    with pytest.raises(InputError, match="'known' has no trial 99; numbers: 0 to 6"):
        TrialView.of(known_study, 99)
    with pytest.raises(InputError, match="none yet"):
        TrialView.of(make_study([]), 0)


def test_json_is_strict(study_with_files):
    view = TrialView.of(study_with_files, 1)
    plain = json.loads(json.dumps(view.as_dict(), allow_nan=False))
    assert plain["history"]["val_loss"] == [1.9, 1.2, None]
    assert plain["standard_errors"] == {"accuracy": 0.02}


def test_a_half_written_line_is_left_out(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(HISTORY + "4,0.")
    assert read_history(path)["epoch"] == [1, 2, 3]
    assert read_history(tmp_path / "none.csv") == {}


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200))
def test_sparkline_has_its_peaks_where_the_curve_has(values):
    line = sparkline(values, width=500)
    assert len(line) == len(values)
    assert set(line) <= set(BARS)
    assert line[values.index(min(values))] == BARS[0]
    if max(values) > min(values):
        assert line[values.index(max(values))] == BARS[-1]


def test_sparkline_edges():
    assert sparkline([]) == ""
    assert sparkline([math.nan, 1.0, 2.0]) == f" {BARS[0]}{BARS[-1]}"
    assert len(sparkline(list(range(1000)), width=40)) == 40
    assert sparkline([math.nan]) == " "


def test_metrics_are_scaled_to_the_range_of_the_study(known_study):
    scaled = scaled_metrics(TrialView.of(known_study, 1))
    own, error, others = scaled["accuracy"]
    assert own == pytest.approx(0.8)
    assert error == pytest.approx(0.08)
    assert (min(others), max(others)) == (0, 1)


@pytest.mark.parametrize("number", [1, 4, 5])
def test_every_kind_of_trial_can_be_drawn(study_with_files, tmp_path, number):
    draw_trial(TrialView.of(study_with_files, number), tmp_path / "trial.png")
    assert (tmp_path / "trial.png").stat().st_size > 10_000


def test_an_unknown_suffix_is_told(known_study, tmp_path):
    with pytest.raises(InputError, match="ends in one of"):
        draw_trial(TrialView.of(known_study, 1), tmp_path / "trial.bmp")
