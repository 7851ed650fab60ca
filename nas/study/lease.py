"""One driver for one study: the lease that a running search holds.

A lock on a file (``flock``) that the kernel gives back when the process ends,
however it ends, so a killed search never blocks its resumption. File systems
without such locks get a heartbeat instead: the file is touched while the driver
lives, and counts as abandoned after a minute of silence.
"""

import errno
import fcntl
import json
import os
import socket
import stat
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nas.ledger.regular_file import open_regular, read_regular
from nas.study.layout import StudyLayout
from search_spaces.errors import InputError

_OPENING = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HEARTBEAT_S = 10.0
_SILENCE_S = 60.0
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class Lease:
    """Held while a search runs on a study; a context manager.

    Args:
        study: The study directory.
        use_locks: Whether the file system has locks; found out by trying.

    Raises:
        InputError: Another driver that is alive holds it (on entering).
    """

    def __init__(self, study: Path, *, use_locks: bool = True) -> None:
        self._path = StudyLayout(study).lease
        self._use_locks = use_locks
        self._descriptor: int | None = None
        self._over = threading.Event()
        self._heartbeat: threading.Thread | None = None

    def __enter__(self) -> Self:
        try:
            descriptor = os.open(self._path, _OPENING, 0o644)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise InputError(
                    f"{self._path} must be a file of the study, but is a symbolic "
                    "link; remove it"
                ) from error
            raise InputError(
                f"the study directory {self._path.parent} must be writable to run a "
                f"search: {error.strerror}"
            ) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"{self._path} must be a regular file; remove it")
            self._acquire(descriptor)
            if os.fstat(descriptor).st_nlink == 0:  # its last holder took it back
                raise InputError(
                    f"another search has just left {self._path.parent}; try again"
                )
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        self._heartbeat = threading.Thread(target=self._beat, daemon=True)
        self._heartbeat.start()
        return self

    def _acquire(self, descriptor: int) -> None:
        if self._use_locks:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                self._refuse()
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
        age = time.time() - os.fstat(descriptor).st_mtime
        if age < _SILENCE_S and os.fstat(descriptor).st_size > 0:
            self._refuse()

    def _refuse(self) -> None:
        owner = read_owner(self._path.parent)
        who = (
            f"process {owner.get('pid')} on {owner.get('host')}"
            if owner
            else "another process"
        )
        raise InputError(
            f"one study has one driver, but {self._path.parent} is being searched by "
            f"{who}; wait for it, or stop it first",
            hint=f"nas status {self._path.parent} shows how far it is",
        )

    def _beat(self) -> None:
        while not self._over.wait(_HEARTBEAT_S):
            if self._descriptor is not None:
                os.utime(self._descriptor)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._heartbeat is not None:
            self._heartbeat.join()
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def read_owner(study: Path) -> dict[str, Any]:
    """Who holds the lease of a study, as far as the file says; ``{}`` if nobody."""
    try:
        owner = json.loads(read_regular(StudyLayout(study).lease))
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def driver_text(study: Path) -> str:
    """``PID on HOST`` of a driver that is alive, else ``""``."""
    return owner_text(living_owner(study))


def living_owner(study: Path) -> dict[str, Any]:
    """What a driver that is alive wrote about itself, else nothing."""
    return read_owner(study) if is_driven(study) else {}


def owner_text(owner: dict[str, Any]) -> str:
    """``PID on HOST``, ``""`` of nobody."""
    return f"{owner.get('pid')} on {owner.get('host')}" if owner else ""


def is_driven(study: Path) -> bool:
    """Whether a driver is alive, found out without disturbing it."""
    if not read_owner(study):
        return False
    path = StudyLayout(study).lease
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False  # the file is closed, and the lock given back, at once
    except BlockingIOError:
        return True
    except OSError:
        try:
            return time.time() - path.stat().st_mtime < _SILENCE_S
        except OSError:
            return False
