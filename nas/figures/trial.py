"""One trial as a figure: placement, training curves, metrics, place on the front."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nas.figures.figure_file import require_figure_file
from nas.figures.front import GREY, STUDY_COLOURS
from nas.pareto.table import format_value, metric_names, trial_value
from nas.study.trial_view import TrialView
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.placement import Placement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, RED = STUDY_COLOURS


def draw_trial(view: TrialView, path: Path) -> None:
    """Draw a trial into a file.

    Args:
        view: The trial.
        path: File to write; its suffix chooses PNG, SVG or PDF.

    Raises:
        InputError: The suffix is another one.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    require_figure_file(path)
    figure = Figure(figsize=(12, 8), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    _draw_placement(axes[0, 0], Placement.parse(view.trial.placement))
    _draw_history(axes[0, 1], view.history)
    _draw_metrics(axes[1, 0], view)
    _draw_place(axes[1, 1], view)
    figure.suptitle(f"{view.table.name}, trial {view.trial.number}")
    figure.savefig(path)


def scaled_metrics(view: TrialView) -> dict[str, tuple[float, float, list[float]]]:
    """Each metric between the lowest (0) and highest (1) value of the study.

    Args:
        view: The trial.

    Returns:
        By metric: the trial's value, its standard error (0 if none) and the values
        of all trained trials, all in shares of the study's range. A metric that
        this trial lacks, or in which the study has no range, is left out.
    """
    scaled = {}
    for metric in metric_names([view.trial]):
        own = trial_value(view.trial, metric)
        others = [trial_value(trial, metric) for trial in view.table.trials]
        others = [value for value in others if math.isfinite(value)]
        if not others or not math.isfinite(own) or min(others) == max(others):
            continue
        low, span = min(others), max(others) - min(others)
        error = view.trial.standard_errors.get(metric, 0.0)
        scaled[metric] = (
            (own - low) / span,
            error / span,
            [(value - low) / span for value in others],
        )
    return scaled


def _draw_placement(axis: "Axes", placement: Placement) -> None:
    for stage, block, letter in placement.slots():
        kind = block_kind(letter)
        axis.barh(-block, 0.8, left=stage - 0.4, height=0.8, color=kind.colour)
        axis.text(stage, -block, letter, color=kind.ink, ha="center", va="center")
    axis.set_xticks(
        range(1, len(placement.stages) + 1),
        [f"stage {n}" for n in range(1, len(placement.stages) + 1)],
    )
    axis.xaxis.tick_top()
    axis.set_yticks([])
    axis.set_frame_on(False)
    axis.tick_params(length=0)
    axis.set_xlabel(f"{placement}   C = Conv, M = MSA")


def _draw_history(axis: "Axes", history: dict[str, list[float]]) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = history.get("epoch", [])
    if not epochs:
        axis.text(0.5, 0.5, "no training curve", ha="center", color=GREY)
        return
    for name, colour, style in (
        ("train_loss", BLUE, "-"),
        ("val_loss", RED, "--"),
    ):
        if name in history:
            axis.plot(
                epochs, history[name], style, color=colour, label=name, marker="."
            )
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylabel("loss")
    axis.grid(alpha=0.25)
    lines, labels = axis.get_legend_handles_labels()
    if "val_accuracy" in history:
        right = axis.twinx()
        right.plot(
            epochs, history["val_accuracy"], ":", color="black", label="val_accuracy"
        )
        right.set_ylabel("val_accuracy")
        more = right.get_legend_handles_labels()
        lines, labels = lines + more[0], labels + more[1]
    axis.legend(lines, labels, fontsize="small")


def _draw_metrics(axis: "Axes", view: TrialView) -> None:
    scaled = scaled_metrics(view)
    for row, (own, error, others) in enumerate(scaled.values()):
        axis.plot(others, np.full(len(others), -row), "|", color=GREY, alpha=0.6)
        axis.errorbar(own, -row, xerr=error, fmt="o", color=BLUE, capsize=3)
    axis.set_yticks(
        [-row for row in range(len(scaled))],
        [f"{m} {format_value(trial_value(view.trial, m))}" for m in scaled],
    )
    axis.set_xlabel("from the lowest to the highest of the study, ± standard error")


def _draw_place(axis: "Axes", view: TrialView) -> None:
    front = view.table.front
    if len(front.metrics) < 2 or not len(front.values):
        axis.text(0.5, 0.5, "no front of two objectives", ha="center", color=GREY)
        return
    axis.scatter(front.values[:, 1], front.values[:, 0], s=14, c=GREY, label="trials")
    on_front = front.values[front.is_pareto]
    axis.scatter(
        on_front[:, 1], on_front[:, 0], s=36, c=BLUE, marker="D", label="front"
    )
    axis.scatter(
        trial_value(view.trial, front.metrics[1]),
        trial_value(view.trial, front.metrics[0]),
        s=180,
        marker="*",
        c=RED,
        edgecolors="black",
        label=f"trial {view.trial.number}",
        zorder=3,
    )
    axis.set_xlabel(front.metrics[1])
    axis.set_ylabel(front.metrics[0])
    axis.grid(alpha=0.25)
    axis.legend(fontsize="small")
