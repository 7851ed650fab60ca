"""Reads the journal file of a study without Optuna: fast, and while it is written.

Optuna replays a journal by copying each trial once for every attribute, and refuses
the whole file if one line is damaged. A reader of a study wants neither: this one
applies each line in place, goes on where it stopped, and notes damaged lines
instead of giving up.

A driver leaves an index beside the journal: what the first so many bytes of it
amount to. A reader that finds one reads only the rest (10,000 trials are 60 MB of
journal, but 15 MB of index). The journal stays the truth: an index that does not
belong to it, or is damaged, is not used.
"""

import gc
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from nas.ledger.atomic_file import write_atomically
from nas.ledger.attributes import Row
from search_spaces.errors import InputError

# Values of optuna.storages.journal._storage.JournalOperation (Optuna 5).
_CREATE_STUDY = 0
_SET_STUDY_USER_ATTR = 2
_CREATE_TRIAL = 4
_SET_TRIAL_PARAM = 5
_SET_TRIAL_STATE_VALUES = 6
_SET_TRIAL_USER_ATTR = 8

_RUNNING, _WAITING = 0, 4

_INDEX_FORMAT = "nas-index/1"
_FINGERPRINTED = 4096
"""Bytes of the journal that an index remembers, to know that it belongs to it."""


@dataclass
class _Entry:
    """A trial as far as it has been read."""

    number: int
    state: int = _RUNNING
    attrs: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    started: str | None = None
    finished: str | None = None

    def fields(self) -> tuple[Any, ...]:
        """All but the number."""
        return self.state, self.attrs, self.params, self.started, self.finished

    def row(self) -> Row:
        return Row(
            self.number,
            self.state,
            self.attrs,
            self.params,
            _seconds(self.started),
            _seconds(self.finished),
        )


class JournalReader:
    """A journal file, read as far as it is written.

    Attributes:
        user_attrs: Attributes of the study.
        problems: One line for each damaged line of the file.

    Args:
        path: The journal file.
        index: Where its index is, or may be written.

    Raises:
        InputError: It cannot be read.
    """

    def __init__(self, path: Path, index: Path) -> None:
        self._path = path
        self._index = index
        self._offset = 0
        self._num_lines = 0
        self._entries: list[_Entry] = []
        self._rows: dict[int, Row] = {}
        self.user_attrs: dict[str, Any] = {}
        self.problems: list[str] = []
        with _without_collector():
            self._start_from_index()
        self.refresh()

    def _start_from_index(self) -> None:
        try:
            index = json.loads(self._index.read_bytes())
            if index["format"] != _INDEX_FORMAT or index[
                "fingerprint"
            ] != self._fingerprint(index["offset"]):
                return
            entries = [
                _Entry(number, *fields) for number, fields in enumerate(index["rows"])
            ]
            user_attrs, problems = dict(index["user_attrs"]), list(index["problems"])
            offset, num_lines = int(index["offset"]), int(index["num_lines"])
        except (OSError, ValueError, KeyError, TypeError):
            return  # none, damaged, or of another version: the journal has it all
        self._entries, self.user_attrs, self.problems = entries, user_attrs, problems
        self._offset, self._num_lines = offset, num_lines

    def _fingerprint(self, offset: int) -> str:
        """Digest of the journal's bytes before an offset."""
        with self._path.open("rb") as file:
            file.seek(max(0, offset - _FINGERPRINTED))
            return hashlib.sha256(file.read(min(offset, _FINGERPRINTED))).hexdigest()

    def write_index(self) -> None:
        """Leave an index of all that has been read, for later readers."""
        index = {
            "format": _INDEX_FORMAT,
            "offset": self._offset,
            "num_lines": self._num_lines,
            "fingerprint": self._fingerprint(self._offset),
            "user_attrs": self.user_attrs,
            "problems": self.problems,
            "rows": [entry.fields() for entry in self._entries],
        }
        write_atomically(self._index, json.dumps(index, separators=(",", ":")))

    def refresh(self) -> None:
        """Read what was appended since the last time."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                block = file.read()
        except OSError as error:
            raise InputError(
                f"the ledger {self._path} cannot be read: {error.strerror}"
            ) from error
        end = block.rfind(b"\n") + 1  # a writer may be in the middle of a line
        block = block[:end]
        self._offset += end
        with _without_collector():
            for log in self._logs(block):
                self._apply(log)

    def _logs(self, block: bytes) -> Iterator[dict[str, Any]]:
        lines = block.splitlines()
        first = self._num_lines
        self._num_lines += len(lines)
        try:
            # One call for all lines: about three times as fast as one for each.
            yield from json.loads(b"[" + b",".join(lines) + b"]")
            return
        except ValueError:
            pass
        for index, line in enumerate(lines, start=first + 1):
            try:
                log = json.loads(line)
                if not isinstance(log, dict) or "op_code" not in log:
                    raise ValueError("not an operation")
            except ValueError as error:
                self.problems.append(
                    f"{self._path}: line {index} is damaged ({error}) and left out"
                )
                if b'"op_code":4' in line:  # keep the numbers of later trials right
                    yield {"op_code": _CREATE_TRIAL, "datetime_start": None}
                continue
            yield log

    def _apply(self, log: dict[str, Any]) -> None:
        operation = log["op_code"]
        if operation == _CREATE_TRIAL:
            entry = _Entry(len(self._entries), log.get("state", _RUNNING))
            entry.started = log["datetime_start"]
            entry.finished = log.get("datetime_complete")
            entry.attrs.update(log.get("user_attrs") or {})
            for name, value in (log.get("params") or {}).items():
                entry.params[name] = _external(log["distributions"][name], value)
            self._entries.append(entry)
            return
        if operation == _SET_STUDY_USER_ATTR:
            self.user_attrs.update(log["user_attr"])
            return
        if operation == _CREATE_STUDY or "trial_id" not in log:
            return
        number = log["trial_id"]
        if number >= len(self._entries):
            return
        entry = self._entries[number]
        if entry.state not in (_RUNNING, _WAITING):
            return  # as in Optuna, a finished trial stays as it is
        if operation == _SET_TRIAL_USER_ATTR:
            entry.attrs.update(log["user_attr"])
        elif operation == _SET_TRIAL_PARAM:
            entry.params[log["param_name"]] = _external(
                log["distribution"], log["param_value_internal"]
            )
        elif operation == _SET_TRIAL_STATE_VALUES:
            entry.state = log["state"]
            entry.started = log.get("datetime_start", entry.started)
            entry.finished = log.get("datetime_complete", entry.finished)

    def rows(self) -> list[Row]:
        """All rows read so far, in order of their numbers."""
        rows = []
        for entry in self._entries:
            row = self._rows.get(entry.number)
            if row is None:
                row = entry.row()
                if entry.state not in (_RUNNING, _WAITING):
                    self._rows[entry.number] = row
            rows.append(row)
        return rows


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause the garbage collector: a million live objects are made, no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@lru_cache(maxsize=4096)
def _choices(distribution: str) -> tuple[Any, ...] | None:
    description = json.loads(distribution)
    choices = description["attributes"].get("choices")
    return None if choices is None else tuple(choices)


def _external(distribution: str, internal: float) -> Any:
    """The value a sampler chose, from Optuna's internal number."""
    choices = _choices(distribution)
    if choices is not None:
        return choices[int(internal)]
    return int(internal) if '"IntDistribution"' in distribution else internal


def _seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
