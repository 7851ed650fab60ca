"""How well supernets rank networks that are trained alone, ingredient by ingredient.

Supernets are trained on the published table's space, images and recipe, and score its
placements; then Kendall's tau and Spearman's rho of score and trained accuracy, with
bootstrap intervals over placements. What is finished in --work is not done again.

    python benchmarks/supernet.py --root CIFAR10_DIR --work DIR --seeds 0,1,2
    python benchmarks/supernet.py --work DIR --only-report
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import kendalltau, spearmanr
from sklearn.linear_model import Ridge

from nas.config import load_config
from nas.config.supernet import SupernetConfig
from nas.data.datasets import load_dataset
from nas.prediction.prediction import predict
from nas.prediction.trust import rank_agreement
from nas.scoring.supernet_scores import SupernetScores
from nas.scoring.supernet_training import drawn_supernet, train_supernet

PUBLISHED = Path(__file__).parents[1] / "results/cifar10-placement"


@dataclass(frozen=True)
class Row:
    """One way to train and to read supernets."""

    name: str
    training: str = "pairs"
    batchnorm: str = "augmented"
    weights: str = "averaged"


TRAININGS = {
    # Two networks a step for 5 epochs cost as much as one for 10: two trainings.
    "pairs": SupernetConfig(epochs=5, averaging=0.998),
    "single": SupernetConfig(epochs=10, averaging=0.998, arrangement="single"),
    "no decay": SupernetConfig(epochs=5, averaging=0.998, weight_decay=0.0),
    "long": SupernetConfig(epochs=15, averaging=0.998),
}

ROWS = (
    Row("pairs, augmented, weights averaged"),
    Row("BatchNorm kept", batchnorm="kept"),
    Row("BatchNorm over plain images", batchnorm="plain"),
    Row("single paths", training="single"),
    Row("weights of the last step", weights="last"),
    Row("no weight decay", training="no decay"),
    Row("three times the epochs", training="long"),
)


def trained(config, space, dataset, name, seed, work):
    """A supernet with averaged weights and its checkpoint, which has the others."""
    file = work / f"{name.replace(' ', '-')}-{seed}.pt"
    settings = TRAININGS[name]
    started = time.process_time()
    supernet = train_supernet(
        space,
        dataset,
        config.training,
        settings,
        seed=seed,
        checkpoint=file,
        watch=lambda e: print(name, seed, e.epoch, f"{e.train_loss:.4f}", flush=True),
    )
    cost = file.with_suffix(".json")
    if not cost.exists():
        cost.write_text(json.dumps({"cpu_s": time.process_time() - started}))
    return supernet, file


def score(config, space, dataset, row, seed, work, placements):
    """Scores of one supernet, kept in a file."""
    parts = (row.training, row.batchnorm, row.weights, str(seed))
    file = work / f"{'_'.join(parts).replace(' ', '-')}.csv"
    if file.exists():
        return
    supernet, checkpoint = trained(config, space, dataset, row.training, seed, work)
    if row.weights == "last":
        supernet = drawn_supernet(space, seed)
        state = torch.load(checkpoint, weights_only=True)
        supernet.load_state_dict(state["model"])
    started = time.process_time()
    reader = SupernetScores(
        supernet,
        dataset,
        config.training,
        batchnorm=row.batchnorm,
        calibration_images=1000,
        num_images=1500,
        seed=seed,
    )
    found = reader.scores([one.replace("-", "") for one in placements])
    frame = pd.DataFrame(
        [
            {"placement": one, **found[one.replace("-", "")].metrics}
            for one in placements
        ]
    )
    frame["supernet"] = seed
    frame["cpu_s"] = time.process_time() - started
    frame.to_csv(file, index=False)
    print(row.name, seed, "scored", flush=True)


def truth():
    frame = pd.read_csv(PUBLISHED / "trials.csv")
    frame = frame[frame["state"] == "complete"]
    return frame.groupby("placement")["accuracy"].mean(), frame


def agreement(values, measured, seed=0):
    found = rank_agreement(
        np.asarray(values, float), measured, np.random.default_rng(seed)
    )
    return (
        f"{found.kendall:.2f} [{found.kendall_low:.2f}, {found.kendall_high:.2f}]",
        f"{found.spearman:.2f}",
    )


def within_counts(values, means):
    """Spearman within equal numbers of MSAs: mean weighted by placements - 1."""
    counts = np.array([one.count("M") for one in means.index])
    parts = {}
    for count in np.unique(counts):
        rows = counts == count
        if rows.sum() >= 5:
            rho = spearmanr(values[rows], means.to_numpy()[rows])[0]
            parts[int(count)] = (float(rho), int(rows.sum()))
    total = sum(n - 1 for _, n in parts.values())
    mean = sum(rho * (n - 1) for rho, n in parts.values()) / total
    return mean, parts


def additive(frame, num, repeats=200):
    """Tau of ridge on slots learned from trainings of num random placements."""
    found = []
    names = np.array(sorted(set(frame["placement"])))
    design = {n: [c == "M" for c in n if c != "-"] for n in names}
    first = frame.drop_duplicates("placement").set_index("placement")["accuracy"]
    means = frame.groupby("placement")["accuracy"].mean()
    for repeat in range(repeats):
        rng = np.random.default_rng(repeat)
        chosen = rng.choice(names, num, replace=False)
        others = np.setdiff1d(names, chosen)
        x = np.array([design[n] for n in chosen], float)
        model = Ridge(alpha=1.0).fit(x, first[chosen])
        predicted = model.predict(np.array([design[n] for n in others], float))
        found.append(kendalltau(predicted, means[others])[0])
    return float(np.mean(found)), float(np.std(found))


def joined(frame, scores, num, repeats):
    """Tau of nas predict from num placements, without and with supernet scores."""
    found = []
    names = np.array(sorted(set(frame["placement"])))
    runs = frame[["placement", "seed", "accuracy"]]
    means = runs.groupby("placement")["accuracy"].mean()
    table = scores.reset_index()[["placement", "nll"]].assign(supernet=0)
    for repeat in range(repeats):
        chosen = np.random.default_rng(repeat).choice(names, num, replace=False)
        others = np.setdiff1d(names, chosen)
        taus = []
        for given in (None, table):
            rows = runs[runs["placement"].isin(chosen)]
            expected = predict(rows, space="CM", scores=given).table
            expected = expected.set_index("placement")["mean"]
            taus.append(kendalltau(expected[others], means[others])[0])
        found.append(taus)
    return np.mean(found, axis=0), np.std(found, axis=0)


def report(work, repeats):
    means, frame = truth()
    measured = means.to_numpy()
    print("| supernets | seed | tau by NLL | rho | tau by accuracy | within MSAs |")
    print("|---|---|---|---|---|---|")
    best = None
    for row in ROWS:
        parts = (row.training, row.batchnorm, row.weights)
        stem = "_".join(parts).replace(" ", "-")
        tables = {
            path.stem.rsplit("_", 1)[1]: pd.read_csv(path).set_index("placement")
            for path in sorted(work.glob(f"{stem}_*.csv"))
        }
        if not tables:
            continue
        if len(tables) > 1:
            tables["mean"] = sum(tables.values()) / len(tables)
        if row is ROWS[0]:
            best = list(tables.values())[-1]  # the mean, if there are several
        for seed, table in tables.items():
            table = table.loc[means.index]
            tau, rho = agreement(-table["nll"], measured)
            by_accuracy, _ = agreement(table["accuracy"], measured)
            within, _ = within_counts(-table["nll"].to_numpy(), means)
            print(
                f"| {row.name} | {seed} | {tau} | {rho} | {by_accuracy} "
                f"| {within:.2f} |"
            )
    counts = np.array([-one.count("M") for one in means.index], float)
    print("number of MSAs:", *agreement(counts, measured))
    macs = frame.groupby("placement")["macs"].first()[means.index].to_numpy()
    print("MACs:", *agreement(macs, measured))
    for num in (6, 12, 18, 24, 36):
        tau, spread = additive(frame, num)
        print(f"additive model on {num} trainings: {tau:.2f} ({spread:.2f})")
    if best is not None:
        for num in (20, 40, 80):
            taus, spreads = joined(frame, best, num, repeats)
            print(
                f"nas predict from {num} placements: {taus[0]:.2f} ({spreads[0]:.2f}), "
                f"with the scores of {ROWS[0].name} {taus[1]:.2f} ({spreads[1]:.2f})"
            )
    for path in sorted(work.glob("*.json")):
        print(path.stem, json.loads(path.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", help="CIFAR-10 as directories of images.")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument(
        "--rows", help="Names of rows, separated by ';'; all if left out."
    )
    parser.add_argument("--subsets", type=int, default=50)
    parser.add_argument("--only-report", action="store_true")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if not options.only_report:
        config = load_config(PUBLISHED, [f"data.root={options.root}"])
        dataset = load_dataset(config.data)
        space = config.space.make(
            dataset.num_classes, dataset.in_channels, dataset.image_size
        )
        wanted = options.rows.split(";") if options.rows else [r.name for r in ROWS]
        placements = list(truth()[0].index)
        for row in ROWS:
            for seed in map(int, options.seeds.split(",")):
                if row.name in wanted:
                    score(config, space, dataset, row, seed, options.work, placements)
    report(options.work, options.subsets)


if __name__ == "__main__":
    main()
