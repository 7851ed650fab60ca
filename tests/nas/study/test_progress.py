import time

import pytest
from known_trials import known_trial

from nas.ledger.trial import Objective, TrialState
from nas.study.bars import in_notebook
from nas.study.layout import StudyLayout
from nas.study.live_history import write_history
from nas.study.progress import Progress
from nas.study.remaining_time import duration_text
from nas.study.worker_file import write_worker

OBJECTIVES = (Objective("accuracy", "maximize"), Objective("params", "minimize"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (61, "1 min 01 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds, text):
    assert duration_text(seconds) == text


class Given:
    def __init__(self, number):
        self.number = number


def test_without_a_terminal_each_trial_is_a_line_on_stderr(capsys):
    trials = [known_trial(0, accuracy=0.5, params=10)]
    with Progress(OBJECTIVES, 4, trials) as progress:
        for number in (1, 2, 3, 4):
            progress.started(Given(number))
        progress.ended(known_trial(1, accuracy=0.25, params=100))
        progress.ended(
            known_trial(2, state=TrialState.FAILED, error="boom", retried_as=4)
        )
        progress.ended(known_trial(3, state=TrialState.PRUNED, rung=3))
        progress.ended(known_trial(4, state=TrialState.FAILED, error="boom"))
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0].startswith("[2/4] trial 1 CC-CM accuracy=0.25 params=100")
    assert lines[1].startswith("[2/4] trial 2 CC-CM lost, queued again as 4: boom")
    assert lines[2].startswith("[3/4] trial 3 CC-CM stopped after epoch 3")
    assert lines[3] == "[4/4] trial 4 CC-CM failed: boom"
    assert progress.num_ended == 4


def test_trials_that_take_no_time_share_a_line_and_failed_ones_do_not(capsys):
    with Progress(OBJECTIVES, 400, [], spare_s=60) as progress:
        for number in range(400):
            progress.started(Given(number))
            state = TrialState.FAILED if number == 7 else TrialState.COMPLETE
            values = {"accuracy": 0.5, "params": 10} if number != 7 else {}
            error = "boom" if number == 7 else ""
            progress.ended(
                known_trial(number, state=state, metrics=values, error=error)
            )
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("[8/400] trial 7 CC-CM failed: boom")
    assert progress.num_ended == 400


def test_a_place_that_is_free_for_a_moment_does_not_double_the_time(capsys):
    with Progress(OBJECTIVES, 10, []) as progress:
        for number in (0, 1):
            progress.started(Given(number))
        progress.ended(known_trial(0, accuracy=0.25, params=10_203_500, duration_s=60))
    # Nine trials of 60 s, two at once: 4 min 30 s, not 9 min.
    line = capsys.readouterr().err
    assert "params=10.2 M" in line and "(4 min 30 s left)" in line


def test_quiet_is_quiet(capsys):
    with Progress(OBJECTIVES, 4, [], quiet=True) as progress:
        progress.started(Given(0))
        progress.ended(known_trial(0, accuracy=0.25, params=100))
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_bar(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    with Progress(OBJECTIVES, 2, []) as progress:
        progress.started(Given(0))
        progress.started(Given(1))
        progress.ended(known_trial(0, accuracy=0.25, params=100))
        progress.ended(known_trial(1, state=TrialState.FAILED, error="boom [x]"))
    out, err = capsys.readouterr()
    assert out == ""
    assert "best accuracy 0.25" in err
    assert "failed: boom [x]" in err
    assert "1 failed" in err


class Shell:
    """What IPython's kernel calls its shell."""


def test_in_a_notebook_there_is_a_bar_and_failures_are_told(monkeypatch, capsys):
    import sys
    import types

    shell = type("ZMQInteractiveShell", (Shell,), {})()
    kernel = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    assert in_notebook()
    with Progress(OBJECTIVES, 3, []) as progress:
        progress.started(Given(1))
        progress.ended(known_trial(1, accuracy=0.25, params=100))
        progress.ended(known_trial(2, state=TrialState.FAILED, error="boom \x1b[31m"))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "2/3" in shown.err and "best accuracy 0.25" in shown.err
    assert (
        "trial 2" in shown.err and "boom" in shown.err and "\x1b[31m" not in shown.err
    )


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch):
    import sys
    import types

    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    shell = type("TerminalInteractiveShell", (Shell,), {})()
    kernel = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    assert not in_notebook()


def log_lines_until(word, layout, capsys, monkeypatch):
    """What a log is told of trial 7, given out as the first of four, with 2 of 10
    epochs done; it is told each minute in which no trial ends (here: at once)."""
    monkeypatch.setattr("nas.study.progress._TICK_S", 0.01)
    monkeypatch.setattr("nas.study.progress._SILENCE_S", 0.0)
    given = Given(7)
    given.epochs = 10
    write_history(layout.trial(7), [{"epoch": 1}, {"epoch": 2}])
    seen = ""
    with Progress(OBJECTIVES, 4, [], study=layout) as progress:
        progress.started(given)
        until = time.monotonic() + 20
        while word not in seen and time.monotonic() < until:
            time.sleep(0.02)
            seen += capsys.readouterr().err
    return seen


def test_epochs_of_running_trials_are_told_before_any_has_ended(
    tmp_path, capsys, monkeypatch
):
    seen = log_lines_until("epoch 2/10", StudyLayout(tmp_path), capsys, monkeypatch)
    assert "[0/4] 1 running (epoch 2/10)" in seen
    assert "left" in seen


def test_time_left_counts_from_when_the_worker_began_as_status_does(
    tmp_path, capsys, monkeypatch
):
    """Two of ten epochs in 100 s: 400 s for this trial and 500 s for each of three."""
    layout = StudyLayout(tmp_path)
    layout.trial(7).directory.mkdir(parents=True)
    write_worker(layout.trial(7), time.time() - 100)
    seen = log_lines_until("left", layout, capsys, monkeypatch)
    assert "31 min 4" in seen  # 1,900 s, and what the loop took
