import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from search_parts import digits_search

from nas.execution.loss import diagnose
from nas.execution.memory_kill import MemoryPause, memory_kills_are_deaths
from nas.ledger.cause import Cause
from nas.study.layout import TrialLayout
from nas.study.study import Study


class Manager(RayActorManager):
    """Without a cluster; remembers what it cleaned up."""

    def __init__(self):
        self._failed_actor_ids = set()
        self.cleaned = []

    def _cleanup_actor(self, tracked_actor):
        self.cleaned.append(tracked_actor)


def lose_a_worker(error):
    """Hand Tune an error of a worker's call; what it was told, and by whom."""
    told = []
    worker = SimpleNamespace(
        actor_id=7, _on_error=lambda _, error: told.append(("worker", error))
    )
    call = SimpleNamespace(
        _tracked_actor=worker, _on_error=lambda _, error: told.append(("call", error))
    )
    manager = Manager()
    manager._actor_task_failed(tracked_actor_task=call, exception=error)  # as Tune does
    assert manager._failed_actor_ids == {7} and manager.cleaned == [worker]
    return told


def test_tune_alone_gives_up_the_search():
    """If this fails, Tune has mended it and the module can go."""
    with pytest.raises(RuntimeError, match="Caught unexpected exception"):
        lose_a_worker(OutOfMemoryError("memory was low"))


def test_a_worker_ended_for_lack_of_memory_is_a_lost_worker(tmp_path):
    with memory_kills_are_deaths():
        told = lose_a_worker(OutOfMemoryError("22.51GB used / 23.54GB limit"))
        dead = lose_a_worker(RayActorError(error_msg="it died"))
    assert [who for who, _ in told] == ["worker", "call"]
    assert all(isinstance(error, RayActorError) for _, error in told)
    assert [str(error) for _, error in dead] == ["it died"] * 2
    loss = diagnose(TrialLayout(tmp_path), str(told[0][1]))
    assert loss.cause is Cause.MEMORY
    assert loss.reason == (
        "lost with its worker: memory ran out and Ray ended the process"
    )


def test_tune_is_as_before_afterwards():
    before = RayActorManager._actor_task_failed
    with pytest.raises(KeyError), memory_kills_are_deaths():
        raise KeyError
    assert RayActorManager._actor_task_failed is before


def test_pauses_double_while_no_trial_ends():
    now = 100.0
    pause = MemoryPause(lambda: now)
    assert not pause.lasts()
    for seconds in (10, 20, 40, 80, 160, 300, 300):
        assert pause.lengthen() == seconds
        assert pause.lengthen() == 0  # a second worker, ended in the same moment
        now += seconds - 0.5
        assert pause.lasts()
        now += 1
        assert not pause.lasts()
    pause.forget()
    assert pause.lengthen() == 10


@pytest.mark.ray
@pytest.mark.slow
def test_a_search_outlives_rays_memory_monitor(tmp_path):
    """Really ended: the monitor's limit lies below what the machine has in use."""
    config = digits_search("low", epochs=100, trials=1, baselines=False)
    file, study = tmp_path / "low.yaml", tmp_path / "study"
    file.write_text(yaml.safe_dump(config))
    search = subprocess.Popen(
        [sys.executable, "-m", "nas.cli", "search", file, "--out", study],
        env={
            **os.environ,
            "RAY_memory_usage_threshold": "0.01",
            "RAY_memory_monitor_refresh_ms": "100",
        },
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    said = []
    try:
        while sum("memory ran out" in line for line in said) < 2:
            said.append(search.stderr.readline())
            assert said[-1], "".join(said)
    finally:
        search.send_signal(signal.SIGINT)
        rest = search.communicate(timeout=120)[1]
    text = "".join(said)
    assert "GB of its node were in use" in text, text
    assert "memory is low: the next trial begins in 10 s" in text, text
    assert "go on with: nas resume" in rest
    table = Study.open(study).table()
    assert set(table["cause"].dropna()) <= {"memory", "interrupted"}
    assert (table["state"] != "failed").any()  # one waits for better times
