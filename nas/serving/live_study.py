"""A study that is looked at: its page and data, computed only when they change."""

import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any

from nas.ledger.location import Location
from nas.ledger.notes import NoteBook
from nas.pareto.table import ParetoTable
from nas.reporting.content import conclusions, trial_data
from nas.reporting.page import page, with_kinds
from nas.study.status import StudyStatus
from nas.study.study import Study
from search_spaces.errors import InputError

REST = 10.0
"""Rule tests and predictions are repeated after this many times as long as they took
(our choice: the page may be on the CPU that trains a tenth of the time)."""


WAIT = "it is being computed"


class LiveStudy:
    """One study of a server; may be asked by several threads.

    Args:
        path: The study directory.
        address: Where the server answers for it, e.g. ``/0/``.
        edit: Whether notes may be written.

    Raises:
        InputError: It is not a study.
    """

    def __init__(self, path: Path, address: str, *, edit: bool = False) -> None:
        self._study = Study.open(path)
        self._address = address
        self._edit = edit
        self._lock = threading.Lock()
        self._notes: NoteBook | None = None
        self._version = ""
        self._text = ""
        self._slow = self._unknown(WAIT)
        self._thinker: threading.Thread | None = None
        self._num_concluded = -1
        self._next_conclusion = 0.0
        self.name = self._study.name

    def page(self) -> str:
        """The HTML of the study's page."""
        with self._lock:
            self._refresh()
            return page(json.loads(self._text), live=True)

    def data(self, known: str = "") -> str | None:
        """The page's data as JSON.

        Args:
            known: Version that the page has.

        Returns:
            The data; ``None`` if they are those that the page has.
        """
        with self._lock:
            self._refresh()
            return None if known == self._version else self._text

    def status(self) -> dict[str, Any]:
        """What goes on right now, and the version of the data."""
        with self._lock:
            found = StudyStatus.of(self._study).to_dict()
            return {**found, "version": self._fingerprint()}

    def front(self) -> dict[str, Any]:
        """The points of the front, for pages that show several studies."""
        with self._lock:
            table = ParetoTable.of(self._study)
            rows = [
                row
                for row, best in zip(
                    table.rows(), table.front.is_pareto.tolist(), strict=True
                )
                if best
            ]
            return {**table.summary(), "points": rows, "address": self._address}

    def write_note(self, number: int, note: str, tags: list[str]) -> dict[str, Any]:
        """Keep a note on a trial.

        Args:
            number: The trial.
            note: The text.
            tags: Short words.

        Returns:
            What is kept.

        Raises:
            InputError: Notes may not be written here, or it is no trial or no note.
        """
        if not self._edit:
            raise InputError("this server is read-only; start it with --edit")
        with self._lock:
            self._study.trial(number)
            if self._notes is None:
                url = str(self._study.config.storage or "")
                location = Location(url, self._study.layout.journal)
                self._notes = NoteBook(location, self._study.name)
            return dict(self._notes.write(number, note, tags))

    def _fingerprint(self) -> str:
        """Changes with every state and every note."""
        trials = self._study.trials()
        states = "".join(f"{t.number}:{t.state}," for t in trials)
        notes = json.dumps(self._study.notes(), sort_keys=True)
        tested = len(self._study.test_results())
        text = f"{states}{notes}{tested}{self._num_concluded}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _refresh(self) -> None:
        trials = self._study.trials()
        num_complete = sum(str(trial.state) == "complete" for trial in trials)
        if (
            num_complete != self._num_concluded
            and self._thinker is None
            and time.monotonic() >= self._next_conclusion
        ):
            self._thinker = threading.Thread(
                target=self._conclude, args=(num_complete,), daemon=True
            )
            self._thinker.start()
        version = self._fingerprint()
        if version == self._version:
            return
        found = {
            **trial_data(self._study),
            **self._slow,
            "images": {"reason": "left out"},
            "live": {
                "address": self._address,
                "edit": self._edit,
                "version": version,
            },
        }
        text = json.dumps(with_kinds(found), allow_nan=False, separators=(",", ":"))
        self._text, self._version = text, version

    def _unknown(self, why: str) -> dict[str, Any]:
        """What stands in the place of rule tests and predictions."""
        metrics = [objective.metric for objective in self._study.objectives]
        return {
            "rules": [{"metric": metric, "error": why} for metric in metrics],
            "forecast": {"reason": why},
        }

    def _conclude(self, num_complete: int) -> None:
        """Compute what takes long, while pages are answered with what there is."""
        started = time.monotonic()
        try:
            # its own reader: the other one is in use
            found = conclusions(Study.open(self._study.path))
        except Exception as error:  # else a page would wait for it for ever
            found = self._unknown(f"{type(error).__name__}: {error}")
        took = time.monotonic() - started
        with self._lock:
            self._slow = found
            self._num_concluded = num_complete
            self._next_conclusion = time.monotonic() + REST * took
            self._thinker = None
