"""The Pareto front as a figure: first the numbers, then the drawing.

`front_figure` computes everything that will be seen; `draw` only draws it. Colours
are of Okabe & Ito (2008), and every kind of point also has a shape of its own.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nas.figures.figure_file import require_figure_file
from nas.pareto.front import Floats, ParetoFront, non_dominated, reference_point
from nas.pareto.table import ParetoTable, format_value
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_AXES = 4
"""Four metrics make six panels; more cannot be read in one figure."""

STUDY_COLOURS = ("#0072B2", "#D55E00")
GREY = "#999999"


class Points(NamedTuple):
    """Points of one kind in one panel: ``x`` and ``y`` of equal length."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class Panel(NamedTuple):
    """Two metrics against each other, for one study.

    ``step`` is the line along the front of these two metrics alone; with more than
    two axes, points of ``front`` may lie off it: they are best in a third metric.
    """

    x_metric: str
    y_metric: str
    dominated: Points
    infeasible: Points
    front: Points
    baselines: dict[str, Points]
    step: Points


class Progress(NamedTuple):
    """Hypervolume after each trained trial, counted from 1."""

    num_trials: tuple[int, ...]
    hypervolume: tuple[float, ...]


class StudyFigure(NamedTuple):
    """What is drawn of one study."""

    name: str
    panels: tuple[Panel, ...]
    progress: Progress
    num_pareto: int


class FrontFigure(NamedTuple):
    """All that is drawn: one or two studies on one common reference point."""

    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    reference: tuple[float, ...]
    studies: tuple[StudyFigure, ...]


def front_figure(
    tables: Sequence[ParetoTable], reference: Floats | None = None
) -> FrontFigure:
    """Compute the figure of one study, or of several on a common reference.

    Args:
        tables: One table a study, all with the same axes.
        reference: ``(objectives,)``; if ``None``, a little worse than the worst
            value of all the studies together.

    Returns:
        The figure.

    Raises:
        InputError: The tables have different axes, too many axes, or no trained
            trial at all.
    """
    fronts = [table.front for table in tables]
    metrics, directions = fronts[0].metrics, fronts[0].directions
    if any((f.metrics, f.directions) != (metrics, directions) for f in fronts):
        raise InputError("studies can only be compared on the same metrics")
    if len(metrics) > MAX_AXES:
        raise InputError(
            f"a figure shows at most {MAX_AXES} metrics, got {len(metrics)}: "
            f"{', '.join(metrics)}; choose some with --metrics"
        )
    if not any(table.trials for table in tables):
        raise InputError("there is no trained trial to draw yet")
    if reference is None:
        reference = common_reference(fronts)
    return FrontFigure(
        metrics,
        directions,
        tuple(reference.tolist()),
        tuple(_study_figure(table, reference) for table in tables),
    )


def common_reference(fronts: Sequence[ParetoFront]) -> Floats:
    """A reference point a little worse than the worst point of all the fronts.

    Args:
        fronts: Fronts with the same axes.

    Returns:
        ``(objectives,)``.
    """
    values = np.concatenate([front.values for front in fronts])
    return reference_point(values, fronts[0].directions)


