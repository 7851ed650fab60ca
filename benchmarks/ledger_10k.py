"""How a study with many trials feels: open, status, front, next proposal, memory.

    python benchmarks/ledger_10k.py [--trials 10000] [--sampler tpe]

Writes a study with finished trials through the real ledger (12 metrics a trial, the
space of all placements of 15 slots) and the index that a search refreshes every 500
trials, then times what a user does with it in fresh processes, and the sampler's next
proposals in this one. CPU seconds, which other work on the machine hardly changes.
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
from itertools import product
from pathlib import Path

import yaml

from nas.ledger.attributes import STUDY_FORMAT
from nas.ledger.journal_reader import JournalReader
from nas.ledger.ledger import Ledger, Proposal
from nas.ledger.location import Location
from nas.ledger.trial import Objective
from nas.sampling.proposer import Plan, Proposer
from nas.study.layout import StudyLayout
from nas.study.study import Study
from search_spaces import Backbone, FreeSpace

OBJECTIVES = (Objective("accuracy", "maximize"), Objective("macs", "minimize"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--proposals", type=int, default=50)
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
        written, memory = fill(study, space, options.trials)
        report["write_cpu_ms_per_trial"] = written
        report["memory_mib_while_writing"] = memory
        report["journal_mib"] = (StudyLayout(study).journal).stat().st_size / 2**20
        started = time.process_time()
        trials = Study.open(study).trials()
        report["read_without_index_cpu_s"] = time.process_time() - started
        assert len(trials) == options.trials
        reader = JournalReader(StudyLayout(study).journal, StudyLayout(study).index)
        reader.refresh()
        reader.write_index()
        started = time.process_time()
        Study.open(study).trials()
        report["read_with_index_cpu_s"] = time.process_time() - started
        for verb, output in product(("status", "pareto"), ("table", "json")):
            seconds = run_command(verb, study, ["--format", output])
            report[f"nas_{verb}_{output}_cpu_s"] = seconds
        report |= propose(study, space, options.sampler, options.trials, options)
    print(json.dumps(report, indent=2))


def memory_mib() -> float:
    """Memory of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def fill(
    study: Path, space: FreeSpace, num_trials: int
) -> tuple[float, dict[str, float]]:
    """Write finished trials; returns milliseconds for each, and memory on the way."""
    settings = {
        "study": {"format": STUDY_FORMAT},
        "name": "many",
        "objectives": [
            {"metric": o.metric, "direction": o.direction} for o in OBJECTIVES
        ],
        "search": {"trials": num_trials},
        "evaluators": {"accuracy": {}, "cost": {}},
    }
    StudyLayout(study).config.write_text(yaml.safe_dump(settings))
    ledger = Ledger(
        Location("", StudyLayout(study).journal), "many", OBJECTIVES, create=True
    )
    proposer = Proposer(ledger, Plan(space, "random", num_trials, 0, 10))
    rng = random.Random(0)
    memory = {"0": memory_mib()}
    started = time.process_time()
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
        if (proposal.number + 1) % (num_trials // 4) == 0:
            memory[str(proposal.number + 1)] = memory_mib()
    return (time.process_time() - started) / num_trials * 1e3, memory


def run_command(verb: str, study: Path, options: list[str]) -> float:
    """CPU seconds of a command in a fresh process, its start included; median of 5."""
    times = []
    for _ in range(5):
        started = children_cpu()
        subprocess.run(
            [sys.executable, "-m", "nas.cli", verb, str(study), *options],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        times.append(children_cpu() - started)
    return sorted(times)[2]


def children_cpu() -> float:
    """CPU seconds of all ended child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def propose(
    study: Path,
    space: FreeSpace,
    sampler: str,
    num_trials: int,
    options: argparse.Namespace,
) -> dict[str, float]:
    """Reopen the ledger as a resumed search does and ask for more trials."""
    started = time.process_time()
    ledger = Ledger(Location("", StudyLayout(study).journal), "many", OBJECTIVES)
    opened = time.process_time() - started
    total = num_trials + options.proposals
    proposer = Proposer(ledger, Plan(space, sampler, total, 0, 10))
    times, memory = [], []
    while True:
        started = time.process_time()
        proposal = proposer.next()
        if not isinstance(proposal, Proposal):
            break
        times.append(time.process_time() - started)
        ledger.complete(
            proposal.number,
            {"accuracy": 0.5, "macs": float(proposal.architecture.macs)},
        )
        memory.append(memory_mib())
    return {
        "resume_open_cpu_s": opened,
        f"propose_{sampler}_first_cpu_s": times[0],
        f"propose_{sampler}_median_cpu_s": sorted(times)[len(times) // 2],
        f"propose_{sampler}_longest_cpu_s": max(times),
        "memory_mib_at_first_proposal": memory[0],
        "memory_mib_at_last_proposal": memory[-1],
        "load_at_end": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
