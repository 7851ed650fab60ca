"""The Pareto front as a figure: first the numbers, then the drawing.

`front_figure` computes everything that will be seen; `draw` only draws it. Colours
are of Okabe & Ito (2008), and every kind of point also has a shape of its own.

Every panel stands for its two metrics: the diamonds and the line are the front of those
two. Points on the front of all metrics together that lie off that line are best in a
third one; they are drawn as small diamonds.
"""

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas.figures.figure_file import require_figure_file
from nas.ledger.trial import Trial
from nas.pareto.front import (
    Floats,
    common_reference,
    non_dominated,
)
from nas.pareto.table import ParetoTable, format_value
from nas.study.parent_difference import ParentComparison
from nas.study.reliability import reliability_by_metric
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = NDArray[np.intp]

MAX_AXES = 4
"""Four metrics make six panels; more cannot be read in one figure."""

STUDY_COLOURS = ("#0072B2", "#D55E00")
GREY = "#999999"


MAX_BARS = 60
"""Error bars in one panel; more hide the points (our choice). The front comes first."""

MAX_LABELS = 12
"""Placements written beside points of one panel (our choice)."""

LABEL_PLACES = (
    ((6, 4), "left"),
    ((-6, 4), "right"),
    ((6, -10), "left"),
    ((-6, -10), "right"),
)
"""Where a label may stand, in points from its mark, the preferred place first."""

BASELINE_MARKERS = {
    "all_conv": "o",
    "paper_rule": "^",
    "stage_starts": "v",
    "last_stage": ">",
    "all_msa": "s",
}
"""Each baseline looks the same in every figure and on every page."""

OTHER_MARKERS = "PX*ph"


class Points(NamedTuple):
    """Points of one kind in one panel: ``x`` and ``y`` of equal length."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class Bars(NamedTuple):
    """Standard errors of points, all of equal length; 0 where there is none."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    x_error: tuple[float, ...]
    y_error: tuple[float, ...]


class Panel(NamedTuple):
    """Two metrics against each other, for one study.

    ``front`` and ``step`` are of these two metrics alone; ``elsewhere`` are the points
    that are on the front of all the metrics but not on this one. ``labels`` and
    ``can_be_told`` belong to ``front``: the placement of each point, and whether it can
    be told from the all-Conv parent by the y metric (``None`` where that is unknown).
    """

    x_metric: str
    y_metric: str
    dominated: Points
    infeasible: Points
    front: Points
    elsewhere: Points
    baselines: dict[str, Points]
    step: Points
    labels: tuple[str, ...]
    can_be_told: tuple[bool | None, ...]
    bars: Bars


class Progress(NamedTuple):
    """Hypervolume after each trained trial, counted from 1."""

    num_trials: tuple[int, ...]
    hypervolume: tuple[float, ...]


class StudyFigure(NamedTuple):
    """What is drawn of one study.

    ``notes`` say what cannot be seen: reliability of a single training, and what the
    hollow points mean.
    """

    name: str
    panels: tuple[Panel, ...]
    progress: Progress
    num_pareto: int
    notes: tuple[str, ...]


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
            f"{', '.join(metrics)}; choose some of them",
            hint="--metrics A,B",
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
    handles = {
        label: handle
        for axis in axes[:num_panels]
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        if num_panels == 1 or axis is not axes[num_panels - 1]
    }
    canvas.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=4
    )
    title = " and ".join(
        f"{s.name}: {s.num_pareto} on the front" for s in figure.studies
    )
    several = len(figure.studies) > 1
    notes = [
        textwrap.fill(f"{s.name}: {note}" if several else note, 66 * num_columns)
        for s in figure.studies
        for note in s.notes
    ]
    text = "\n".join([title, *notes])
    canvas.suptitle(text, fontsize="medium")
    canvas.set_figheight(4.4 * num_rows + 0.6 + 0.2 * text.count("\n"))
    canvas.draw_without_rendering()  # labels must know where the panels end up
    canvas.set_layout_engine("none")
    for axis, panel in zip(axes, figure.studies[0].panels, strict=False):
        if not several:
            _draw_labels(axis, panel)
    canvas.savefig(path)


