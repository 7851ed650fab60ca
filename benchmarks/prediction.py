"""How well placements that nobody trained are ranked, predictor beside predictor.

Random subsets of n placements are learned from, all the others are predicted: Kendall's
tau against what was measured, and how many 95% intervals hold it.

    python benchmarks/prediction.py --subsets 50 --out prediction.csv
    python benchmarks/prediction.py --tables "published, accuracy" --scores SUPERNETS

SUPERNETS is the --work of benchmarks/supernet.py: the mean NLL of its supernets joins
the published table, for `nas predict` and, as one more column, for ridge.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import RidgeCV

from nas.prediction.given_scores import with_scores
from nas.prediction.placement_model import PlacementModel
from nas.prediction.slot_space import SlotSpace
from nas.prediction.trained import TrainedTable

PUBLISHED = Path(__file__).parents[1] / "results/cifar10-placement/trials.csv"
NINE = SlotSpace((3, 3, 3), ("CM",) * 9)
EIGHT = SlotSpace((8,), ("CMP",) * 8)


def one_hot(space: SlotSpace, names: list[str]) -> np.ndarray:
    codes = space.encode(names)
    parts = [np.eye(len(c))[codes[:, s]] for s, c in enumerate(space.letters)]
    return np.concatenate(parts, axis=1)


def ours(space, table, names):
    model = PlacementModel(table, space)
    mean, spread = model.expected(names)
    return mean, np.sqrt(spread**2 + model.linear.mixture.noise)


def ridge(space, table, names):
    model = RidgeCV(np.logspace(-3, 3, 25))
    model.fit(one_hot(space, list(table.placements)), table.means, table.counts)
    return model.predict(one_hot(space, names)), None


def trees(space, table, names):
    model = GradientBoostingRegressor(
        n_estimators=200, learning_rate=0.05, max_depth=3, subsample=0.8, random_state=0
    )
    model.fit(one_hot(space, list(table.placements)), table.means, table.counts)
    return model.predict(one_hot(space, names)), None


def gp(space, table, names):
    design = one_hot(space, list(table.placements))
    kernel = ConstantKernel(1.0) * RBF(3.0) + WhiteKernel(0.3)
    model = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=2)
    model.fit(design, table.means)
    return model.predict(one_hot(space, names), return_std=True)


def scored(scores):
    """Our model and ridge with the scores of supernets beside the letters."""
    nll = scores.set_index("placement")["nll"]

    def ours_scored(space, table, names):
        joined, columns = with_scores(table, scores)
        model = PlacementModel(joined, space, columns)
        mean, spread = model.expected(names)
        return mean, np.sqrt(spread**2 + model.linear.mixture.noise)

    def ridge_scored(space, table, names):
        centre, width = nll.mean(), nll.std()

        def design(some):
            column = (nll[some].to_numpy() - centre) / width
            return np.column_stack([one_hot(space, some), column])

        model = RidgeCV(np.logspace(-3, 3, 25))
        model.fit(design(list(table.placements)), table.means, table.counts)
        return model.predict(design(names)), None

    def score_alone(space, table, names):
        return -nll[names].to_numpy(), None

    return {
        "nas predict, scores": ours_scored,
        "ridge on slots and score": ridge_scored,
        "the score alone": score_alone,
    }


def supernet_scores(work):
    """Mean NLL of all supernets in pairs, their statistics over augmented images."""
    tables = [
        pd.read_csv(p) for p in sorted(work.glob("pairs_augmented_averaged_*.csv"))
    ]
    joined = pd.concat(tables)[["placement", "supernet", "nll"]]
    return joined.groupby("placement", as_index=False).mean()


PREDICTORS: dict[str, Callable] = {
    "nas predict": ours,
    "ridge on slots": ridge,
    "gradient-boosted trees": trees,
    "GP (RBF)": gp,
}


def published(rng):
    frame = pd.read_csv(PUBLISHED)
    return NINE, frame[frame["state"] == "complete"][["placement", "seed", "accuracy"]]


def planted(space, interactions, noise):
    def make(rng):
        codes = np.concatenate(list(space.enumerate()))
        sizes = [len(choices) for choices in space.letters]
        truth = np.zeros(len(codes))
        for s, size in enumerate(sizes):
            truth += rng.normal(size=size)[codes[:, s]]
            for t in range(s):
                effect = interactions * rng.normal(size=(size, sizes[t]))
                truth += effect[codes[:, s], codes[:, t]]
        truth /= truth.std()
        chosen = rng.choice(len(codes), min(len(codes), 500), replace=False)
        measured = truth[chosen] + rng.normal(0, noise, len(chosen))
        names = space.decode(codes[chosen])
        return space, pd.DataFrame({"placement": names, "accuracy": measured})

    return make


TABLES = {
    "published, accuracy": published,
    "planted, 2^9, interactions": planted(NINE, 0.4, 0.4),
    "planted, 3^8, interactions": planted(EIGHT, 0.25, 0.3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subsets", type=int, default=50)
    parser.add_argument("--first", type=int, default=200, help="Seed of the first.")
    parser.add_argument("--sizes", default="20,40,80")
    parser.add_argument("--tables", default=";".join(TABLES))
    parser.add_argument("--scores", type=Path, help="--work of benchmarks/supernet.py.")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    predictors = dict(PREDICTORS)
    if options.scores is not None:
        predictors |= scored(supernet_scores(options.scores))
    for title in options.tables.split(";"):
        make = TABLES[title]
        for num in map(int, options.sizes.split(",")):
            found: dict[str, list[tuple[float, float, float]]] = {}
            for subset in range(options.first, options.first + options.subsets):
                rng = np.random.default_rng(subset)
                space, frame = make(rng)
                names = sorted(set(frame["placement"]))
                chosen = set(rng.choice(names, num, replace=False).tolist())
                table = TrainedTable.of_frame(frame[frame["placement"].isin(chosen)])
                rest = frame[~frame["placement"].isin(chosen)]
                # one training of each: what is measured next
                rest = rest.drop_duplicates("placement")
                others = rest["placement"].tolist()
                measured = rest["accuracy"].to_numpy()
                for name, predictor in predictors.items():
                    start = time.process_time()
                    mean, spread = predictor(space, table, others)
                    spent = time.process_time() - start
                    inside = np.nan
                    if spread is not None:
                        inside = (np.abs(measured - mean) < 1.96 * spread).mean()
                    tau = kendalltau(mean, measured)[0]
                    found.setdefault(name, []).append((tau, inside, spent))
            for name, values in found.items():
                tau, inside, spent = np.array(values).T
                rows.append(
                    {
                        "table": title,
                        "n": num,
                        "predictor": name,
                        "tau": round(float(np.nanmean(tau)), 3),
                        "sd": round(float(np.nanstd(tau)), 3),
                        "coverage": round(float(np.mean(inside)), 3),
                        "cpu_s": round(float(np.mean(spent)), 2),
                    }
                )
                print(rows[-1], flush=True)
            if options.out:
                pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
