"""Things that break, really broken: processes killed, nodes lost, disks full."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from search_parts import config, fake_trial, small_space

from nas.ledger.ledger import MAX_LOSSES
from nas.ledger.trial import TrialState
from nas.search_run import SearchFailedError, resume, search
from nas.study.study import Study

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))
from ray_nodes import can_enter  # noqa: E402

own_network = pytest.mark.skipif(
    not can_enter(), reason="needs the right to make a network namespace"
)


def placements(count):
    return sorted([str(a.placement) for a in small_space().enumerate()][:count])


def scenario(name, directory):
    """Run a scenario of fault_scenarios.py to its report."""
    # It has a network of its own, so that nodes need not keep to the loopback
    # interface, which this variable asks for and which nodes cannot.
    environment = dict(os.environ)
    environment.pop("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", None)
    answer = subprocess.run(
        [sys.executable, str(HERE / "fault_scenarios.py"), name, str(directory)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=800,
    )
    log = directory / "driver.log"
    assert answer.returncode == 0, answer.stderr + (
        log.read_text() if log.exists() else ""
    )
    return json.loads(answer.stdout.splitlines()[-1])


@own_network
@pytest.mark.ray
@pytest.mark.slow
def test_a_node_is_lost_and_another_one_joins(tmp_path):
    found = scenario("node_lost", tmp_path)
    assert found["code"] == 0
    assert found["complete"] == placements(6)
    assert len(found["retried"]) == 1
    assert "lost with its worker" in found["errors"][found["retried"][0]]


@own_network
@pytest.mark.ray
@pytest.mark.slow
def test_the_driver_is_killed_and_the_search_resumed(tmp_path):
    found = scenario("driver_killed", tmp_path)
    assert found["code"] == 0
    assert found["complete"] == placements(6)
    assert set(found["complete_before"]) <= set(found["complete"])
    assert found["retried"] == found["running"]
    lost = [found["errors"][number] for number in found["running"]]
    assert lost == ["lost with its driver, which was killed"] * 2


@own_network
@pytest.mark.ray
@pytest.mark.slow
def test_the_head_is_lost_and_another_cluster_goes_on(tmp_path):
    found = scenario("head_lost", tmp_path)
    assert found["first_code"] != 0
    assert found["code"] == 0
    assert found["complete"] == placements(3)


@own_network
@pytest.mark.ray
@pytest.mark.slow
def test_two_nodes_find_what_one_finds(tmp_path):
    found = scenario("two_nodes", tmp_path)
    assert found["1"]["code"] == found["2"]["code"] == 0
    assert len(found["1"]["results"]) == 8
    assert found["1"]["results"] == found["2"]["results"]


@own_network
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
@pytest.mark.ray
@pytest.mark.slow
def test_a_directory_that_a_node_does_not_see_is_refused(tmp_path):
    found = scenario("local_path", tmp_path)
    assert found["code"] != 0
    assert "must be on a file system that all of them see" in found["log"]
    assert "study" not in found["left"]


@own_network
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
@pytest.mark.ray
@pytest.mark.slow
def test_the_doctor_looks_at_every_node(tmp_path):
    answer = scenario("doctor", tmp_path)
    found = {}
    for one in answer["found"]:
        host, colon, what = one["what"].rpartition(": ")
        if colon:
            found.setdefault(host, {})[what] = one
    assert len(found) == 4  # the head, too
    blind = [n for n, one in found.items() if one["study directory"]["level"] == "bad"]
    few = [n for n, one in found.items() if "900 open" in one["file limit"]["found"]]
    assert len(blind) == len(few) == 1 and blind != few
    assert {frozenset(one) for one in found.values()} == {frozenset(found[few[0]])}
    for one in found.values():
        assert one["versions"]["found"] == "those of this machine"
        assert {"GPU", "processor", "disk", "memory"} <= set(one)
    assert answer["code"] == 1
    assert answer["left"] == []


@pytest.mark.slow
@pytest.mark.ray
def test_a_worker_is_killed_in_the_middle_of_a_trial(tmp_path, local_ray):
    def killed_once(run):
        marker = run.directory.parent / "killed"
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return fake_trial(run)

    study = search(
        config(search={"trials": 4}), tmp_path / "s", quiet=True, function=killed_once
    )
    trials = study.trials()
    lost = [t for t in trials if t.retried_as is not None]
    assert len(lost) == 1
    assert "its process died" in lost[0].error
    complete = [t.placement for t in trials if t.state == TrialState.COMPLETE]
    assert sorted(complete) == placements(4)


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_that_eats_its_workers_is_given_up(tmp_path, local_ray):
    def deadly(run):
        if run.architecture["placement"] == "CCC-CCM":
            os.kill(os.getpid(), signal.SIGKILL)  # as the system does: out of memory
        return fake_trial(run)

    study = search(
        config(search={"trials": 4}), tmp_path / "s", quiet=True, function=deadly
    )
    trials = study.trials()
    kept = [t for t in trials if t.retried_as is None]
    (given_up,) = [t for t in kept if t.state == TrialState.FAILED]
    assert given_up.placement == "CCC-CCM"
    assert f"given up after {MAX_LOSSES} lost workers" in given_up.error
    assert len(kept) == 4


@pytest.mark.ray
@pytest.mark.slow
def test_memory_that_really_runs_out_fails_one_trial(tmp_path, local_ray):
    def greedy(run):
        import resource

        if run.architecture["placement"] != "CCC-CCM":
            return fake_trial(run)
        before = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, before[1]))
        try:
            hoard = bytearray(2**33)
            return fake_trial(run), hoard
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

    study = search(
        config(search={"trials": 4}), tmp_path / "s", quiet=True, function=greedy
    )
    (failed,) = [t for t in study.trials() if t.state == TrialState.FAILED]
    assert (failed.placement, failed.error) == ("CCC-CCM", "MemoryError")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
@pytest.mark.ray
@pytest.mark.slow
def test_a_full_disk_ends_the_search_and_a_freed_one_goes_on(tmp_path, local_ray):
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("cannot mount a file system here")

    def filling(run):
        if run.number == 3:
            ballast = run.directory.parents[1] / "ballast"
            with ballast.open("wb", buffering=0) as file:
                for size in (4096, 1):
                    try:
                        while True:
                            file.write(b"x" * size)
                    except OSError:
                        continue
        return fake_trial(run)

    settings = config(search={"trials": 8}, resources={"max_concurrent": 1})
    study = path / "s"
    try:
        with pytest.raises(SearchFailedError, match=f"go on with: nas resume {study}"):
            search(settings, study, quiet=True, function=filling)
        before = [t for t in Study.open(study).trials() if t.state == "complete"]
        assert len(before) >= 3
        (study / "ballast").unlink()
        after = resume(study, quiet=True, function=fake_trial)
        complete = [t for t in after.trials() if t.state == "complete"]
        assert sorted(t.placement for t in complete) == placements(8)
        assert complete[: len(before)] == before
        assert after.problems == ()
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_without_room_on_the_disk_is_done_again(tmp_path, local_ray):
    def homeless(run):
        if run.number >= 3:  # torch.save hides the cause
            try:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                raise RuntimeError("unexpected pos 64 vs 0")
        return fake_trial(run)

    settings = config(search={"trials": 8}, resources={"max_concurrent": 1})
    with pytest.raises(SearchFailedError, match="no space left on the disk of"):
        search(settings, tmp_path / "s", quiet=True, function=homeless)
    (stopped,) = [t for t in Study.open(tmp_path / "s").trials() if t.error]
    assert stopped.was_interrupted and "disk was full" in stopped.error
    after = resume(tmp_path / "s", quiet=True, function=fake_trial)
    kept = [t for t in after.trials() if t.retried_as is None]
    assert [str(t.state) for t in kept] == ["complete"] * 8
    assert sorted(t.placement for t in kept) == placements(8)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_read_only_study_can_be_read_but_not_resumed(tmp_path):
    import yaml
    from search_parts import new_ledger, plan, run_all, settings

    from nas.sampling.proposer import Proposer
    from nas.study.lease import Lease
    from search_spaces.errors import InputError

    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings()))
    ledger = new_ledger(tmp_path)
    run_all(ledger, Proposer(ledger, plan(num_trials=3)))
    bind = ["mount", "--bind", str(tmp_path), str(tmp_path)]
    if subprocess.run(bind, capture_output=True).returncode:
        pytest.skip("cannot mount a file system here")
    try:
        remount = ["mount", "-o", "remount,ro,bind", str(tmp_path)]
        subprocess.run(remount, check=True)
        assert len(Study.open(tmp_path).trials()) == 3
        with pytest.raises(InputError, match="must be writable.*Read-only file system"):
            Lease(tmp_path).__enter__()
        with pytest.raises(InputError, match="cannot be written to"):
            Study.open(tmp_path).write_table()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


DRIVER = """
import sys, time
sys.path.insert(0, sys.argv[1])
import ray, search_parts
from nas.search_run import search
ray.cloudpickle.register_pickle_by_value(search_parts)
def slowly(run):
    import time
    time.sleep(1 if run.number < 2 else 600)
    return search_parts.fake_trial(run)