def _study_figure(table: ParetoTable, reference: Floats) -> StudyFigure:
    front = table.front
    pairs = itertools.combinations(range(len(front.metrics)), 2)
    volumes = front.hypervolume_over_trials(reference)
    comparisons = {
        metric: ParentComparison.of(table.trainings, metric) for metric in front.metrics
    }
    # The second metric goes along x: the first is what one reads the height of.
    panels = tuple(_panel(table, x, y, comparisons[front.metrics[y]]) for y, x in pairs)
    return StudyFigure(
        table.name,
        panels,
        Progress(tuple(range(1, len(volumes) + 1)), tuple(volumes.tolist())),
        int(front.is_pareto.sum()),
        _notes(table, panels, comparisons),
    )


def _notes(
    table: ParetoTable,
    panels: Sequence[Panel],
    comparisons: dict[str, ParentComparison | None],
) -> tuple[str, ...]:
    known = [
        f"{metric} {one}"
        for metric, one in reliability_by_metric(table.trainings).items()
        if metric in table.front.metrics
    ]
    notes = [f"one training: {', '.join(known)}"] if known else []
    doubtful = dict.fromkeys(p.y_metric for p in panels if False in p.can_be_told)
    for metric in doubtful:
        one = comparisons[metric]
        if one is not None:
            notes.append(f"hollow: {one.sentence()}")
    return tuple(notes)


def _panel(
    table: ParetoTable, x: int, y: int, comparison: ParentComparison | None
) -> Panel:
    front = table.front
    values = front.values[:, [x, y]]
    shown = ~np.isnan(values).any(axis=1)
    names = sorted({trial.baseline for trial in table.trials if trial.baseline})
    on_line = non_dominated(
        np.where(front.feasible[:, None], values, np.nan),
        [front.directions[x], front.directions[y]],
    )
    elsewhere = front.is_pareto & shown & ~on_line
    rows = np.flatnonzero(on_line)
    rows = rows[np.argsort(values[rows, 0], kind="stable")]
    metrics = front.metrics[x], front.metrics[y]
    is_baseline = np.array([bool(t.baseline) for t in table.trials], dtype=bool)
    # What people look at first gets its bar first.
    order = np.flatnonzero(shown)
    first = on_line | is_baseline
    order = order[np.argsort(~first[order], kind="stable")][:MAX_BARS]
    return Panel(
        *metrics,
        _points(values[shown & front.feasible & ~on_line & ~elsewhere]),
        _points(values[shown & ~front.feasible]),
        _points(values[rows]),
        _points(values[elsewhere]),
        {
            name: _points(
                values[shown & np.array([t.baseline == name for t in table.trials])]
            )
            for name in names
        },
        _step(values[on_line], front.directions[x]),
        tuple(table.trials[i].placement for i in rows),
        tuple(_can_be_told(comparison, table.trials[i]) for i in rows),
        _bars(table, values, order, metrics),
    )


def _can_be_told(comparison: ParentComparison | None, trial: Trial) -> bool | None:
    found = None if comparison is None else comparison.difference(trial)
    return None if found is None else found.can_be_told


