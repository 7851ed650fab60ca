"""How often MSA blocks lower, and Conv blocks raise, high frequencies and variance.

    python results/signs.py STUDY --out DIR

Reads ``details.json`` of every complete trial of a study and writes two tables:
``blocks.csv`` has one row a block of each network, ``signs.csv`` the shares by kind of
block, stage and level. "stream" compares a block's output with its input (or with its
shortcut's output where the map changes), "branch" the residual branch with the
shortcut. Intervals are 95% bootstrap intervals over *networks*, because the blocks of
one network are not independent. The paper expects MSA blocks to lower both quantities
and Conv blocks to raise both.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from nas.study.study import Study

MEASURES = {"low_pass": "high_frequency", "feature_variance": "variance"}
LEVELS = {"stream": "change", "branch": "branch_change"}


def block_table(study: Study) -> pd.DataFrame:
    """One row for each block, measure and level of the complete trials."""
    rows = []
    for trial in study.trials():
        if str(trial.state) != "complete":
            continue
        details = study.read_json(trial.number, "details.json")
        for evaluator, measure in MEASURES.items():
            blocks = details.get(evaluator, {}).get("blocks", [])
            position: dict[int, int] = {}
            for block in blocks:
                stage = block["stage"]
                position[stage] = position.get(stage, 0) + 1
                for level, key in LEVELS.items():
                    rows.append(
                        {
                            "trial": trial.number,
                            "placement": trial.placement,
                            "seed": trial.seed,
                            "stage": stage,
                            "block": position[stage],
                            "kind": block["kind"],
                            "measure": measure,
                            "level": level,
                            "change": block[key],
                        }
                    )
    return pd.DataFrame(rows)


def sign_table(blocks: pd.DataFrame, num_draws: int = 2000) -> pd.DataFrame:
    """Share of blocks that lower the measure, with bootstrap intervals."""
    rows = []
    everywhere = blocks.assign(stage="all")
    for keys, group in pd.concat([everywhere, blocks]).groupby(
        ["measure", "level", "kind", "stage"]
    ):
        per_network = group.groupby("trial")["change"].agg(
            lowered=lambda c: (c < 0).sum(), total="size", summed="sum"
        )
        values = per_network.to_numpy(float)
        rng = np.random.default_rng(0)
        draws = rng.integers(0, len(values), (num_draws, len(values)))
        sums = values[draws].sum(1)
        share, mean = sums[:, 0] / sums[:, 1], sums[:, 2] / sums[:, 1]
        rows.append(
            {
                **dict(zip(("measure", "level", "kind", "stage"), keys, strict=True)),
                "num_networks": len(values),
                "num_blocks": int(values[:, 1].sum()),
                "share_lowered": values[:, 0].sum() / values[:, 1].sum(),
                "share_low": np.quantile(share, 0.025),
                "share_high": np.quantile(share, 0.975),
                "mean_change": values[:, 2].sum() / values[:, 1].sum(),
                "mean_low": np.quantile(mean, 0.025),
                "mean_high": np.quantile(mean, 0.975),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Read the arguments, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    blocks = block_table(Study.open(arguments.study))
    signs = sign_table(blocks)
    blocks.round(5).to_csv(arguments.out / "blocks.csv", index=False)
    signs.round(4).to_csv(arguments.out / "signs.csv", index=False)
    print(signs.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
