"""Drawing a figure: PNG and SVG, with its numbers as CSV beside them.

Colours are those of Okabe & Ito (2008) and of matplotlib's viridis and cividis, which
people with any colour vision can tell apart; curves of different networks also differ
in marker and dash.
"""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.figures.paper.figure import Figure, Image, Line, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
SHADE = "#DDDDDD"
FIELDS = ("panel", "quantity", "series", "x", "y", "standard_error")


def save_figure(figure: Figure, directory: Path) -> list[Path]:
    """Draw a figure and write its numbers.

    Args:
        figure: What to draw.
        directory: Where ``<name>.png``, ``<name>.svg`` and ``<name>.csv`` go; made if
            missing.

    Returns:
        The files.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    directory.mkdir(parents=True, exist_ok=True)
    columns = min(figure.num_columns, len(figure.panels))
    rows = -(-len(figure.panels) // columns)
    # No pyplot: it would keep global state and might look for a display. A fixed salt
    # and no date keep the SVG the same from run to run; text stays text.
    style: Any = {"svg.hashsalt": figure.name, "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context(style):
        canvas = Canvas(
            figsize=(3.4 * columns + 0.4, 2.8 * rows + 0.3), layout="constrained"
        )
        FigureCanvasAgg(canvas)
        axes = canvas.subplots(
            rows, columns, squeeze=False, sharey="row" if figure.share_y else False
        )
        looks = _looks(figure)
        for index, panel in enumerate(figure.panels):
            _draw_panel(axes[index // columns][index % columns], panel, looks)
        for index in range(len(figure.panels), rows * columns):
            axes[index // columns][index % columns].set_axis_off()
        if figure.note:
            canvas.supxlabel(figure.note, fontsize=7, color="#555555")
        paths = [directory / f"{figure.name}.{kind}" for kind in ("png", "svg")]
        canvas.savefig(paths[0], dpi=200)
        canvas.savefig(paths[1], metadata={"Date": None})
    table = directory / f"{figure.name}.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(figure.rows())
    return [*paths, table]


def _looks(figure: Figure) -> dict[str, int]:
    """Number of each label, the same in all panels."""
    labels = [
        line.label
        for panel in figure.panels
        for line in panel.lines
        if line.rank is None
    ]
    return {label: index for index, label in enumerate(dict.fromkeys(labels))}


def _draw_panel(axes: "Axes", panel: Panel, looks: dict[str, int]) -> None:
    axes.set_title(panel.title, fontsize=9)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    for start, stop in panel.shaded:
        axes.axvspan(start, stop, color=SHADE, linewidth=0, zorder=0)
    for position in panel.borders:
        axes.axvline(position, color="#888888", linestyle=":", linewidth=0.8, zorder=1)
    if panel.zero:
        axes.axhline(0, color="#888888", linewidth=0.8, zorder=1)
    if panel.image is not None:
        _draw_image(axes, panel.image)
    if panel.log_x:
        axes.set_xscale("log")
    for line in panel.lines:
        _draw_line(axes, line, looks)
    named = [line for line in panel.lines if line.rank is None]
    if len({line.label for line in named}) > 1:
        axes.legend(fontsize=7, frameon=False)
    elif len(panel.lines) > 1:  # curves coloured by depth: name the first and last
        handles, labels = axes.get_legend_handles_labels()
        if handles:
            axes.legend(
                [handles[0], handles[-1]],
                [labels[0], labels[-1]],
                fontsize=7,
                frameon=False,
            )
    axes.spines[["top", "right"]].set_visible(panel.image is not None)


def _draw_line(axes: "Axes", line: Line, looks: dict[str, int]) -> None:
    import matplotlib

    if line.rank is not None:
        # The lightest end of viridis does not show on white paper.
        colour: Any = matplotlib.colormaps["viridis"](0.9 * line.rank)
        axes.plot(line.x, line.y, color=colour, linewidth=1.2, label=line.label)
        return
    index = looks[line.label]
    colour = COLOURS[index % len(COLOURS)]
    error = line.error or None
    if line.style == "bars":
        axes.bar(
            line.x,
            line.y,
            yerr=error,
            color=colour,
            width=0.8,
            label=line.label,
            hatch=("", "///", "...", "xxx")[index % 4],
            edgecolor="white",
            error_kw={"linewidth": 0.8},
            zorder=2,
        )
    elif line.style == "steps":
        axes.plot(
            line.x,
            line.y,
            color=colour,
            linestyle=DASHES[index % len(DASHES)],
            drawstyle="steps-post",
            label=line.label,
        )
    else:
        axes.errorbar(
            line.x,
            line.y,
            yerr=error,
            color=colour,
            marker=MARKERS[index % len(MARKERS)],
            linestyle=DASHES[index % len(DASHES)],
            markersize=3.5,
            linewidth=1.2,
            elinewidth=0.8,
            label=line.label,
            zorder=3,
        )


def _draw_image(axes: "Axes", image: Image) -> None:
    import numpy

    values = numpy.array(
        [[numpy.nan if v is None else v for v in row] for row in image.values]
    )
    low, high = image.limits if image.limits is not None else (None, None)
    mesh = axes.pcolormesh(
        image.x,
        image.y,
        values,
        cmap="viridis",
        shading="nearest",
        vmin=low,
        vmax=high,
        rasterized=True,
    )
    axes.set_aspect("equal")
    bar = axes.figure.colorbar(mesh, ax=axes, shrink=0.8)
    bar.set_label(image.label, fontsize=8)
