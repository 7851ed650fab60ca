"""Directories that a command writes into, made before it has worked for minutes."""

import os
from pathlib import Path

from search_spaces.errors import InputError


def output_directory(directory: Path, what: str) -> Path:
    """Make a directory, or see that one that is there can be written.

    Args:
        directory: The directory.
        what: How a message names it.

    Returns:
        The same directory.

    Raises:
        InputError: It cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{what} {directory} cannot be made: {error.strerror}"
        ) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise InputError(f"{what} {directory} must be writable")
    return directory
