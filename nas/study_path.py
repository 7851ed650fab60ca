"""What people call a study: a path, a name under ``runs/``, or ``latest``."""

import os
import re
import unicodedata
from pathlib import Path

from search_spaces.errors import InputError

CONFIG_FILE = "config.yaml"
"""A directory that holds it is a study."""

LEASE_FILE = "driver.lock"
"""A search that is starting has it, and writes its config seconds later."""

RUNS = Path("runs")
"""Where new studies go unless the user says otherwise; ``results/`` is for published
ones."""

LATEST = "latest"


def find_study(name: str | os.PathLike[str]) -> Path:
    """The directory that a user means.

    Args:
        name: A path; or ``latest``, the study in ``runs/`` that was started last; or
            the name of a study in ``runs/``. What exists under that path goes first,
            unless it is a directory without a config (``photos`` may be one's images).

    Returns:
        The directory. A name that is none of these is returned as it is.

    Raises:
        InputError: ``latest`` is asked for and ``runs/`` has no study.
    """
    path = Path(name)
    try:
        under_runs = RUNS / path
        is_name = len(path.parts) == 1 and path.name not in ("", ".", "..")
        is_known = is_name and bool(_started(under_runs))
        if path.exists() and not (is_known and path.is_dir() and not _started(path)):
            return path
        if str(name) == LATEST:
            return _latest()
        return under_runs if is_known else path
    except InputError:
        raise
    except (OSError, ValueError):  # too long for a path, or a NUL in it
        return path


def _latest() -> Path:
    studies = (
        [path for path in RUNS.iterdir() if _started(path)] if RUNS.is_dir() else []
    )
    if not studies:
        raise InputError(
            f"'{LATEST}' is the study in {RUNS}/ that was started last; there is none"
        )
    return max(studies, key=_started)


def _started(path: Path) -> float:
    """When a study was started (its config is written once), 0 if it is no study."""
    for name in (CONFIG_FILE, LEASE_FILE):
        if (file := path / name).is_file():
            return file.stat().st_mtime
    return 0.0


def study_name(path: str | os.PathLike[str]) -> str:
    """What a study is called that is given no name: as its directory.

    Args:
        path: The directory, or a config file without its suffix.

    Returns:
        The last part of the path, with what no name may have replaced or left out;
        empty if nothing is left.
    """
    text = unicodedata.normalize("NFKD", Path(path).absolute().name)
    text = text.encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("._-")[:100]
