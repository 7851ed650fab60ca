"""Faults on real Ray nodes; run by test_faults.py, each in a process of its own.

    python tests/nas/fault_scenarios.py SCENARIO DIRECTORY

Prints a JSON object about what happened. Runs in a network namespace of its own.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parent))

from ray_nodes import ADDRESS, cluster, enter_own_network

PATIENCE_S = 300.0


def slow_trial(run):
    """Takes a moment, and stops for good while a file ``hold`` is there."""
    import socket
    import time

    from search_parts import fake_trial

    (run.directory / "here").write_text(f"{socket.gethostname()} {os.getppid()}")
    time.sleep(0.5)
    hold = run.directory.parents[1] / "hold"
    while hold.exists():
        time.sleep(0.1)
    return fake_trial(run)


def start_search(directory: Path, num_trials: int, *, resume: bool = False):
    """A driver in a process of its own, as a user's script would be."""
    verb = "resume" if resume else "search"
    command = [sys.executable, __file__, f"drive-{verb}", str(directory)]
    log = (directory / "driver.log").open("a")
    return subprocess.Popen(
        [*command, str(num_trials)], stdout=log, stderr=log, process_group=0
    )


def drive(verb: str, directory: Path, num_trials: int) -> None:
    """Body of the driver process."""
    import ray
    import search_parts

    from nas.search_run import resume, search

    ray.cloudpickle.register_pickle_by_value(search_parts)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    study = directory / "study"
    if verb == "drive-search":
        settings = search_parts.config(
            search={"trials": num_trials},
            resources={"max_concurrent": None, "address": ADDRESS},
        )
        search(settings, study, function=slow_trial)
    else:
        resume(study, address=ADDRESS, function=slow_trial)


def trials(directory: Path) -> list:
    from nas.study.study import Study
    from search_spaces.errors import InputError

    with contextlib.suppress(InputError):
        return Study.open(directory / "study").trials()
    return []


def workers(directory: Path) -> dict[int, int]:
    """Process ids by number of the running trials that a worker has begun."""
    from nas.study.layout import TrialLayout
    from nas.study.worker_file import read_worker

    found = {}
    for trial in trials(directory):
        where = directory / "study" / "trials" / str(trial.number)
        if trial.state == "running" and (where / "here").exists():
            found[trial.number] = read_worker(TrialLayout(where))["pid"]
    return found


def until(condition, what: str):
    """Wait for something; its value."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.2)
    raise TimeoutError(f"waited in vain: {what}")


def report(directory: Path, **more: object) -> dict[str, object]:
    """What a test wants to know of the study."""
    rows = trials(directory)
    complete = [t.placement for t in rows if t.state == "complete"]
    return {
        "complete": sorted(complete),
        "states": [str(t.state) for t in rows],
        "errors": [t.error for t in rows],
        "retried": [t.number for t in rows if t.retried_as is not None],
        "results": [
            [t.placement, t.seed, dict(t.metrics)]
            for t in sorted(rows, key=lambda t: t.placement)
            if t.state == "complete"
        ],
        **more,
    }


def node_lost(directory: Path) -> dict[str, object]:
    """A node goes with its trial, another one joins; the search ends by itself."""
    hold = directory / "study" / "hold"
    with cluster(2) as nodes:
        driver = start_search(directory, 6)
        until(lambda: (directory / "study" / "study.log").exists(), "a study")
        hold.touch()
        before = until(
            lambda: len(w := workers(directory)) == 2 and w, "both nodes at work"
        )
        nodes.nodes.pop().lose()
        until(lambda: len(workers(directory)) < 2 or len(trials(directory)) > 2, "loss")
        nodes.add_nodes(1)
        until(
            lambda: len(set(workers(directory)) - set(before)) >= 1,
            "the node that joined at work",
        )
        hold.unlink()
        code = driver.wait(timeout=PATIENCE_S)
    return report(directory, code=code)


def driver_killed(directory: Path) -> dict[str, object]:
    """kill -9 of the driver while trials run, then a resumption."""
    hold = directory / "study" / "hold"
    with cluster(1, num_cpus=2):
        driver = start_search(directory, 6)
        until(lambda: (directory / "study" / "study.log").exists(), "a study")
        until(lambda: len(report(directory)["complete"]) >= 1, "a result")
        hold.touch()
        running = until(
            lambda: len(w := workers(directory)) == 2 and w, "two trials at work"
        )
        before = report(directory)
        driver.kill()
        driver.wait()
        hold.unlink()
        resumed = start_search(directory, 6, resume=True)
        code = resumed.wait(timeout=PATIENCE_S)
    return report(
        directory,
        code=code,
        running=sorted(running),
        complete_before=before["complete"],
    )


def head_lost(directory: Path) -> dict[str, object]:
    """The head goes; Ray ends the driver; another cluster goes on."""
    hold = directory / "study" / "hold"
    with cluster(1) as nodes:
        driver = start_search(directory, 3)
        until(lambda: (directory / "study" / "study.log").exists(), "a study")
        hold.touch()
        until(lambda: workers(directory), "a trial at work")
        nodes.head.lose_head()
        first_code = driver.wait(timeout=PATIENCE_S)
    hold.unlink()
    with cluster(1):
        code = start_search(directory, 3, resume=True).wait(timeout=PATIENCE_S)
    return report(directory, first_code=first_code, code=code)


def two_nodes(directory: Path) -> dict[str, object]:
    """The same exhaustive search on two nodes and on one."""
    found = {}
    for num_nodes in (1, 2):
        here = directory / f"{num_nodes}"
        here.mkdir()
        with cluster(num_nodes):
            code = start_search(here, 8).wait(timeout=PATIENCE_S)
        found[str(num_nodes)] = report(here, code=code)
    return found


def local_path(directory: Path) -> dict[str, object]:
    """A node that does not see the study directory, here: has another /tmp."""
    with cluster(1) as nodes:
        nodes.add_blind_node(directory)
        driver = start_search(directory, 4)
        code = driver.wait(timeout=PATIENCE_S)
    return {
        "code": code,
        "log": (directory / "driver.log").read_text(),
        "left": sorted(p.name for p in directory.iterdir()),
    }


def doctor(directory: Path) -> dict[str, object]:
    """A look at three nodes: one is in order, two are not, each in its own way."""
    command = [sys.executable, "-m", "nas", "doctor", "--format", "json"]
    with cluster(1) as nodes:
        nodes.add_changed_node("prlimit", "--nofile=900:900")
        nodes.add_blind_node(directory)
        answer = subprocess.run(
            [*command, "--address", ADDRESS, "--out", str(directory / "studies")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    return {
        "code": answer.returncode,
        "log": answer.stderr,
        "found": json.loads(answer.stdout),
        "left": sorted(p.name for p in directory.iterdir()),
    }


SCENARIOS = {
    function.__name__: function
    for function in (
        node_lost,
        driver_killed,
        head_lost,
        two_nodes,
        local_path,
        doctor,
    )
}


def main() -> None:
    name, directory, *rest = sys.argv[1:]
    if name.startswith("drive-"):
        drive(name, Path(directory), int(rest[0]))
        return
    enter_own_network()
    print(json.dumps(SCENARIOS[name](Path(directory))))


if __name__ == "__main__":
    main()
