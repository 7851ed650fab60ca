"""What will be seen in a figure, before anything is drawn."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

Details = Mapping[str, Any]
"""What one evaluator says about one network for figures."""


class Line(NamedTuple):
    """One curve or one set of bars.

    Attributes:
        label: Name in the legend; lines of one label have one look in all panels.
        x: Positions.
        y: Values, as many as positions.
        error: Standard error of each value; empty if unknown.
        rank: 0 to 1, for curves coloured by depth; ``None`` for a colour of its own.
        style: Joined points, bars, or steps from each position to the next.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    error: tuple[float, ...] = ()
    rank: float | None = None
    style: Literal["points", "bars", "steps"] = "points"


class Image(NamedTuple):
    """Values on a grid.

    Attributes:
        x: Position of each column.
        y: Position of each row.
        values: Rows of values; ``None`` where there is none.
        label: What the colour means.
        limits: Values at the ends of the colours; ``None``: from the values.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    values: tuple[tuple[float | None, ...], ...]
    label: str
    limits: tuple[float, float] | None = None


class Panel(NamedTuple):
    """One pair of axes.

    Attributes:
        title: Above the panel; mostly the model's name.
        x_label: Below it.
        y_label: Left of it.
        lines: Curves and bars.
        image: A grid instead of curves.
        shaded: Spans of the x axis in grey: where the MSA blocks are.
        borders: Vertical dashes: where a stage ends.
        zero: Whether the line y = 0 means something.
        log_x: Logarithmic x axis.
    """

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...] = ()
    image: Image | None = None
    shaded: tuple[tuple[float, float], ...] = ()
    borders: tuple[float, ...] = ()
    zero: bool = False
    log_x: bool = False


class Figure(NamedTuple):
    """A row of panels.

    Attributes:
        name: Name of the files.
        panels: From left to right, row by row.
        num_columns: Panels in a row.
        share_y: All panels have one y axis, because they show the same quantity.
        note: One sentence below: what is shown, of how many images.
    """

    name: str
    panels: tuple[Panel, ...]
    num_columns: int
    share_y: bool = False
    note: str = ""

    def rows(self) -> Iterator[dict[str, str | float | None]]:
        """All numbers of the figure in long form, for a CSV file."""
        for panel in self.panels:
            place = {"panel": panel.title, "quantity": panel.y_label}
            for line in panel.lines:
                errors = line.error or (None,) * len(line.x)
                for x, y, error in zip(line.x, line.y, errors, strict=True):
                    yield {
                        **place,
                        "series": line.label,
                        "x": x,
                        "y": y,
                        "standard_error": error,
                    }
            if panel.image is not None:
                grid = panel.image
                for row, values in zip(grid.y, grid.values, strict=True):
                    for column, value in zip(grid.x, values, strict=True):
                        yield {
                            **place,
                            "quantity": grid.label,
                            "series": f"{row:g}",
                            "x": column,
                            "y": value,
                            "standard_error": None,
                        }


def images_note(measured: Mapping[str, Details]) -> str:
    """Say how many images the numbers come from."""
    counts = sorted({details["num_images"] for details in measured.values()})
    return f"{' or '.join(str(count) for count in counts)} images"
