"""The files that a figure can be drawn into."""

from collections.abc import Collection
from pathlib import Path

from search_spaces.errors import InputError

FORMATS = (".png", ".svg", ".pdf")


def require_figure_file(path: Path, formats: Collection[str] = FORMATS) -> None:
    """Check that a figure can be drawn into a file.

    Args:
        path: File to write; its suffix chooses the format.
        formats: Suffixes that are allowed.

    Raises:
        InputError: The suffix is none of them, or there is no such directory.
    """
    if path.suffix.lower() not in formats:
        allowed = f"{'one of ' if len(formats) > 1 else ''}{', '.join(formats)}"
        raise InputError(f"a figure file ends in {allowed}; got {path.name!r}")
    require_directory(path)


def require_directory(path: Path) -> None:
    """Check that the directory of a file that is to be written is there.

    Args:
        path: File to write.

    Raises:
        InputError: It is not there, or the file is a directory.
    """
    if not path.parent.is_dir() or path.is_dir():
        raise InputError(
            f"a file to write lies in a directory that is there; got {str(path)!r}"
        )
