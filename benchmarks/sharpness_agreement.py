"""Does cheap m-SAM sharpness rank networks as their Hessian spectra do?

Reads the trials of a study, or any CSV table with the columns ``placement``,
``sharpness`` and ``ape``, and prints Spearman's rank correlation with a 95% interval by
bootstrap over placements (trials of one placement stay together). ``between`` ranks
the means of the placements; ``same number of MSAs`` removes what follows from that
number alone: both columns are ranked within groups of equal counts.

    python benchmarks/sharpness_agreement.py STUDY | TABLE.csv
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from nas.study.study import Study

Array = NDArray[Any]

PAIRS = (
    ("sharpness", "ape"),
    ("sharpness", "hessian_max"),
    ("sharpness", "nep"),
    ("sharpness", "accuracy"),
    ("ape", "accuracy"),
)


def load(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path) if path.is_file() else Study.open(path).table()
    return table.dropna(subset=["sharpness", "ape"])


def spearman(a: Array, b: Array, group: Array, count: Array) -> float:
    return correlation(rankdata(a), rankdata(b))


def between(a: Array, b: Array, group: Array, count: Array) -> float:
    size = np.bincount(group)
    means = [np.bincount(group, values) / size for values in (a, b)]
    return correlation(rankdata(means[0]), rankdata(means[1]))


def same_count(a: Array, b: Array, group: Array, count: Array) -> float:
    ranks: list[list[Array]] = [[], []]
    for number in np.unique(count):
        inside = count == number
        for values, kept in zip((a, b), ranks, strict=True):
            rank = rankdata(values[inside]) / inside.sum()
            kept.append(rank - rank.mean())
    return correlation(np.concatenate(ranks[0]), np.concatenate(ranks[1]))


def correlation(a: Array, b: Array) -> float:
    if a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def bootstrap(table: pd.DataFrame, first: str, second: str) -> list[str]:
    rng = np.random.default_rng(0)
    group = table["placement"].astype("category").cat.codes.to_numpy()
    count = table["placement"].str.count("M").to_numpy()
    a, b = table[first].to_numpy(), table[second].to_numpy()
    members = [np.flatnonzero(group == g) for g in range(group.max() + 1)]
    result = []
    for measure in (spearman, between, same_count):
        draws = []
        for _ in range(1000):
            chosen = rng.integers(len(members), size=len(members))
            rows = np.concatenate([members[i] for i in chosen])
            # A placement drawn twice counts as two placements.
            numbers = np.repeat(
                np.arange(len(chosen)), [len(members[i]) for i in chosen]
            )
            draws.append(measure(a[rows], b[rows], numbers, count[rows]))
        low, high = np.nanpercentile(draws, [2.5, 97.5])
        value = measure(a, b, group, count)
        result.append(f"{value:+.2f} [{low:+.2f}, {high:+.2f}]")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    table = load(parser.parse_args().table)
    print(f"{len(table)} trials of {table['placement'].nunique()} placements\n")
    print("| Spearman (95% interval) | trials | placements | same number of MSAs |")
    print("|---|---|---|---|")
    for first, second in PAIRS:
        row = bootstrap(table.dropna(subset=[first, second]), first, second)
        print(f"| {first} and {second} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