search(search_parts.config(search={"trials": 6}), sys.argv[2], function=slowly)
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True])
def test_sigterm_stops_in_order_and_resume_goes_on(tmp_path, local_ray, whole_group):
    study = tmp_path / "s"
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(HERE), str(study)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        time.sleep(0.3)
        if not (study / "study.log").exists():
            continue
        states = [t.state for t in Study.open(study).trials()]
        if states.count("complete") >= 2 and states.count("running") == 2:
            break
    if whole_group:  # as `timeout` and SLURM do: Ray's own processes get it, too
        os.killpg(driver.pid, signal.SIGTERM)
    else:
        driver.send_signal(signal.SIGTERM)
    _, err = driver.communicate(timeout=120)
    assert driver.returncode != 0
    assert f"go on with: nas resume {study}" in err
    left = Study.open(study)
    assert [t.state for t in left.trials()].count("running") == 0
    assert whole_group or (study / "trials.csv").exists()
    done = resume(study, quiet=True, function=fake_trial)
    complete = [t.placement for t in done.trials() if t.state == "complete"]
    assert sorted(complete) == placements(6)


@pytest.mark.slow
@pytest.mark.ray
def test_a_checkpoint_is_continued_by_the_repeated_trial(tmp_path, local_ray):
    """Real training: killed after its second epoch, it goes on with the third."""
    from nas.config import config_from_dict
    from nas.scoring.scratch import train_trial
    from nas.scoring.trial_run import TrialRun

    settings = config_from_dict(
        {
            **config(search={"trials": 1}).to_dict(),
            "name": "continued",
            "data": {"name": "digits", "max_train": 128, "max_validation": 64},
            "training": {"epochs": 4, "batch_size": 64},
        }
    )

    def killed_after_two(run: TrialRun):
        import nas.scoring.training as training

        marker = run.directory.parent / "killed"
        keep = training._save
        seen = []

        def save(*args, **options):
            keep(*args, **options)
            seen.append(1)
            if len(seen) == 2 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        training._save = save
        try:
            outcome = train_trial(run)
        finally:
            training._save = keep
        (run.directory / "epochs_here").write_text(str(len(seen)))
        return outcome

    from nas.scoring import scratch

    before = scratch.train_trial
    scratch.train_trial = killed_after_two
    try:
        study = search(settings, tmp_path / "s", quiet=True)
    finally:
        scratch.train_trial = before
    first, second = study.trials()
    assert first.retried_as == second.number
    assert second.state == TrialState.COMPLETE
    where = study.trial_directory(second.number)
    assert (where / "epochs_here").read_text() == "2"
    assert len((where / "history.csv").read_text().splitlines()) == 1 + 4
    assert list((tmp_path / "s" / "checkpoints").iterdir()) == []