def _bars(
    table: ParetoTable, values: Floats, rows: Rows, metrics: tuple[str, str]
) -> Bars:
    errors = [
        [table.trials[i].standard_errors.get(metric, 0.0) for metric in metrics]
        for i in rows
    ]
    kept = [(values[i], error) for i, error in zip(rows, errors, strict=True)]
    kept = [(value, error) for value, error in kept if any(error)]
    return Bars(
        tuple(float(value[0]) for value, _ in kept),
        tuple(float(value[1]) for value, _ in kept),
        tuple(error[0] for _, error in kept),
        tuple(error[1] for _, error in kept),
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
    axis.errorbar(
        panel.bars.x,
        panel.bars.y,
        xerr=panel.bars.x_error,
        yerr=panel.bars.y_error,
        fmt="none",
        ecolor=colour,
        elinewidth=0.8,
        alpha=0.45,
        label=f"{prefix}standard error" if panel.bars.x else None,
    )
    axis.scatter(
        *panel.infeasible,
        c="none",
        edgecolors=GREY,
        linewidths=0.8,
        s=16,
        label=f"{prefix}breaks a constraint" if panel.infeasible.x else None,
    )
    axis.scatter(*panel.dominated, c=colour, alpha=0.35, s=14, label=f"{prefix}trials")
    axis.plot(*panel.step, color=colour, linewidth=1, alpha=0.7)
    if panel.elsewhere.x:
        axis.scatter(
            *panel.elsewhere,
            c=colour,
            marker="d",
            s=24,
            label=f"{prefix}front of all {len(figure.metrics)} metrics",
        )
    shape = "D" if index == 0 else "s"
    doubtful = np.array([told is False for told in panel.can_be_told], dtype=bool)
    front = np.array([panel.front.x, panel.front.y])
    of_two = " of these two" if len(figure.metrics) > 2 else ""
    for hollow, text in (
        (False, f"{prefix}front{of_two}"),
        (True, f"{prefix}front, cannot be told from all-Conv"),
    ):
        chosen = front[:, doubtful == hollow]
        if chosen.size:
            axis.scatter(
                chosen[0],
                chosen[1],
                c="white" if hollow else colour,
                marker=shape,
                edgecolors=colour if hollow else "black",
                linewidths=1.2 if hollow else 0.6,
                s=42,
                label=text,
                zorder=3,
            )
    others = itertools.cycle(OTHER_MARKERS)
    for baseline, points in panel.baselines.items():
        axis.scatter(
            *points,
            c="none",
            edgecolors="black",
            marker=BASELINE_MARKERS.get(baseline) or next(others),
            linewidths=1.2,
            s=110,
            label=f"{prefix}{baseline}",
            zorder=4,
        )
    directions = dict(zip(figure.metrics, figure.directions, strict=True))
    axis.set_xlabel(_axis_label(panel.x_metric, directions[panel.x_metric]))
    axis.set_ylabel(_axis_label(panel.y_metric, directions[panel.y_metric]))
    axis.margins(0.08)
    axis.grid(alpha=0.25)


def _draw_labels(axis: "Axes", panel: Panel) -> None:
    """Write placements beside the front, those that would run into others left out."""
    from matplotlib.transforms import Bbox

    if not panel.labels:
        return
    canvas = axis.figure.get_figure(root=True)
    assert canvas is not None
    points = list(zip(*panel.front, panel.labels, strict=True))
    # From both ends: the extremes of a front are what is looked up.
    order = sorted(range(len(points)), key=lambda i: min(i, len(points) - 1 - i))
    marks = [panel.front, *panel.baselines.values()]
    places = [point for mark in marks for point in zip(*mark, strict=True)]
    taken: list[Bbox] = [
        Bbox.from_bounds(x - 6, y - 6, 12, 12)
        for x, y in axis.transData.transform(places)
    ]
    num_taken = len(taken)
    inside = axis.get_window_extent()
    renderer = canvas.canvas.get_renderer()  # type: ignore[attr-defined]
    for i in order:
        x, y, label = points[i]
        if len(taken) - num_taken >= MAX_LABELS:
            break
        for offset, side in LABEL_PLACES:
            text = axis.annotate(
                label, (x, y), offset, textcoords="offset points", fontsize=6.5,
                family="monospace", ha=side, color="0.1", zorder=5,
                bbox={"facecolor": "white", "alpha": 0.5, "linewidth": 0, "pad": 0.5},
            )  # fmt: skip
            box = text.get_window_extent(renderer)
            fits = inside.x0 <= box.x0 and box.x1 <= inside.x1 and box.y0 >= inside.y0
            if fits and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


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