def draw(figure: FrontFigure, path: Path) -> None:
    """Draw the figure into a file.

    Args:
        figure: What `front_figure` computed.
        path: File to write; its suffix chooses PNG, SVG or PDF.

    Raises:
        InputError: The suffix is another one.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    require_figure_file(path)
    num_panels = len(figure.studies[0].panels) + 1
    num_columns = min(num_panels, 3) if num_panels != 4 else 2
    num_rows = -(-num_panels // num_columns)
    canvas = Figure(
        figsize=(5.2 * num_columns, 4.4 * num_rows), layout="constrained", dpi=120
    )
    FigureCanvasAgg(canvas)
    axes = canvas.subplots(num_rows, num_columns, squeeze=False).ravel()
    for axis in axes[num_panels:]:
        axis.set_visible(False)
    for index, study in enumerate(figure.studies):
        colour = STUDY_COLOURS[index % len(STUDY_COLOURS)]
        for axis, panel in zip(axes, study.panels, strict=False):
            _draw_panel(axis, panel, study.name, colour, index, figure)
        _draw_progress(axes[num_panels - 1], study, colour, figure)
    handles, labels = axes[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=4)
    canvas.suptitle(
        " and ".join(f"{s.name}: {s.num_pareto} on the front" for s in figure.studies)
    )
    canvas.savefig(path)


def _study_figure(table: ParetoTable, reference: Floats) -> StudyFigure:
    front = table.front
    pairs = itertools.combinations(range(len(front.metrics)), 2)
    volumes = front.hypervolume_over_trials(reference)
    return StudyFigure(
        table.name,
        # The second metric goes along x: the first is what one reads the height of.
        tuple(_panel(table, x, y) for y, x in pairs),
        Progress(tuple(range(1, len(volumes) + 1)), tuple(volumes.tolist())),
        int(front.is_pareto.sum()),
    )


def _panel(table: ParetoTable, x: int, y: int) -> Panel:
    front = table.front
    values = front.values[:, [x, y]]
    shown = ~np.isnan(values).any(axis=1)
    on_front = front.is_pareto & shown
    names = sorted({trial.baseline for trial in table.trials if trial.baseline})
    flat = non_dominated(
        np.where(front.feasible[:, None], values, np.nan),
        [front.directions[x], front.directions[y]],
    )
    return Panel(
        front.metrics[x],
        front.metrics[y],
        _points(values[shown & front.feasible & ~on_front]),
        _points(values[shown & ~front.feasible]),
        _points(values[on_front]),
        {
            name: _points(
                values[shown & np.array([t.baseline == name for t in table.trials])]
            )
            for name in names
        },
        _step(values[flat], front.directions[x]),
    )


def _points(values: Floats) -> Points:
    return Points(tuple(values[:, 0].tolist()), tuple(values[:, 1].tolist()))


def _step(values: Floats, x_direction: str) -> Points:
    """Corners of the line under which the front of two metrics dominates."""
    corners: list[tuple[float, float]] = []
    order = np.argsort(values[:, 0])
    if x_direction == "maximize":
        order = order[::-1]
    for x, y in values[order].tolist():
        # To get to the next point's y one has to pay its x first.
        if corners and y != corners[-1][1]:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    return Points(tuple(x for x, _ in corners), tuple(y for _, y in corners))


def _draw_panel(
    axis: "Axes", panel: Panel, name: str, colour: str, index: int, figure: FrontFigure
) -> None:
    prefix = f"{name}: " if len(figure.studies) > 1 else ""
    axis.scatter(
        *panel.infeasible,
        c="none",
        edgecolors=GREY,
        linewidths=0.8,
        s=16,
        label=f"{prefix}breaks a constraint" if panel.infeasible.x else None,
    )
    axis.scatter(*panel.dominated, c=colour, alpha=0.35, s=14, label=f"{prefix}trials")
    axis.plot(
        *panel.step,
        color=colour,
        linewidth=1,
        alpha=0.7,
        label=f"{prefix}front of these two" if len(figure.metrics) > 2 else None,
    )
    axis.scatter(
        *panel.front,
        c=colour,
        marker="D" if index == 0 else "s",
        edgecolors="black",
        linewidths=0.6,
        s=42,
        label=f"{prefix}front",
        zorder=3,
    )
    markers = itertools.cycle("^v<>P*X")
    for baseline, points in panel.baselines.items():
        axis.scatter(
            *points,
            c="none",
            edgecolors="black",
            marker=next(markers),
            linewidths=1.2,
            s=110,
            label=f"{prefix}{baseline}",
            zorder=4,
        )
    directions = dict(zip(figure.metrics, figure.directions, strict=True))
    axis.set_xlabel(_axis_label(panel.x_metric, directions[panel.x_metric]))
    axis.set_ylabel(_axis_label(panel.y_metric, directions[panel.y_metric]))
    axis.grid(alpha=0.25)


def _draw_progress(
    axis: "Axes", study: StudyFigure, colour: str, figure: FrontFigure
) -> None:
    axis.step(*study.progress, where="post", color=colour, label=study.name)
    axis.set_xlabel("trained trials")
    axis.set_ylabel("hypervolume")
    reference = ", ".join(
        f"{metric} {format_value(value)}"
        for metric, value in zip(figure.metrics, figure.reference, strict=True)
    )
    axis.set_title(f"reference point: {reference}", fontsize="small", wrap=True)
    axis.grid(alpha=0.25)


def _axis_label(metric: str, direction: str) -> str:
    return f"{metric} ({'more' if direction == 'maximize' else 'less'} is better)"
