"""What a trial costs beside its training: ours, Tune and Optuna in one run.

    python benchmarks/overhead.py [--noop 100] [--stock 8] [--slots 2] [--repeats 3]

No-op trials, seconds for each after the workers are up (the first trials of every
variant, one a slot, are not counted):

    ours    nas.execution.ray_runner: ledger on disk, TPE, all metrics as attributes
    best    Tune at its best: class trainable, reused actors, TPE in memory
    stock   Tune as its documentation shows it: function trainable, OptunaSearch
            (a new process a trial)
    optuna  a bare Optuna loop in this process, TPE in memory

Five-second trials on all slots: the share of slot time that was spent inside trials,
from the start of the first to the end of the last one. They sleep, so that the figure
is about orchestration and not about who else uses the machine.

Variants take turns, `--repeats` times; the median is reported, and the load.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from nas.execution.cluster import ray_cluster
from nas.execution.ray_runner import run_trials
from nas.execution.resources import Resources
from nas.execution.trial_worker import WorkerContext
from nas.ledger.ledger import Ledger
from nas.ledger.location import Location
from nas.ledger.trial import Objective
from nas.sampling.proposer import Plan, Proposer
from nas.scoring.trial_run import TrialOutcome, TrialRun
from search_spaces import Backbone, FreeSpace

OBJECTIVES = (Objective("accuracy", "maximize"), Objective("macs", "minimize"))
SPACE = FreeSpace(
    Backbone("basic", "patch2", (5, 5, 5), (8, 16, 32), (1, 2, 2)),
    strided_msas=True,
    image_size=32,
)
SLOTS = 15


def score(letters: str) -> dict[str, float]:
    """Metrics that depend on the placement alone."""
    return {"accuracy": letters.count("M") / SLOTS, "macs": float(len(letters))}


def noop(run: TrialRun) -> TrialOutcome:
    return TrialOutcome(score(run.architecture["placement"]))


def five_seconds(run: TrialRun) -> TrialOutcome:
    time.sleep(5)
    return noop(run)


class Stopwatch:
    """Listens to a search: when did trials end?"""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def started(self, proposal: object) -> None:
        """Not of interest."""

    def ended(self, trial: object) -> None:
        """Remember when."""
        self.ends.append(time.perf_counter())


def per_trial(ends: list[float], slots: int) -> float:
    """Milliseconds a trial after each slot has had its first."""
    counted = ends[slots - 1 :]
    return (counted[-1] - counted[0]) / (len(counted) - 1) * 1e3


def ours(num_trials: int, slots: int, function=noop) -> tuple[list[float], Ledger]:
    with tempfile.TemporaryDirectory() as name:
        study = Path(name)
        ledger = Ledger(
            Location("", study / "study.log"), "overhead", OBJECTIVES, create=True
        )
        proposer = Proposer(ledger, Plan(SPACE, "tpe", num_trials, 0, 1))
        watch = Stopwatch()
        run_trials(
            ledger=ledger,
            proposer=proposer,
            context=WorkerContext(function, study),
            resources=Resources(max_concurrent=slots),
            listener=watch,
        )
        ledger.trials()  # while the journal is there
        return watch.ends, ledger


def suggest_letters(trial):
    """The space for Tune, which pickles it."""
    for i in range(SLOTS):
        trial.suggest_categorical(f"b{i}", ["C", "M"])


def tune_runs(num_trials: int, slots: int, *, stock: bool) -> list[float]:
    """Tune with OptunaSearch; stock or at its best."""
    from ray import tune
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    ends: list[float] = []

    class Watch(tune.Callback):
        def on_trial_complete(self, iteration, trials, trial, **info):
            ends.append(time.perf_counter())

        def __getstate__(self):
            return {}

    class Reused(tune.Trainable):
        def setup(self, config):
            self.config = config

        def reset_config(self, new_config):
            self.config = new_config
            return True

        def step(self):
            letters = "".join(self.config[f"b{i}"] for i in range(SLOTS))
            return {**score(letters), "done": True}

    def function(config):
        tune.report(score("".join(config[f"b{i}"] for i in range(SLOTS))))

    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=0, multivariate=True)
    search = OptunaSearch(
        suggest_letters,
        metric=["accuracy", "macs"],
        mode=["max", "min"],
        **({} if stock else {"sampler": sampler}),
    )
    with tempfile.TemporaryDirectory() as scratch:
        tune.Tuner(
            tune.with_resources(function if stock else Reused, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                search_alg=ConcurrencyLimiter(search, max_concurrent=slots),
                num_samples=num_trials,
                reuse_actors=not stock,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                callbacks=[Watch()],
                checkpoint_config=tune.CheckpointConfig(
                    checkpoint_at_end=None if stock else False
                ),
            ),
        ).fit()
    return ends


def bare_optuna(num_trials: int) -> list[float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=0, multivariate=True)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    ends = []

    def objective(trial):
        letters = [trial.suggest_categorical(f"b{i}", ["C", "M"]) for i in range(SLOTS)]
        return tuple(score("".join(letters)).values())

    study.optimize(
        objective,
        n_trials=num_trials,
        callbacks=[lambda *_: ends.append(time.perf_counter())],
    )
    return ends


def busy_share(slots: int, num_trials: int) -> float:
    """Share of slot time inside five-second trials."""
    ends, ledger = ours(num_trials, slots, five_seconds)
    trials = list(ledger._finished.values())
    inside = sum(trial.duration_s for trial in trials)
    first = min(ends) - 5.0
    return inside / (slots * (max(ends) - first))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--noop", type=int, default=100)
    parser.add_argument("--stock", type=int, default=8)
    parser.add_argument("--slots", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--long", type=int, default=16, help="five-second trials")
    options = parser.parse_args()
    slots = options.slots
    if min(options.noop, options.stock) <= slots:
        parser.error(f"--noop and --stock must exceed --slots ({slots})")
    times: dict[str, list[float]] = {n: [] for n in ("ours", "best", "stock", "optuna")}
    loads = [os.getloadavg()[0]]
    with ray_cluster(Resources(max_concurrent=slots)):
        for _ in range(options.repeats):
            times["ours"].append(per_trial(ours(options.noop, slots)[0], slots))
            print(times, file=sys.stderr, flush=True)
            best = tune_runs(options.noop, slots, stock=False)
            times["best"].append(per_trial(best, slots))
            print(times, file=sys.stderr, flush=True)
            stock = tune_runs(options.stock, slots, stock=True)
            times["stock"].append(per_trial(stock, slots))
            times["optuna"].append(per_trial(bare_optuna(options.noop), 1))
            loads.append(os.getloadavg()[0])
        share = busy_share(slots, options.long)
    median = {name: statistics.median(values) for name, values in times.items()}
    report = {
        "ms_per_noop_trial": {n: round(v, 2) for n, v in median.items()},
        "ms_per_noop_trial_all": {
            n: [round(v, 1) for v in vs] for n, vs in times.items()
        },
        "ours_to_best": round(median["ours"] / median["best"], 3),
        "ours_to_stock": round(median["ours"] / median["stock"], 4),
        "share_of_slot_time_inside_5s_trials": round(share, 4),
        "slots": slots,
        "loads": loads,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
