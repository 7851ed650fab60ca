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

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from nas.ledger.atomic_file import write_atomically
from nas.ledger.attributes import RUNNING, WAITING, Row
from nas.ledger.paused_collector import paused_collector
from nas.ledger.record_line import read_lines, read_whole
from nas.ledger.regular_file import open_regular, read_regular
from search_spaces.errors import InputError

# Values of optuna.storages.journal._storage.JournalOperation (Optuna 5).
_CREATE_STUDY = 0
_SET_STUDY_USER_ATTR = 2
_CREATE_TRIAL = 4
_SET_TRIAL_PARAM = 5
_SET_TRIAL_STATE_VALUES = 6
_SET_TRIAL_USER_ATTR = 8

_WRONG = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What an operation raises whose line is JSON, but not what was written."""

_INDEX_FORMAT = "nas-index/2"
_LINES_AT_ONCE = 4000
"""Lines decoded in one call; all of 400,000 in one take half as long again."""

_FINGERPRINTED = 4096
"""Bytes of the journal that an index remembers, to know that it belongs to it."""


@dataclass
class _Entry:
    """A trial as far as it has been read."""

    number: int
    state: int = RUNNING
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
        may_be_missing: Whether a journal that is not there counts as an empty one: the
            search that is to write it has only begun.

    Raises:
        InputError: It cannot be read.
    """

    def __init__(
        self, path: Path, index: Path, *, may_be_missing: bool = False
    ) -> None:
        self._path = path
        self._may_be_missing = may_be_missing
        self._index = index
        self._offset = 0
        self._num_lines = 0
        self._entries: list[_Entry] = []
        self._rows: dict[int, Row] = {}
        self.user_attrs: dict[str, Any] = {}
        self.problems: list[str] = []
        with paused_collector():
            self._start_from_index()
        self.refresh()

    @property
    def revision(self) -> int:
        """Lines read so far: what was read has not changed while this has not."""
        return self._num_lines

    def _start_from_index(self) -> None:
        try:
            index = json.loads(read_regular(self._index))
            if index["format"] != _INDEX_FORMAT or index[
                "fingerprint"
            ] != self._fingerprint(index["offset"]):
                return
            entries = _with_architectures(index["rows"], index["architectures"])
            user_attrs, problems = dict(index["user_attrs"]), list(index["problems"])
            offset, num_lines = int(index["offset"]), int(index["num_lines"])
        except (OSError, *_WRONG):
            return  # none, damaged, or of another version: the journal has it all
        self._entries, self.user_attrs, self.problems = entries, user_attrs, problems
        self._offset, self._num_lines = offset, num_lines

    def _fingerprint(self, offset: int) -> str:
        """Digest of the journal's bytes before an offset."""
        start = max(0, offset - _FINGERPRINTED)
        with os.fdopen(open_regular(self._path), "rb") as file:
            file.seek(start)
            return hashlib.sha256(file.read(offset - start)).hexdigest()

    def write_index(self) -> None:
        """Leave an index of all that has been read, for later readers."""
        rows, architectures = _without_architectures(self._entries)
        index = {
            "format": _INDEX_FORMAT,
            "offset": self._offset,
            "num_lines": self._num_lines,
            "fingerprint": self._fingerprint(self._offset),
            "user_attrs": self.user_attrs,
            "problems": self.problems,
            "architectures": architectures,
            "rows": rows,
        }
        write_atomically(self._index, json.dumps(index, separators=(",", ":")))

    def refresh(self) -> None:
        """Read what was appended since the last time."""
        try:
            block = read_regular(self._path, self._offset)
        except OSError as error:
            if self._may_be_missing and isinstance(error, FileNotFoundError):
                return
            raise InputError(
                f"the ledger {self._path} cannot be read: {error.strerror}"
            ) from error
        end = block.rfind(b"\n") + 1  # a writer may be in the middle of a line
        lines = block[:end].split(b"\n")[:-1]
        first = self._num_lines + 1
        self._offset += end
        self._num_lines += len(lines)
        with paused_collector():
            for start in range(0, len(lines), _LINES_AT_ONCE):
                logs = read_whole(lines[start : start + _LINES_AT_ONCE])
                if logs is None:  # a flipped bit may have cut a line between blocks
                    self._apply_each(lines[start:], first + start)
                    break
                for number, log in enumerate(logs, first + start):
                    try:
                        self._apply(log)
                    except _WRONG as error:
                        self._tell(log, number, error)

    def _apply_each(self, lines: list[bytes], first: int) -> None:
        """Apply lines of which some have no checksum, or a wrong one."""
        for record in read_lines(lines, first):
            log = record.log
            if record.problem:
                lost = "" if log is not None else "; it is left out"
                self.problems.append(f"{self._path}: {record.problem}{lost}")
            if log is None:
                # Keep the numbers of later trials right.
                line = lines[record.number - first]
                for _ in range(line.count(b'"op_code":4')):
                    self._apply({"op_code": _CREATE_TRIAL, "datetime_start": None})
                continue
            try:
                self._apply(log)
            except _WRONG as error:
                self._tell(log, record.number, error)

    def _tell(self, log: dict[str, Any], number: int, error: Exception) -> None:
        """Note an operation that is not what was written, and leave it out."""
        self.problems.append(
            f"{self._path}: line {number} is damaged "
            f"({type(error).__name__}: {error}) and left out"
        )
        if log["op_code"] == _CREATE_TRIAL:  # keep the numbers of later trials right
            self._apply({"op_code": _CREATE_TRIAL, "datetime_start": None})

    def _apply(self, log: dict[str, Any]) -> None:
        operation = log["op_code"]
        if operation == _CREATE_TRIAL:
            entry = _Entry(len(self._entries), _state(log.get("state", RUNNING)))
            entry.started = _time(log["datetime_start"])
            entry.finished = _time(log.get("datetime_complete"))
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
        if entry.state not in (RUNNING, WAITING):
            return  # as in Optuna, a finished trial stays as it is
        if operation == _SET_TRIAL_USER_ATTR:
            entry.attrs.update(log["user_attr"])
        elif operation == _SET_TRIAL_PARAM:
            entry.params[log["param_name"]] = _external(
                log["distribution"], log["param_value_internal"]
            )
        elif operation == _SET_TRIAL_STATE_VALUES:
            state = _state(log["state"])
            started = _time(log.get("datetime_start", entry.started))
            finished = _time(log.get("datetime_complete", entry.finished))
            entry.state, entry.started, entry.finished = state, started, finished

    def rows(self) -> list[Row]:
        """All rows read so far, in order of their numbers."""
        rows = []
        for entry in self._entries:
            row = self._rows.get(entry.number)
            if row is None:
                row = entry.row()
                if entry.state not in (RUNNING, WAITING):
                    self._rows[entry.number] = row
            rows.append(row)
        return rows


