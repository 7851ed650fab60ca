"""Texts in CSV files, as a spreadsheet may open them."""

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Cell = TypeVar("Cell")


def csv_cell(value: Cell) -> Cell | str:
    """A cell that no spreadsheet takes for a formula.

    A text that starts like one gets an apostrophe before it (OWASP, "CSV Injection").

    Args:
        value: A text, which is looked at; numbers and ``None`` are left alone.

    Returns:
        What to write.
    """
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def plain_cell(text: str) -> str:
    """What :func:`csv_cell` made the cell of.

    Args:
        text: A cell as it was read.
    """
    return text[1:] if text.startswith("'") and text[1:2] in _FORMULA else text


def csv_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose names and texts are such cells.

    Args:
        row: Cell by column.
    """
    return {csv_cell(name): csv_cell(value) for name, value in row.items()}


def csv_frame(frame: "pd.DataFrame") -> "pd.DataFrame":
    """A table of such cells.

    Args:
        frame: Left as it is.
    """
    safe = frame.rename(columns=csv_cell)
    texts = safe.select_dtypes(exclude=["number", "bool"])
    return safe.assign(**{str(name): texts[name].map(csv_cell) for name in texts})
