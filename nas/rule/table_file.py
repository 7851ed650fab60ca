"""A table of trials in a CSV or Parquet file."""

from pathlib import Path

import pandas as pd

from search_spaces.errors import InputError, one_line, shown


def read_frame(path: Path) -> pd.DataFrame:
    """Read a table file as pandas sees it.

    Args:
        path: A file that ends in ``.csv`` or ``.parquet``.

    Returns:
        The table.

    Raises:
        InputError: The file is absent, of another kind or damaged.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise InputError(
            "trials are read from a study directory, a .csv or a .parquet file; "
            f"got {str(path)!r}" + ("" if path.exists() else ", which does not exist")
        )
    if not path.is_file():
        raise InputError(f"there is no table at {str(path)!r}")
    try:
        if kind == ".parquet":
            frame = pd.read_parquet(path)
            named = [name for name in frame.index.names if name is not None]
            return frame.reset_index(named) if named else frame
        header = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
        header = header.str.strip()
        if header.duplicated().any():  # pandas would number them in silence
            twice = header[header.duplicated()].iloc[0]
            raise InputError(
                f"columns of a table have different names; {str(path)!r} has two "
                f"named {shown(twice)}"
            )
        return pd.read_csv(path).rename(columns=str.strip)
    except InputError:
        raise
    except (ValueError, OSError) as error:  # pandas' and arrow's errors are ValueErrors
        problem = one_line(error)
        raise InputError(f"{str(path)!r} is not a readable table: {problem}") from error


def line_name(path: Path) -> str:
    """How a message names a row of a file; ``{}`` is its number."""
    return "line {}" if path.suffix.lower() == ".csv" else "row {}"
