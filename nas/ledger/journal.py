"""The journal file: an Optuna journal that is cheap to write and hard to tear.

``study.log`` is an ordinary Optuna journal (one JSON object a line, here each with a
checksum), which optuna-dashboard opens while a search runs. Optuna's own
``JournalFileBackend`` locks the file and calls fsync once for every attribute, about
thirty times a trial; :class:`Journal` writes everything that belongs together in one
go, and leaves fsync to a thread, after results only (on a busy disk it took 50 ms,
during which no trial would be given out). A killed process loses nothing either way; a
power failure may cost the last moment's results, which are then trained again. It
takes the same lock, so other Optuna processes may write to the file as well.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend, JournalFileSymlinkLock

from nas.ledger.record_line import read_line, read_whole, sealed
from nas.ledger.regular_file import open_regular
from search_spaces.errors import InputError

_LOCK_GRACE_S = 10  # our choice: a writer holds the lock for milliseconds
_READ_AT_ONCE = 2**20  # bytes: the file may have hundreds of megabytes
_DISK = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")


class Journal(BaseJournalBackend):
    """Backend of ``optuna.storages.JournalStorage`` for one local or shared file.

    Args:
        path: The journal file; created if absent. A line that a killed writer
            left unfinished is removed at the first write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = JournalFileSymlinkLock(str(path), grace_period=_LOCK_GRACE_S)
        self._offsets = {0: 0}  # byte offset of log number 0 and of the last read
        self._batch: list[dict[str, Any]] | None = None
        self._durable = False
        if not path.exists():
            path.touch()

    @contextmanager
    def batch(self, *, durable: bool = False) -> Iterator[None]:
        """Write all that is appended inside in one go, at the end.

        What is appended inside cannot be read back before the end, so creating a
        trial or popping a waiting one does not belong here.

        Args:
            durable: Whether to have it put on the disk soon, not only handed to the
                operating system.
        """
        self._durable |= durable
        if self._batch is not None:
            yield
            return
        self._batch = []
        try:
            yield
        finally:
            batch, self._batch = self._batch, None
            if batch:
                self.append_logs(batch)
            self._durable = False

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append logs, or leave the file as it was and raise.

        Args:
            logs: JSON objects, one a line.
        """
        if self._batch is not None:
            self._batch.extend(logs)
            return
        block = b"".join(map(sealed, logs))
        self._lock.acquire()
        try:
            self._append(block)
        finally:
            self._lock.release()

    def _append(self, block: bytes) -> None:
        with self._path.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            start = _end_of_last_line(file, end)
            if start < end:
                file.truncate(start)
            file.seek(start)
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                # A full disk must not leave half a line behind.
                os.truncate(self._path, start)
                raise OSError(error.errno, error.strerror, str(self._path)) from error
        if self._durable:
            _DISK.submit(_to_disk, self._path)

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Read logs from a log number on; an unfinished last line is left alone.

        Args:
            log_number_from: Number of the first log wanted.

        Yields:
            The logs in order.

        Raises:
            InputError: A line in the middle of the file is damaged.
        """
        number, offset = max(
            item for item in self._offsets.items() if item[0] <= log_number_from
        )
        with os.fdopen(open_regular(self._path), "rb") as file:
            file.seek(offset)
            while lines := file.readlines(_READ_AT_ONCE):
                unfinished = not lines[-1].endswith(b"\n")
                if unfinished:
                    lines.pop()
                wanted = lines[max(log_number_from - number, 0) :]
                number += len(lines)
                offset += sum(map(len, lines))
                yield from self._logs(
                    [line[:-1] for line in wanted], number - len(wanted)
                )
                self._offsets = {0: 0, number: offset}
                if unfinished:
                    return

    def _logs(self, lines: list[bytes], number: int) -> Iterable[dict[str, Any]]:
        """Logs of lines of which the first has a number, from 0."""
        if (logs := read_whole(lines)) is not None:
            yield from logs
            return
        for index, line in enumerate(lines, number + 1):
            record = read_line(line, index)
            if record.log is None:
                raise InputError(
                    f"every line of {self._path} must be as it was written, "
                    f"but {record.problem}; restore the file from a copy: "
                    "going on would number the trials wrongly (status, pareto "
                    "and report still read the rest)"
                )
            yield record.log


def _to_disk(path: Path) -> None:
    """Have the operating system write a file out; waits for it."""
    with suppress(OSError), path.open("rb") as file:
        os.fsync(file.fileno())


def _end_of_last_line(file: Any, end: int) -> int:
    """Byte offset behind the last newline of a file that is ``end`` bytes long."""
    position = end
    while position > 0:
        size = min(65536, position)
        file.seek(position - size)
        block = file.read(size)
        newline = block.rfind(b"\n")
        if newline >= 0:
            return int(position - size + newline + 1)
        position -= size
    return 0
