"""Progress bars: one for terminals, one for notebooks, with the same few methods."""

import sys
from typing import Any, Protocol

from rich.console import Console

from nas.terminal import printable


class Bar(Protocol):
    """What a search tells a bar."""

    def draw(self, completed: int, description: str) -> None:
        """Show how far it is."""

    def note(self, line: str) -> None:
        """Show a line that stays."""

    def close(self) -> None:
        """Leave the bar as it is."""


class TerminalBar:
    """A bar that is redrawn in a terminal (rich).

    Args:
        console: Where.
        total: Trials of the search.
    """

    def __init__(self, console: Console, total: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            console=console,
        )
        self._task = self._bar.add_task("", total=total)
        self._bar.start()

    def draw(self, completed: int, description: str) -> None:
        """Show how far it is."""
        self._bar.update(self._task, completed=completed, description=description)

    def note(self, line: str) -> None:
        """Show a line that stays, above the bar."""
        self._bar.console.print(line)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.stop()


class NotebookBar:
    """A bar of the notebook (tqdm: a widget where there are widgets, else text).

    Args:
        total: Trials of the search.
    """

    def __init__(self, total: int) -> None:
        from tqdm.auto import tqdm

        # Without tqdm's own remaining time: the description has the study's.
        self._bar: Any = tqdm(
            total=total,
            file=sys.stderr,
            bar_format="{n_fmt}/{total_fmt} {bar} {postfix}",
        )

    def draw(self, completed: int, description: str) -> None:
        """Show how far it is."""
        self._bar.n = completed
        self._bar.set_postfix_str(printable(description), refresh=True)

    def note(self, line: str) -> None:
        """Show a line that stays."""
        self._bar.write(printable(line), file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook (and not IPython in a terminal)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