def _without_architectures(
    entries: Sequence[_Entry],
) -> tuple[list[tuple[Any, ...]], list[dict[str, Any]]]:
    """What an index holds of each trial, and the architectures that they share.

    The architectures of a study differ in little but their placements, and are most of
    what a reader has to decode: each is written once, with no placement.

    Returns:
        The fields of each entry and the number of its architecture, or ``None`` if
        that is still among the attributes; and the architectures.
    """
    rows, numbers = [], dict[str, int]()
    architectures: list[dict[str, Any]] = []
    for entry in entries:
        state, attrs, *others = entry.fields()
        full, number = attrs.get("architecture"), None
        if isinstance(full, dict) and full.get("placement") == attrs.get("placement"):
            shared = full | {"placement": None}
            number = numbers.setdefault(json.dumps(shared), len(numbers))
            if number == len(architectures):
                architectures.append(shared)
            attrs = {k: v for k, v in attrs.items() if k != "architecture"}
        rows.append((state, attrs, *others, number))
    return rows, architectures


def _with_architectures(
    rows: Iterable[list[Any]], architectures: Sequence[dict[str, Any]]
) -> list[_Entry]:
    """The entries of an index, with all that was theirs."""
    entries = []
    for number, (*fields, shared) in enumerate(rows):
        entry = _Entry(number, *fields)
        if shared is not None:
            placement = entry.attrs["placement"]
            whole = {**architectures[shared], "placement": placement}
            entry.attrs["architecture"] = whole
        entries.append(entry)
    return entries


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


def _state(value: Any) -> int:
    """A state as Optuna numbers them."""
    if type(value) is not int or not 0 <= value <= WAITING:
        raise ValueError(f"no state: {value!r}")
    return value


def _time(text: str | None) -> str | None:
    """A time that can be read."""
    _seconds(text)
    return text


def _seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
