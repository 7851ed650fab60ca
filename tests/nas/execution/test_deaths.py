"""Trials that die, fork, and leave things behind: noticed, named, cleaned up."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from search_parts import config, fake_trial

from nas.ledger.cause import Cause
from nas.ledger.ledger import MAX_CRASHES
from nas.ledger.trial import TrialState
from nas.search_run import search

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


def ends_soon(pid):
    """Whether a process is gone, or goes within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.1)
    return False


def children(path):
    return [int(p.read_text()) for p in path.glob("trials/*/child")]


@pytest.mark.slow
def test_a_trial_that_forks_and_dies_is_noticed(tmp_path):
    def forks(run):
        marker = run.directory.parent / "killed"
        if not marker.exists():
            marker.touch()
            for _ in range(2):
                if (child := os.fork()) == 0:
                    time.sleep(600)
                    os._exit(0)
            program = subprocess.Popen(["sleep", "600"])
            (run.directory / "child").write_text(str(child))
            (run.directory / "program").write_text(str(program.pid))
            os.kill(os.getpid(), signal.SIGKILL)
        return fake_trial(run)

    path = tmp_path / "s"
    study = search(config(search={"trials": 3}), path, quiet=True, function=forks)
    trials = study.trials()
    (lost,) = [t for t in trials if t.state == TrialState.FAILED]
    assert (lost.cause, lost.signal) == (Cause.KILLED, "SIGKILL")
    assert trials[lost.retried_as].state == TrialState.COMPLETE
    assert [t.state for t in trials].count("complete") == 3
    (child,) = children(path)
    assert ends_soon(child)
    assert ends_soon(int(next(path.glob("trials/*/program")).read_text()))
    assert lost.error in (study.trial_directory(lost.number) / "error.txt").read_text()


@pytest.mark.slow
def test_children_end_with_their_trial(tmp_path):
    def leaves_children(run):
        placement = run.architecture["placement"]
        if placement == "CCC-CCC":
            if (child := os.fork()) == 0:
                time.sleep(600)
                os._exit(0)
        elif placement == "CCC-CCM":  # an orphan that does not mind SIGTERM
            code = "trap '' TERM; sleep 600 & echo $$; wait"
            shell = f'( sh -c "{code}" ) > {run.directory}/child &'
            subprocess.run(["sh", "-c", shell], check=True)
            while not (run.directory / "child").read_text():
                time.sleep(0.05)
            raise ValueError("no more")
        else:
            child = subprocess.Popen(["sleep", "600"]).pid
        (run.directory / "child").write_text(str(child))
        return fake_trial(run)

    path = tmp_path / "s"
    study = search(
        config(search={"trials": 3}), path, quiet=True, function=leaves_children
    )
    states = [t.state for t in study.trials()]
    assert sorted(states) == ["complete", "complete", "failed"]
    assert len(children(path)) == 3
    for child in children(path):
        assert ends_soon(child)


@pytest.mark.slow
def test_an_abort_in_the_same_place_is_a_crash_with_its_stack(tmp_path):
    def aborts(run):
        if run.architecture["placement"] == "CCC-CCM":
            print("about to go wrong", file=sys.stderr, flush=True)
            os.abort()
        return fake_trial(run)

    study = search(
        config(search={"trials": 4}), tmp_path / "s", quiet=True, function=aborts
    )
    trials = study.trials()
    kept = [t for t in trials if t.retried_as is None]
    (crashed,) = [t for t in kept if t.state == TrialState.FAILED]
    assert (crashed.placement, crashed.cause) == ("CCC-CCM", Cause.CRASH)
    assert crashed.signal == "SIGABRT"
    assert "in aborts" in crashed.error
    assert len(kept) == 4
    deaths = [t for t in trials if t.state == TrialState.FAILED]
    assert len(deaths) == MAX_CRASHES
    for trial in deaths:
        where = study.trial_directory(trial.number)
        text = (where / "error.txt").read_text()
        assert "about to go wrong" in text
        assert "Fatal Python error: Aborted" in text
        assert "in aborts" in text
    assert list((tmp_path / "s").glob("trials/*/stderr.txt")) == []


@pytest.mark.slow
def test_a_trial_that_closes_what_is_not_its_own_is_lost(tmp_path):
    def closes(run):
        marker = run.directory.parent / "closed"
        if not marker.exists():
            marker.touch()
            (run.directory / "child").write_text(str(os.getpid()))
            os.closerange(3, 256)
            time.sleep(600)
        return fake_trial(run)

    path = tmp_path / "s"
    study = search(config(search={"trials": 3}), path, quiet=True, function=closes)
    (lost,) = [t for t in study.trials() if t.state == TrialState.FAILED]
    assert lost.retried_as is not None
    assert lost.error.startswith("lost with its worker: ")
    (worker,) = children(path)
    assert ends_soon(worker)
    text = (study.trial_directory(lost.number) / "error.txt").read_text()
    assert text.startswith(lost.error)
