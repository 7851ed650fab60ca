"""Reads files of a stranger's study: a pipe in their place keeps nobody waiting."""

import errno
import os
import stat
from pathlib import Path


def open_regular(path: Path) -> int:
    """Open a file to read, if it is one.

    Args:
        path: The file.

    Returns:
        A descriptor.

    Raises:
        OSError: There is no such file, it cannot be read, or it is a pipe, a device or
            a directory.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return descriptor


def check_regular(path: Path) -> None:
    """Refuse what is no file, for readers that open it themselves.

    Args:
        path: The file.

    Raises:
        OSError: As :func:`open_regular`.
    """
    os.close(open_regular(path))


def read_regular(path: Path, start: int = 0) -> bytes:
    """Read a file from an offset to its end; see :func:`open_regular`.

    Args:
        path: The file.
        start: Bytes to leave out.

    Raises:
        OSError: As :func:`open_regular`.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        file.seek(start)
        return file.read()
