"""A user's own evaluators and data sets: modules that register them on import.

A config names the modules (``plugins: [my_metrics]``). They are imported by what trains
(a search, ``resume``, ``train`` and every worker), from the installed packages or from
the directory in which the command is started. Reading a study imports none of them, so
that a stranger's study runs no code; a command that only measures takes the module's
name from the user himself (``--plugin``).
"""

from collections.abc import Iterable

from search_spaces.errors import InputError
from search_spaces.own_module import import_own_module


def import_plugins(names: Iterable[str]) -> None:
    """Import modules that call ``register_evaluator`` or ``register_dataset``.

    Args:
        names: Dotted names of the modules.

    Raises:
        InputError: A module is not there, or fails on import.
    """
    for name in names:
        try:
            import_own_module(name)
        except InputError:
            raise
        except Exception as error:  # whatever the user's module does
            problem = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                "plugins are modules that can be imported from here or are installed; "
                f"{name!r} gives {problem}"
            ) from error
