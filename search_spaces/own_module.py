"""Modules of the user: installed ones, or files where the command is started."""

import importlib
import sys
from pathlib import Path
from types import ModuleType


def import_own_module(name: str) -> ModuleType:
    """Import a module that a config or a command names.

    The current directory is looked at last, as ``python -m`` looks at it first; Ray
    hands the path on to its workers.

    Args:
        name: Its dotted name.

    Raises:
        Exception: Whatever the import raises.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    return importlib.import_module(name)
