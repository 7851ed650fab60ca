"""What `nas train` found: learning curves, and every run on the test images."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from nas.figures.figure_file import require_figure_file
from nas.study.trial_view import read_history

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nas.study.study import Study
    from nas.train_run import TrainedRow

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito; a further row begins anew with another dash."""

DASHES = ("-", "--", ":", "-.")

Styled = list[tuple["TrainedRow", str, str]]


def draw(study: "Study", rows: "Sequence[TrainedRow]", path: Path) -> None:
    """Draw a training run into a file.

    Args:
        study: The study of the runs.
        rows: Its table.
        path: File to write; its suffix chooses PNG, SVG or PDF.

    Raises:
        InputError: The suffix is another one.
    """
    require_figure_file(path)
    trained_figure(study, rows).savefig(path)


def trained_figure(study: "Study", rows: "Sequence[TrainedRow]") -> "Figure":
    """Validation accuracy by epoch, and test accuracy of every run, without a file.

    Args:
        study: The study of the runs.
        rows: Its table.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.4), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    curves, tested = figure.subplots(1, 2)
    styled = [
        (row, COLOURS[at % len(COLOURS)], DASHES[at // len(COLOURS) % len(DASHES)])
        for at, row in enumerate(rows)
    ]
    _draw_curves(curves, study, styled)
    _draw_tested(tested, study, styled)
    for axis in (curves, tested):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_curves(axis: "Axes", study: "Study", styled: Styled) -> None:
    from matplotlib.ticker import MaxNLocator

    for row, colour, dash in styled:
        found = [
            read_history(study.layout.trial(number).history).get("val_accuracy", [])
            for number in row.runs
        ]
        runs = [[100 * value for value in curve] for curve in found if curve]
        for run in runs:
            axis.plot(_epochs(run), run, color=colour, linewidth=0.7, alpha=0.35)
        if runs:
            mean = np.mean([run[: min(map(len, runs))] for run in runs], axis=0)
            axis.plot(
                _epochs(mean), mean, dash, color=colour, linewidth=2, label=row.label
            )
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epoch")
    axis.set_ylabel("validation accuracy, %")
    axis.set_title("Training: every run, and the mean", loc="left")
    if axis.get_lines():
        axis.legend(frameon=False)


def _epochs(
    curve: "Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> range:
    return range(1, len(curve) + 1)


def _draw_tested(axis: "Axes", study: "Study", styled: Styled) -> None:
    accuracy = {
        one.number: 100 * one.test_accuracy for one in study.test_results().values()
    }
    for at, (row, colour, _) in enumerate(styled):
        runs = [accuracy[number] for number in row.runs if number in accuracy]
        if not runs:
            continue
        beside = np.linspace(-0.12, 0.12, len(runs)) if len(runs) > 1 else [0.0]
        axis.plot(np.add(beside, at), runs, "o", color=colour, alpha=0.5)
        error = None if row.test_accuracy_sd is None else 100 * row.test_accuracy_sd
        axis.errorbar(
            at + 0.25, fmean(runs), yerr=error, fmt="D", color=colour, capsize=3
        )
    axis.set_xticks(range(len(styled)), [row.label for row, _, _ in styled])
    axis.tick_params(axis="x", labelrotation=20 if len(styled) > 3 else 0)
    axis.set_xlim(-0.6, len(styled) - 0.4)
    axis.set_ylabel("test accuracy, %")
    axis.set_title("Test: every run, mean and standard deviation", loc="left")
