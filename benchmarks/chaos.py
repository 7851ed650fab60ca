"""A real search on three Ray nodes while workers, nodes and its driver are killed.

    python benchmarks/chaos.py [--kills 20] [--trials 32] [--seed 0]

Trains every placement of a small space on real digits. At random moments, something
is killed with SIGKILL: the worker of a running trial, a whole node (a new one joins),
or the driver (`nas resume` goes on). Then the search is resumed to its end and the
study is audited from its journal: every requested placement finished exactly once,
no trial without an owner, no finished result changed or gone.

Exit code 0 only if the audit holds. Nothing outside this machine is touched: the
nodes live in a network namespace of their own.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import yaml
from ray_nodes import ADDRESS, Cluster, cluster, enter_own_network, kill

CONFIG = {
    "name": "chaos",
    "data": {"name": "digits"},
    "space": {
        "backbone": {
            "block": "basic",
            "stem": "patch2",
            "depths": [3, 3],
            "widths": [8, 16],
            "strides": [1, 2],
        },
        "attention": {"heads": 1, "head_dim": 8, "window": "auto"},
    },
    "training": {"epochs": 6, "batch_size": 32},
    "evaluators": ["accuracy", "cost"],
    "objectives": ["accuracy", "macs"],
    "search": {"sampler": "exhaustive", "trials": 32, "baselines": False},
}
KINDS = ("worker", "node", "driver")
ODDS = (14, 3, 3)
"""Of twenty kills; at least one of each kind is enforced."""


class Driver:
    """`nas search`, and `nas resume` after each death."""

    def __init__(self, study: Path, config: Path) -> None:
        self._study = study
        self._log = (study.parent / "driver.log").open("a")
        self.num_starts = 0
        self._start("search", str(config), "--out", str(study))

    def _start(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "nas.cli", *arguments, "--address", ADDRESS]
        self.process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, process_group=0
        )
        self.num_starts += 1

    def resume(self) -> None:
        """Go on with the study; with a new one if it died before there was one."""
        if (self._study / "study.log").exists():
            self._start("resume", str(self._study))
        else:
            raise RuntimeError("the driver died before it had a study")

    def kill(self) -> None:
        """Kill the driver and wait until it is gone."""
        kill(self.process.pid)
        self.process.wait()


def running_workers(study: Path) -> dict[int, int]:
    """Process ids of the workers that train now, by trial."""
    from nas.study.study import Study
    from nas.study.worker_file import read_worker

    opened = Study.open(study)
    found = {}
    for trial in opened.trials():
        if trial.state == "running":
            pid = read_worker(opened.layout.trial(trial.number)).get("pid")
            if pid and Path(f"/proc/{pid}").exists():
                found[trial.number] = pid
    return found


def finished(study: Path) -> dict[int, dict[str, float]]:
    """Metrics of the complete trials now."""
    from nas.study.study import Study

    trials = Study.open(study).trials()
    return {t.number: dict(t.metrics) for t in trials if t.state == "complete"}


def chaos(
    options: argparse.Namespace, study: Path, nodes: Cluster
) -> dict[str, object]:
    """Kill until enough is killed, then let the search end."""
    rng = random.Random(options.seed)
    wanted = list(KINDS) + rng.choices(KINDS, ODDS, k=options.kills - len(KINDS))
    rng.shuffle(wanted)
    config = study.parent / "chaos.yaml"
    settings = json.loads(json.dumps(CONFIG))
    settings["search"]["trials"] = options.trials
    config.write_text(yaml.safe_dump(settings))
    driver = Driver(study, config)
    killed: Counter[str] = Counter()
    seen: dict[int, dict[str, float]] = {}
    num_done = 0
    deadline = time.monotonic() + options.time_limit
    while wanted:
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {sum(killed.values())} kills in time")
        time.sleep(rng.uniform(0.5, 3.0))
        if driver.process.poll() is not None:
            if driver.process.returncode == 0:
                more = extend(study, settings)
                raise RuntimeError(f"the search ended before all kills; {more}")
            driver.resume()  # it died of a node's death, say: that is a kill, too
            continue
        if not (study / "study.log").exists():
            continue
        workers = running_workers(study)
        done = finished(study)
        if not workers or (killed and len(done) <= num_done):
            # Nothing is being trained, or nothing was finished since the last kill:
            # a search whose every worker is killed at once never gets anywhere (and
            # a trial whose worker dies again and again is rightly given up).
            continue
        num_done = len(done)
        for number, metrics in done.items():
            if seen.setdefault(number, metrics) != metrics:
                raise AssertionError(f"the result of trial {number} has changed")
        kind = wanted.pop()
        if kind == "worker":
            kill(rng.choice(sorted(workers.values())))
        elif kind == "node":
            lost = nodes.nodes.pop(rng.randrange(len(nodes.nodes)))
            lost.lose()
            nodes.add_nodes(1)
        else:
            driver.kill()
            driver.resume()
        killed[kind] += 1
        print(
            f"killed a {kind} ({sum(killed.values())} of {options.kills})", flush=True
        )
    while driver.process.wait() != 0:
        if time.monotonic() > deadline:
            raise TimeoutError("the search does not come to its end")
        driver.resume()
    return {
        "kills": dict(killed),
        "driver_starts": driver.num_starts,
        **audit(study, settings, seen),
    }


def extend(study: Path, settings: dict) -> str:
    """Advice when the search is too short for the kills."""
    return f"give more than --trials {settings['search']['trials']}"


def audit(
    study: Path, settings: dict, seen: dict[int, dict[str, float]]
) -> dict[str, object]:
    """Compare the study with what was asked for."""
    from nas.config import config_from_dict
    from nas.data.datasets import image_shape
    from nas.study.study import Study

    config = config_from_dict(settings)
    space = config.space.make(*image_shape(config.data))
    trials = Study.open(study).trials()
    complete = [t for t in trials if t.state == "complete"]
    requested = [a.id for a in space.enumerate()][: settings["search"]["trials"]]
    times = Counter(trial.architecture_id for trial in complete)
    results = {t.number: dict(t.metrics) for t in complete}
    return {
        "requested": len(requested),
        "finished_exactly_once": sum(times[one] == 1 for one in requested),
        "finished_more_than_once": sum(times[one] > 1 for one in requested),
        "never_finished": sum(times[one] == 0 for one in requested),
        "not_requested": sum(one not in requested for one in times),
        "orphans": sum(t.state in ("running", "waiting") for t in trials),
        "lost_results": sum(results.get(n) != metrics for n, metrics in seen.items()),
        "attempts_lost_and_repeated": sum(t.retried_as is not None for t in trials),
        "failed": sum(t.state == "failed" and t.retried_as is None for t in trials),
    }


def holds(report: dict[str, object]) -> bool:
    """Whether nothing was lost, left over or done twice."""
    zeros = (
        "finished_more_than_once",
        "never_finished",
        "not_requested",
        "orphans",
        "lost_results",
        "failed",
    )
    return report["finished_exactly_once"] == report["requested"] and not any(
        report[name] for name in zeros
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--nodes", type=int, default=2, help="besides the head")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, default=3600, help="seconds")
    options = parser.parse_args()
    enter_own_network()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nas-chaos-") as name:
        study = Path(name) / "study"
        try:
            with cluster(options.nodes) as nodes:
                report = chaos(options, study, nodes)
        except BaseException:
            log = Path(name) / "driver.log"
            if log.exists():
                print(log.read_text()[-3000:], file=sys.stderr)
            raise
    report["seconds"] = round(time.monotonic() - started)
    report["load"] = os.getloadavg()[0]
    print(json.dumps(report, indent=2))
    print("nothing lost, nothing done twice" if holds(report) else "THE AUDIT FAILED")
    sys.exit(0 if holds(report) else 1)


if __name__ == "__main__":
    main()
