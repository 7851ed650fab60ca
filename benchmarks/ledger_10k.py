"""How a study with many trials feels: open, status, front, next proposal, memory.

    python benchmarks/ledger_10k.py [--trials 10000] [--sampler tpe]

Writes a study with finished trials through the real ledger (12 metrics a trial, the
space of all placements of 13 slots), then times what a user does with it in fresh
processes, and the sampler's next proposals in this one.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from nas.ledger.attributes import STUDY_FORMAT
from nas.ledger.ledger import Ledger, Location, Proposal
from nas.record import Objective
from nas.sampling.proposer import Plan, Proposer
from nas.study import CONFIG_FILE, JOURNAL_FILE, Study
from search_spaces import Backbone, FreeSpace

OBJECTIVES = (Objective("accuracy", "maximize"), Objective("macs", "minimize"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--proposals", type=int, default=10)
    options = parser.parse_args()
    space = FreeSpace(
        Backbone("basic", "patch2", (5, 5, 5), (8, 16, 32), (1, 2, 2)),
        strided_msas=True,
        image_size=32,
    )
    with tempfile.TemporaryDirectory() as name:
        study = Path(name) / "study"
        study.mkdir()
        report: dict[str, object] = {
            "trials": options.trials,
            "space": space.size,
            "load_at_start": os.getloadavg()[0],
        }
        report["write_ms_per_trial"] = fill(study, space, options.trials)
        report["journal_mib"] = (study / JOURNAL_FILE).stat().st_size / 2**20
        started = time.perf_counter()
        trials = Study.open(study).trials()
        report["open_and_read_s"] = time.perf_counter() - started
        assert len(trials) == options.trials
        for verb in (["status", "--format", "json"], ["pareto", "--format", "json"]):
            report[f"nas_{verb[0]}_s"] = run_command(verb[0], study, verb[1:])
        report |= propose(study, space, options.sampler, options.trials, options)
    print(json.dumps(report, indent=2))


def fill(study: Path, space: FreeSpace, num_trials: int) -> float:
    """Write finished trials; returns milliseconds for each."""
    settings = {
        "study": {"format": STUDY_FORMAT},
        "name": "many",
        "objectives": [
            {"metric": o.metric, "direction": o.direction} for o in OBJECTIVES
        ],
        "search": {"trials": num_trials},
        "evaluators": {"accuracy": {}, "cost": {}},
    }
    (study / CONFIG_FILE).write_text(yaml.safe_dump(settings))
    ledger = Ledger(Location("", study / JOURNAL_FILE), "many", OBJECTIVES, create=True)
    proposer = Proposer(ledger, Plan(space, "random", num_trials, 0, 10))
    rng = random.Random(0)
    started = time.perf_counter()
    while isinstance(proposal := proposer.next(), Proposal):
        architecture = proposal.architecture
        metrics = {
            "accuracy": 0.5 + 0.02 * architecture.placement.num_msas * rng.random(),
            "macs": float(architecture.macs),
            "params": float(architecture.params),
        }
        metrics |= {f"metric_{i}": rng.random() for i in range(9)}
        ledger.complete(
            proposal.number,
            metrics,
            standard_errors={"accuracy": 0.01},
            attributes={"node": "here", "duration_s": 1.0},
        )
    return (time.perf_counter() - started) / num_trials * 1e3


def run_command(verb: str, study: Path, options: list[str]) -> float:
    """Wall seconds of a command in a fresh process; best of three."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "nas.cli", verb, str(study), *options],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        times.append(time.perf_counter() - started)
    return min(times)


def propose(
    study: Path,
    space: FreeSpace,
    sampler: str,
    num_trials: int,
    options: argparse.Namespace,
) -> dict[str, float]:
    """Reopen the ledger as a resumed search does and ask for more trials."""
    started = time.perf_counter()
    ledger = Ledger(Location("", study / JOURNAL_FILE), "many", OBJECTIVES)
    opened = time.perf_counter() - started
    total = num_trials + options.proposals
    proposer = Proposer(ledger, Plan(space, sampler, total, 0, 10))
    times, memory = [], []
    while True:
        started = time.perf_counter()
        proposal = proposer.next()
        if not isinstance(proposal, Proposal):
            break
        times.append(time.perf_counter() - started)
        ledger.complete(
            proposal.number,
            {"accuracy": 0.5, "macs": float(proposal.architecture.macs)},
        )
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return {
        "resume_open_s": opened,
        f"propose_{sampler}_first_s": times[0],
        f"propose_{sampler}_median_s": sorted(times)[len(times) // 2],
        "peak_memory_mib_at_first_proposal": memory[0],
        "peak_memory_mib_at_last_proposal": memory[-1],
        "load_at_end": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
