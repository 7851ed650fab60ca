"""The studies below a directory, each in a few words."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nas.study.layout import StudyLayout
from nas.study.status import StudyStatus
from nas.study.study import Study
from search_spaces.errors import InputError

MAX_DEPTH = 3
"""Directories below the given one that are looked into (our choice: runs/PROJECT/STUDY
and one more)."""


def list_studies(directory: Path) -> list[dict[str, Any]]:
    """Say in a few words what each study is.

    Args:
        directory: A study, or a directory with studies below it.

    Returns:
        ``path, name, state, num_trials, num_ended, num_failed, best, changed, problem``
        of each, the one changed last on top. ``best`` is that of the first objective
        (``metric, value, number, placement``) or ``None``; ``changed`` in seconds
        since 1970; a study that cannot be read has a ``problem`` and nothing else.
    """
    found = [_described(path) for path in _studies(directory, MAX_DEPTH)]
    return sorted(found, key=lambda one: -(one["changed"] or 0.0))


def _studies(directory: Path, depth: int) -> Iterator[Path]:
    if StudyLayout(directory).exists() or StudyStatus.of_start(directory) is not None:
        yield directory
        return
    if depth == 0:
        return
    try:
        names = sorted(one.name for one in os.scandir(directory) if one.is_dir())
    except OSError:
        return
    for name in names:
        if not name.startswith("."):
            yield from _studies(directory / name, depth - 1)


def _described(path: Path) -> dict[str, Any]:
    layout = StudyLayout(path)
    times = []
    files = (layout.config, layout.journal, layout.csv)
    # One that is starting has nothing but its lease.
    for file in files if layout.exists() else (layout.lease,):
        try:
            times.append(file.stat().st_mtime)
        except OSError:
            continue
    row: dict[str, Any] = {
        "path": str(path), "name": path.name, "state": None, "num_trials": None,
        "num_ended": None, "num_failed": None, "best": None,
        "changed": max(times, default=None), "problem": "",
    }  # fmt: skip
    try:
        status = StudyStatus.of_start(path) or StudyStatus.of(Study.open(path))
    except InputError as error:
        return row | {"problem": str(error)}
    best = None
    for metric, trial in status.best.items():
        best = {
            "metric": metric, "value": trial.metrics[metric],
            "number": trial.number, "placement": trial.placement,
        }  # fmt: skip
        break
    counts = status.counts
    return row | {
        "name": status.name,
        "state": status.state,
        "num_trials": status.num_trials,
        "num_ended": sum(counts[s] for s in ("complete", "failed", "pruned")),
        "num_failed": counts["failed"],
        "best": best,
    }
