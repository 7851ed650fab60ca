"""The files that a figure can be drawn into."""

from pathlib import Path

from search_spaces.errors import InputError

FORMATS = (".png", ".svg", ".pdf")


def require_figure_file(path: Path) -> None:
    """Check that a figure can be drawn into a file.

    Args:
        path: File to write; its suffix chooses the format.

    Raises:
        InputError: The suffix is none of ``FORMATS``.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"a figure file ends in one of {', '.join(FORMATS)}; got {path.name!r}"
        )
