"""What one replaced block costs, slot by slot, in several studies of the same parent.

    python results/one_swap.py NAME=STUDY [NAME=STUDY ...] [--plot FILE] [--csv FILE]

A NAME's points are the accuracy of the all-Conv placement of that study minus the
accuracy of the placement that differs from it in one slot, in percentage points
(means over seeds). The error is the standard error of such a difference where
networks were trained with several seeds in that study, else nothing: scores of one
parent on the same images have no seed.
"""

import argparse
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd

from nas.figures.figure_file import require_figure_file
from nas.study.study import Study


def losses(study: Path) -> pd.DataFrame:
    """Points lost in each slot: columns ``slot``, ``loss``, ``error``."""
    table = Study.open(study).table()
    table = table[table["state"] == "complete"]
    runs = table.groupby("placement")["accuracy"]
    mean, count = runs.mean(), runs.count()
    repeated = runs.var()[count > 1]
    noise = sqrt(float(repeated.mean())) if len(repeated) else None
    parent = next(name for name in mean.index if set(name) <= {"C", "-"})
    rows = []
    for at, letter in enumerate(parent):
        if letter != "C":
            continue
        swapped = [
            name
            for name in mean.index
            if [i for i, (a, b) in enumerate(zip(name, parent, strict=True)) if a != b]
            == [at]
        ]
        if len(swapped) != 1:
            continue
        stage = parent[:at].count("-") + 1
        block = at - parent.rfind("-", 0, at)
        share = 1 / count[parent] + 1 / count[swapped[0]]
        rows.append(
            {
                "slot": f"{stage}.{block}",
                "loss": 100 * (mean[parent] - mean[swapped[0]]),
                "error": np.nan if noise is None else 100 * noise * sqrt(share),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Print, write and draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", metavar="NAME=STUDY")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    found = {}
    for one in options.studies:
        name, _, path = one.partition("=")
        found[name] = losses(Path(path)).set_index("slot")
    table = pd.concat(found, axis=1)
    print(table.round(2).to_string())
    if options.csv is not None:
        flat = table.copy()
        flat.columns = [f"{name} {what}" for name, what in flat.columns]
        flat.round(3).to_csv(options.csv)
    if options.plot is not None:
        draw(found, options.plot)


def draw(found: dict[str, pd.DataFrame], path: Path) -> None:
    """One group of bars a slot, one bar a study."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    require_figure_file(path)
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    slots = list(dict.fromkeys(slot for one in found.values() for slot in one.index))
    width = 0.8 / len(found)
    colours = ("#D55E00", "#999999", "#0072B2", "#009E73", "#CC79A7", "#E69F00")
    for at, (name, one) in enumerate(found.items()):
        values = one.reindex(slots)
        axes.bar(
            np.arange(len(slots)) + (at - (len(found) - 1) / 2) * width,
            values["loss"],
            width,
            yerr=None if values["error"].isna().all() else 1.96 * values["error"],
            label=name,
            color=colours[at % len(colours)],
            error_kw={"lw": 0.8},
        )
    axes.set_yscale("symlog", linthresh=1)
    axes.set_yticks([0, 1, 3, 10, 30], ["0", "1", "3", "10", "30"])
    axes.axhline(0, color="black", lw=0.6)
    axes.set_xticks(range(len(slots)), slots)
    axes.set_xlabel("replaced block (stage.block)")
    axes.set_ylabel("accuracy lost, points")
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        frameon=False,
        fontsize=8,
    )
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
