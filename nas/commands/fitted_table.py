"""Tables that fit: columns are left out where there is no room, numbers never cut."""

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nas.csv_text import csv_row
from nas.terminal import make_console, printable

if TYPE_CHECKING:
    from rich.table import Table

WIDTH_OF_WORDS = 20
"""Least width of a column that wraps (our choice: three words a line)."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Its head.
        cells: One text a row.
        rank: Columns of a higher rank are left out first; 0 never is.
        is_text: Whether its cells stand on the left.
        wraps: Whether its cells are sentences that may go on in the next line.
    """

    name: str
    cells: Sequence[str]
    rank: int = 0
    is_text: bool = False
    wraps: bool = False


def print_fitted(
    title: str,
    columns: Sequence[Column],
    width: int | None = None,
    *,
    complete: str = "--format csv",
    sections: Collection[int] = (),
) -> list[str]:
    """Print a table, and the names of the columns that had no room.

    Args:
        title: Above the table.
        columns: Its columns, of one length; those that are empty are left out.
        width: Columns of characters; those of the terminal if ``None``.
        complete: What to ask for to see the columns that had no room.
        sections: Rows, counted from 0, below which there is a line.

    Returns:
        Names of the columns that had no room.
    """
    console = make_console()
    room = console.width if width is None else width
    kept = [one for one in columns if one.rank == 0 or any(one.cells)]
    left_out: list[str] = []
    unlimited = console.options.update_width(10_000)

    def needed() -> int:
        grid = _grid(title, [_narrowest(one) for one in kept])
        return console.measure(grid, options=unlimited).maximum

    while needed() > room:
        worst = max(kept, key=lambda one: one.rank)
        if worst.rank == 0:
            break
        kept.remove(worst)
        left_out.append(worst.name)
    # Rather a long line than half a number.
    grid = _grid(title, kept, sections)
    console.width = max(room, needed())  # rich cuts what is wider than its console
    console.print(grid, crop=False)
    console.width = room
    if left_out:
        console.print(
            f"no room for: {', '.join(reversed(left_out))} (a wider terminal, or "
            f"{complete}, has them)"
        )
    return left_out


def _narrowest(column: Column) -> Column:
    """The column as wide as it must be."""
    if not column.wraps:
        return column
    from rich.cells import cell_len

    cells = [printable(cell) for cell in column.cells]
    words = [word for cell in cells for word in cell.split()]
    width = max(map(cell_len, words), default=0)
    width = max(width, min(WIDTH_OF_WORDS, max(map(cell_len, cells), default=0)))
    return replace(column, cells=["x" * width] * len(column.cells))


def _grid(
    title: str, columns: Sequence[Column], sections: Collection[int] = ()
) -> "Table":
    from rich.table import Table

    grid = Table(
        title=title or None, title_justify="left", padding=(0, 1), pad_edge=False
    )
    for one in columns:
        justify = "left" if one.is_text else "right"
        grid.add_column(
            one.name,
            justify=justify,  # type: ignore[arg-type]
            no_wrap=not one.wraps,
            overflow="fold",
        )
    for row, cells in enumerate(zip(*(one.cells for one in columns), strict=True)):
        grid.add_row(*cells, end_section=row in sections)
    return grid


def markdown(columns: Sequence[Column]) -> str:
    """The table in Markdown (GitHub's)."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    marks = ["---" if one.is_text else "--:" for one in columns]
    rows = zip(*(one.cells for one in columns), strict=True)
    return "\n".join(map(line, [[one.name for one in columns], marks, *rows]))


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#",
    "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--", "−": "$-$",
}  # fmt: skip


def latex(columns: Sequence[Column]) -> str:
    """The table in LaTeX (needs the package booktabs)."""

    def line(cells: Sequence[str]) -> str:
        plain = ("".join(_LATEX.get(c, c) for c in cell) for cell in cells)
        return f"{' & '.join(plain)} \\\\"

    align = "".join("l" if one.is_text else "r" for one in columns)
    rows = zip(*(one.cells for one in columns), strict=True)
    return "\n".join(
        [
            f"\\begin{{tabular}}{{{align}}}",
            "\\toprule",
            line([one.name for one in columns]),
            "\\midrule",
            *map(line, rows),
            "\\bottomrule",
            "\\end{tabular}",
        ]
    )


def csv_text(rows: Sequence[dict[str, object]]) -> str:
    """Rows of one set of keys as CSV, formulas in texts made harmless."""
    text = io.StringIO()
    if rows:
        columns = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(csv_row(dict(row)) for row in rows)
    return text.getvalue().removesuffix("\n")
