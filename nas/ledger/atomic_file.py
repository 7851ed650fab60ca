"""Files that are there whole or not at all, whatever happens while they are written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

DRAFT_SUFFIX = ".draft"
"""How the names of unfinished files end; a killed writer may leave some."""


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside its place and move it there when it is on the disk.

    The draft is a new file of its own (``O_EXCL``): neither it nor the move follows a
    symbolic link that somebody has put there.

    Args:
        path: The file to write or to replace.

    Yields:
        The draft, to write to.

    Raises:
        OSError: It cannot be written, e.g. a full disk; names the file. What was at
            the path is untouched, and nothing is left beside it.
    """
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}{DRAFT_SUFFIX}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    try:
        with os.fdopen(os.open(draft, flags, 0o666), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(draft)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file whole; see :func:`atomic_file`.

    Args:
        path: The file.
        content: All of it; text becomes UTF-8.

    Raises:
        OSError: It cannot be written; names the file.
    """
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
