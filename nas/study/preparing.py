"""How far what a search prepares is: a line of each task, for those who watch.

A file a task, because tasks run on other machines and watchers in other processes; the
study directory is what they all see.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nas.ledger.atomic_file import write_atomically
from nas.ledger.regular_file import read_regular


@dataclass(frozen=True)
class PreparingTask:
    """The line of one task.

    Attributes:
        path: Its file.
    """

    path: Path

    def tell(self, line: str) -> None:
        """Say how far it is; a full disk is no reason to stop.

        Args:
            line: The line, which replaces the one before.
        """
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, line)

    def read(self) -> str:
        """The line; ``""`` if there is none."""
        try:
            return read_regular(self.path).decode(errors="backslashreplace").strip()
        except OSError:
            return ""

    def close(self) -> None:
        """Take the line away."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            self.path.parent.rmdir()  # with the last line goes the directory


def preparing_tasks(directory: Path, number: int) -> Sequence[PreparingTask]:
    """The lines of so many tasks.

    Args:
        directory: Where their files are, e.g. ``StudyLayout.preparing``.
        number: Of tasks.
    """
    return [PreparingTask(directory / f"{index:03d}.txt") for index in range(number)]


def preparing_lines(directory: Path) -> tuple[str, ...]:
    """What the tasks that are under way have said.

    Args:
        directory: Where their files are; it need not exist.
    """
    files = sorted(directory.glob("[0-9]*.txt"))
    return tuple(line for file in files if (line := PreparingTask(file).read()))
