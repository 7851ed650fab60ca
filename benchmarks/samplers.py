"""Trainings until one of the best 1% of a space is found, sampler beside sampler.

Every sampler proposes through Optuna's ask and tell; a table answers instead of a
training, with noise. A repeated proposal is answered from memory and is no training, as
in a search. On the published table placements that nobody trained are refused.

    python benchmarks/samplers.py --repeats 50 --out samplers.csv
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pandas as pd

from nas.prediction.slot_space import SlotSpace
from nas.sampling.linear_sampler import LinearSampler

PUBLISHED = Path(__file__).parents[1] / "results/cifar10-placement/trials.csv"
NINE = SlotSpace((3, 3, 3), ("CM",) * 9)
EIGHT = SlotSpace((8,), ("CMP",) * 8)
TWENTY = SlotSpace((5, 5, 5, 5), ("CM",) * 20)
ASKS_PER_TRAINING = 4

SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=False),
    "tpe multivariate": lambda seed: optuna.samplers.TPESampler(
        seed=seed, multivariate=True
    ),
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=12),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "linear": lambda seed: LinearSampler(seed=seed),
}


@dataclass
class Table:
    """What a training of any placement gives."""

    space: SlotSpace
    truth: Callable[[np.ndarray], float]
    train: Callable[[np.ndarray, np.random.Generator], float]
    goal: float
    known: Callable[[np.ndarray], bool] = lambda code: True


def quadratic(space: SlotSpace, rng, interactions: float):
    """Main effects, and interactions of every pair of slots."""
    sizes = [len(choices) for choices in space.letters]
    main = [rng.normal(0, 1, size) for size in sizes]
    pairs = {
        (s, t): interactions * rng.normal(0, 1, (sizes[s], sizes[t]))
        for s in range(len(sizes))
        for t in range(s)
        if interactions
    }

    def value(codes):
        total = sum(effect[codes[:, s]] for s, effect in enumerate(main))
        for (s, t), effect in pairs.items():
            total = total + effect[codes[:, s], codes[:, t]]
        return total

    return value


def planted(space, rng, interactions=0.0, plateau=False, noise=0.4) -> Table:
    raw = quadratic(space, rng, interactions)
    codes = (
        np.concatenate(list(space.enumerate()))
        if space.size < 50_000
        else space.sample(rng, 50_000)
    )
    first = raw(codes)
    centre, scale = first.mean(), first.std()

    def shaped(some):
        values = (raw(some) - centre) / scale
        return -np.exp(-1.5 * values) if plateau else values

    values = shaped(codes)
    spread, middle = values.std(), values.mean()

    def truth(code):
        return float((shaped(code[None])[0] - middle) / spread)

    return Table(
        space,
        truth,
        lambda code, rng: truth(code) + noise * rng.normal(),
        float(np.quantile((values - middle) / spread, 0.99)),
    )


def published(rng) -> Table:
    frame = pd.read_csv(PUBLISHED)
    frame = frame[frame["state"] == "complete"]
    runs = {k: v.to_numpy() for k, v in frame.groupby("placement")["accuracy"]}
    means = {name: values.mean() for name, values in runs.items()}

    def name(code):
        return NINE.decode(code[None])[0]

    return Table(
        NINE,
        lambda code: float(means[name(code)]),
        lambda code, rng: float(rng.choice(runs[name(code)])),
        float(np.quantile(list(means.values()), 0.99)),
        lambda code: name(code) in means,
    )


TABLES: dict[str, Callable[[np.random.Generator], Table]] = {
    "additive, 2^9": lambda rng: planted(NINE, rng),
    "interactions, 2^9": lambda rng: planted(NINE, rng, 0.6),
    "additive, 3^8": lambda rng: planted(EIGHT, rng),
    "interactions, 3^8": lambda rng: planted(EIGHT, rng, 0.4),
    "plateau, 3^8": lambda rng: planted(EIGHT, rng, plateau=True, noise=0.2),
    "interactions, 2^20": lambda rng: planted(TWENTY, rng, 0.3),
    "published (136 placements)": published,
}


def trainings(table: Table, sampler, seed: int, budget: int) -> int:
    """Trainings until a placement of the best 1%; twice the budget if none."""
    rng = np.random.default_rng(seed)
    stages = np.array(table.space.stage_of) + 1
    names = [
        f"s{stage}b{i - list(stages).index(stage) + 1}"
        for i, stage in enumerate(stages.tolist())
    ]
    study = optuna.create_study(direction="maximize", sampler=sampler)
    memory: dict[bytes, float] = {}
    for _ in range(budget * ASKS_PER_TRAINING):
        if len(memory) == budget:
            break
        trial = study.ask()
        letters = [
            trial.suggest_categorical(name, list(choices))
            for name, choices in zip(names, table.space.letters, strict=True)
        ]
        code = np.array(
            [c.index(a) for c, a in zip(table.space.letters, letters, strict=True)]
        )
        if not table.known(code):
            trial.set_constraint("recorded", 1.0)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            continue
        key = code.tobytes()
        repeated = key in memory
        if not repeated:
            memory[key] = table.train(code, rng)
            if table.truth(code) >= table.goal:
                return len(memory)
        else:
            trial.set_user_attr("duplicate_of", 0)
        study.tell(trial, memory[key])
    return 2 * budget


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--gp-repeats", type=int, default=10)
    parser.add_argument("--budget", type=int, default=120)
    parser.add_argument("--samplers", default=",".join(SAMPLERS))
    parser.add_argument("--tables", default=";".join(TABLES))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    rows = []
    for title in options.tables.split(";"):
        for name in options.samplers.split(","):
            repeats = options.gp_repeats if name == "gp" else options.repeats
            start = time.process_time()
            found = [
                trainings(
                    TABLES[title](np.random.default_rng(1000 + seed)),
                    SAMPLERS[name](seed),
                    seed,
                    options.budget,
                )
                for seed in range(repeats)
            ]
            low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
            rows.append(
                {
                    "table": title,
                    "sampler": name,
                    "repeats": repeats,
                    "median": middle,
                    "q25": low,
                    "q75": high,
                    "never": int(np.sum(np.array(found) > options.budget)),
                    "cpu_s": round((time.process_time() - start) / repeats, 2),
                }
            )
            print(rows[-1], flush=True)
            if options.out:
                pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
