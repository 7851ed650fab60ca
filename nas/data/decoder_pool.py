"""Decodes image files on all CPUs, in their order.

What the worker processes import is kept small (no torch), so that they start quickly.
"""

import errno
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np

from nas.data.decoding import Pixels, decode_image
from nas.data.image_files import ImageFiles, read_file

_PART = 64
"""Files that a worker decodes before it answers: at 224 pixels, 10 MB of answer."""

_IDLE_S = 2
"""Workers end themselves after so long without work; joblib's 300 s would outlast the
start of a search, whose trials want the memory."""

_WORTH_S = 2.0
"""Estimated work that is worth the start of worker processes (about a second)."""

_FILE_S, _BYTE_S = 2e-4, 4e-8
"""Seconds of decoding a file and a byte of it: measured with 32-pixel PNGs (0.2 ms) and
12-megapixel JPEGs (25 MB/s); only the choice above hangs on them."""

_LASTING = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ELOOP, errno.EINVAL)
"""Reasons for not reading a file that do not go away by themselves."""


@dataclass(frozen=True)
class DecodedPart:
    """A few files, decoded.

    Attributes:
        start: Position of the first of them.
        pixels: ``(readable, channels, size, size)`` uint8 of those that can be read.
        digests: One a file: of its content, or why there is none.
        unreadable: Position and reason of each file that cannot be read.
        passing: Whether one of the reasons may go away by itself.
    """

    start: int
    pixels: Pixels
    digests: list[str]
    unreadable: list[tuple[int, str]]
    passing: bool


def decode_files(
    files: ImageFiles, size: int, advance: Callable[[int], None]
) -> Iterator[DecodedPart]:
    """Decode files in parallel.

    Args:
        files: Which.
        size: Height (= width) of the pixels.
        advance: Told how many files have been done since the last call.

    Yields:
        The files part by part, in order.
    """
    for part in _in_parts(_decode_part, files, size):
        advance(len(part.digests))
        yield part


def digest_files(files: ImageFiles, advance: Callable[[int], None]) -> list[str]:
    """Digests of the files' content, without decoding it.

    Args:
        files: Which.
        advance: Told how many files have been done since the last call.

    Returns:
        What ``DecodedPart.digests`` says of each.
    """
    digests: list[str] = []
    for part in _in_parts(_digest_part, files, 0):
        advance(len(part))
        digests += part
    return digests


def _in_parts(function: Callable[..., Any], files: ImageFiles, size: int) -> Any:
    tasks = (
        (
            [files.path(position) for position in range(start, stop)],
            files.states[start:stop],
            start,
            size,
        )
        for start in range(0, len(files), _PART)
        for stop in [min(start + _PART, len(files))]
    )
    num_bytes = int(np.maximum(files.states[:, 0], 0).sum())
    num_cpus = joblib.cpu_count()
    if num_cpus < 2 or len(files) * _FILE_S + num_bytes * _BYTE_S < _WORTH_S:
        return (function(*task) for task in tasks)
    # parallel_config hands the timeout on; Parallel alone takes it since joblib 1.5
    with joblib.parallel_config("loky", n_jobs=num_cpus, idle_worker_timeout=_IDLE_S):
        parallel = joblib.Parallel(
            return_as="generator", batch_size=1, pre_dispatch="3 * n_jobs"
        )
    return parallel(joblib.delayed(function)(*task) for task in tasks)


def _read(path: str, state: Any) -> tuple[bytes | None, str, bool]:
    """Content, digest (or reason), and whether the reason may go away by itself."""
    try:
        content = read_file(path, tuple(state.tolist()))
    except OSError as error:
        return None, error.strerror or str(error), error.errno not in _LASTING
    return content, hashlib.sha256(content).hexdigest()[:32], False


def _decode_part(paths: list[str], states: Any, start: int, size: int) -> DecodedPart:
    pixels = np.empty((len(paths), 3, size, size), np.uint8)
    digests: list[str] = []
    unreadable: list[tuple[int, str]] = []
    any_passing = False
    for position, (path, state) in enumerate(zip(paths, states, strict=True), start):
        content, digest, passing = _read(path, state)
        digests.append(digest)
        any_passing |= passing
        if content is None:
            unreadable.append((position, digest))
            continue
        try:
            row = decode_image(content, size)
        except ValueError as error:
            unreadable.append((position, str(error)))
        else:
            pixels[len(digests) - 1 - len(unreadable)] = row
    readable = pixels[: len(paths) - len(unreadable)]
    return DecodedPart(start, readable, digests, unreadable, any_passing)


def _digest_part(paths: list[str], states: Any, start: int, size: int) -> list[str]:
    return [_read(path, state)[1] for path, state in zip(paths, states, strict=True)]
