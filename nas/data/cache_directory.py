"""The directory of the user in which decoded images are kept between searches.

Two kinds of files: pixels (``.npy``) and records about them (``.json``). Both are
written under another name and renamed when they are whole, carry checksums, and are
only read if they belong to the user and nobody else can write to them. Everything in
it may be deleted at any time; what is missing is made again.
"""

import errno
import fcntl
import hashlib
import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_HEADER_BYTES = 128
"""Length of the .npy header of any four-dimensional uint8 array of sensible size."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class CacheUnusableError(Exception):
    """The directory cannot be used; the message says why in half a line."""


def user_cache_directory() -> Path:
    """``alternet-nas/images`` in the user's cache directory (XDG base directories).

    Raises:
        CacheUnusableError: The user has neither ``XDG_CACHE_HOME`` nor a home.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):  # the specification: relative paths are to be ignored
        return Path(named) / "alternet-nas" / "images"
    try:
        return Path.home() / ".cache" / "alternet-nas" / "images"
    except RuntimeError as error:
        raise CacheUnusableError("there is no home directory") from error


def _is_private(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & (
        stat.S_IWGRP | stat.S_IWOTH
    )


@dataclass
class Draft:
    """A file that is being written.

    Attributes:
        file: Open for writing and reading.
        name: What it is called when it is whole.
    """

    file: IO[bytes]
    name: str = ""


class CacheDirectory:
    """Reads and writes the files of one cache directory.

    Args:
        path: The directory; made if it is not there.

    Raises:
        CacheUnusableError: It cannot be made, or others may write to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = path.stat()
        except OSError as error:
            raise CacheUnusableError(f"{path}: {error.strerror}") from error
        if not _is_private(found):
            raise CacheUnusableError(
                f"{path}: it must belong to you and be writable by you alone"
            )

    def pixel_path(self, key: str) -> Path:
        """Where the pixels of a key are."""
        return self.path / f"{key}.npy"

    def read_record(self, key: str) -> dict[str, Any] | None:
        """A record, if it is there and undamaged."""
        try:
            with _open_private(self.path / f"{key}.json") as file:
                checksum, _, body = file.read().partition(b"\n")
        except OSError:
            return None
        if hashlib.sha256(body).hexdigest().encode() != checksum:
            return None
        record: dict[str, Any] = json.loads(body)
        return record

    def write_record(
        self, key: str, record: dict[str, Any], prefix: str | None = None
    ) -> None:
        """Write a record, replacing an earlier one whole.

        Args:
            key: Its name.
            record: What JSON can say.
            prefix: The key whose lock is held, if it is another one.

        Raises:
            OSError: The disk is full or read-only.
        """
        body = json.dumps(record).encode()
        checksum = hashlib.sha256(body).hexdigest().encode()
        with self.draft(prefix or key) as draft:
            draft.file.write(checksum + b"\n" + body)
            draft.name = f"{key}.json"

    @contextmanager
    def draft(self, prefix: str) -> Iterator["Draft"]:
        """A new file that gets its name when the block ends without an error.

        Args:
            prefix: The key whose lock is held; what a killed process leaves behind is
                found by it.

        Yields:
            The draft; its ``name`` must be set in the block.

        Raises:
            OSError: The disk is full or read-only.
        """
        # The process id keeps drafts apart where a file system has no locks.
        path = self.path / f"{prefix}.{os.getpid()}.draft"
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(path, flags, 0o600), "w+b") as file:
                draft = Draft(file)
                yield draft
                file.flush()
                os.fsync(file.fileno())
            path.replace(self.path / draft.name)
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise

    def remove(self, key: str) -> None:
        """Remove the files of a key that turned out to be damaged."""
        for suffix in (".json", ".npy"):
            with suppress(OSError):
                (self.path / f"{key}{suffix}").unlink()

    @contextmanager
    def lock(self, key: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Held by one process at a time; the kernel frees it when the process ends.

        Where the file system has no locks, nobody waits: both processes decode, and
        the file of the last one stays.

        Args:
            key: What is going to be written.
            waiting: Called before another process is waited for.

        Yields:
            Nothing.

        Raises:
            OSError: The disk is full or read-only.
        """
        path = self.path / f"{key}.lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            descriptor = os.open(path, flags, 0o600)
            try:
                locked = _lock(descriptor, waiting)
                if _is_file_at(descriptor, path):
                    break
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # its last holder has removed it meanwhile
        try:
            if locked:  # so whoever began these drafts is dead
                for draft in self.path.glob(f"{key}.*.draft"):
                    with suppress(OSError):
                        draft.unlink()
            yield
        finally:
            with suppress(OSError):
                path.unlink()
            os.close(descriptor)


def _lock(descriptor: int, waiting: Callable[[], None]) -> bool:
    """Wait for a lock; whether the file system has locks at all."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _is_file_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _open_private(path: Path) -> IO[bytes]:
    # without O_NONBLOCK a named pipe in its place would be waited for
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags)
    file = os.fdopen(descriptor, "rb")
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or not _is_private(found):
        file.close()
        raise PermissionError(errno.EACCES, "the file of another user", str(path))
    return file


def npy_header(shape: tuple[int, ...]) -> bytes:
    """Header of a .npy file of uint8 images, always of the same length.

    Args:
        shape: ``(num, channels, height, width)``.
    """
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header,
        {"descr": "|u1", "fortran_order": False, "shape": shape},
    )
    written = header.getvalue()
    if len(written) != _HEADER_BYTES:
        raise ValueError(f"no header of {_HEADER_BYTES} bytes for {shape}")
    return written


def map_pixels(path: Path, shape: tuple[int, ...]) -> Pixels:
    """Map a file of pixels into memory, without reading it.

    Processes of one machine that map the same file share its pages.

    Args:
        path: A file that ``npy_header`` begins.
        shape: ``(num, channels, height, width)``.

    Returns:
        Read-only uint8 array of that shape.

    Raises:
        OSError: The file is not there, not the user's own, or of another size.
    """
    with _open_private(path) as file:
        whole = _HEADER_BYTES + int(np.prod(shape, dtype=np.int64))
        size = os.fstat(file.fileno()).st_size
        if size != whole or file.read(_HEADER_BYTES) != npy_header(shape):
            raise OSError(errno.EINVAL, f"it is damaged (has {size} bytes)", str(path))
        if not shape[0]:
            return np.empty(shape, np.uint8)
        return np.memmap(file, np.uint8, "r", _HEADER_BYTES, shape)
