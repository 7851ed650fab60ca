"""Paths of a study's own config that lie inside it, written so that it may be moved.

A search in two steps has studies inside the study, whose configs name the library and
the trained parent beside them. Written absolutely, such a path would be wrong as soon
as the study was copied to another place; so ``config.yaml`` has ``study:../library``
instead, from the directory that the file is in. Paths to anything outside are kept as
the user gave them.
"""

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from nas.study_path import CONFIG_FILE

MARK = "study:"
"""What follows is a path from the study directory."""

_PATHS = (
    ("parent", "model"),
    ("parent", "weights"),
    ("parent", "library", "path"),
    ("scoring", "path"),
    ("scoring", "table"),
    ("storage",),
    ("tracking", "mlflow_uri"),
)
"""Settings that may name a file or a directory of a study."""

_SQLITE = "sqlite:///"


def to_keep(settings: Mapping[str, Any], study: Path) -> dict[str, Any]:
    """Settings as the study's ``config.yaml`` has them.

    Args:
        settings: Every setting; paths are absolute or from the working directory.
        study: The study directory. A study inside another one may also name what lies
            in that.

    Returns:
        A copy; paths into the study begin with ``study:``.
    """
    here = os.path.abspath(study)
    above = os.path.dirname(here)
    root = above if os.path.isfile(os.path.join(above, CONFIG_FILE)) else here

    def keep(path: str) -> str:
        full = os.path.abspath(path)
        if path.startswith(MARK) or os.path.commonpath([root, full]) != root:
            return path
        return MARK + Path(os.path.relpath(full, here)).as_posix()

    return _with_paths(settings, keep)


def to_use(settings: Mapping[str, Any], study: Path) -> dict[str, Any]:
    """The settings of a study's ``config.yaml`` with paths that can be opened.

    Args:
        settings: What the file has.
        study: The study directory, wherever it is by now.

    Returns:
        A copy; paths that begin with ``study:`` are absolute.
    """

    def use(path: str) -> str:
        if not path.startswith(MARK):
            return path
        return os.path.abspath(os.path.join(study, path.removeprefix(MARK)))

    return _with_paths(settings, use)


def _with_paths(
    settings: Mapping[str, Any], change: Callable[[str], str]
) -> dict[str, Any]:
    changed = deepcopy(dict(settings))
    for *sections, name in _PATHS:
        here: Any = changed
        for section in sections:
            here = here.get(section) if isinstance(here, Mapping) else None
        value = here.get(name) if isinstance(here, Mapping) else None
        if isinstance(value, str) and "\0" not in value:
            scheme = _SQLITE if value.startswith(_SQLITE) else ""
            if path := value.removeprefix(_SQLITE):
                # timm:NAME and module:function are no paths, nor are other URLs.
                known = scheme or path.startswith(MARK) or os.path.isabs(path)
                if known or os.path.lexists(path):
                    here[name] = scheme + change(path)
    return changed
