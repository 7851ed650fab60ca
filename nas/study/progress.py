"""What a running search shows on stderr: counts, best so far, time left."""

import time
from collections import Counter
from collections.abc import Sequence
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self

from nas.human_number import human_number
from nas.ledger.trial import Objective, Trial, TrialState
from nas.study.bars import Bar, NotebookBar, TerminalBar, in_notebook
from nas.study.best_so_far import best_so_far
from nas.study.launch_cost import LaunchCost
from nas.study.layout import StudyLayout
from nas.study.live_history import read_epochs
from nas.study.remaining_time import Underway, duration_text, remaining_seconds
from nas.study.worker_file import read_worker
from nas.terminal import make_console, say

_TICK_S = 5.0
"""Seconds between two looks at the running trials (our choice)."""

_REDRAWN_S = 0.1
"""Seconds between two drawings of a bar that is not told of every trial."""

_SILENCE_S = 60.0
"""Seconds without a line after which a log is told that the search goes on."""

_SHOWN = 4
"""Running trials whose epochs fit into a line."""


class Progress:
    """Shows a search; a context manager and a :class:`nas.execution.searcher.Listener`.

    On a terminal or in a notebook a bar that is redrawn; elsewhere one line for each
    trial that ended, and one each minute in which none did.

    Args:
        objectives: What is optimised.
        num_trials: Trials of the search.
        trials: Trials that are there already.
        quiet: Show nothing.
        study: Where the trials write how far they are; ``None`` if they do not.
        spare_s: For trials that may end a thousand times a second: seconds between two
            lines of a log. Those that failed are always told.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        num_trials: int,
        trials: Sequence[Trial],
        *,
        quiet: bool = False,
        study: StudyLayout | None = None,
        spare_s: float = 0.0,
    ) -> None:
        self._objectives = objectives
        self._num_trials = num_trials
        self._quiet = quiet
        self._counts: Counter[str] = Counter()
        self._best: dict[str, Trial] = {}
        self._study = study
        self._running: dict[int, tuple[float, int]] = {}
        self._spare_s = spare_s
        self._said = self._drawn = time.monotonic()
        self._over = Event()
        self._lock = Lock()
        self._seconds: list[float] = []
        cost = None if study is None else LaunchCost.read(study.launch_cost)
        self._expected = None if cost is None else cost.expected
        self._bar: Bar | None = None
        for trial in trials:
            self._count(trial)

    def _count(self, trial: Trial) -> None:
        if trial.was_lost:
            self._counts["lost"] += 1
        elif trial.retried_as is None and trial.state in (
            TrialState.COMPLETE,
            TrialState.FAILED,
            TrialState.PRUNED,
        ):
            self._counts[str(trial.state)] += 1
        if trial.state == TrialState.COMPLETE:
            candidates = [trial, *self._best.values()]
            self._best = best_so_far(candidates, self._objectives)

    @property
    def num_ended(self) -> int:
        """Trials that came to an end, lost ones not counted."""
        return sum(self._counts[name] for name in ("complete", "failed", "pruned"))

    def __enter__(self) -> Self:
        if self._quiet:
            return self
        if in_notebook():
            self._bar = NotebookBar(self._num_trials)
        else:
            console = make_console(err=True)
            if console.is_terminal:
                self._bar = TerminalBar(console, self._num_trials)
        self._draw()
        Thread(target=self._tick, daemon=True).start()
        return self

    def _tick(self) -> None:
        """Show how far the running trials are while nothing else happens."""
        while not self._over.wait(_TICK_S):
            with self._lock:
                if self._bar is not None:
                    self._draw()
                elif self._running and time.monotonic() - self._said > _SILENCE_S:
                    self._said = time.monotonic()
                    place = f"[{self.num_ended}/{self._num_trials}]"
                    say(f"{place} {' · '.join(self._parts())}", err=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        with self._lock:
            if self._bar is not None:
                self._draw()
                self._bar.close()

    def started(self, proposal: Any) -> None:
        """A training run was given out."""
        with self._lock:
            epochs = getattr(proposal, "epochs", 0)
            self._running[proposal.number] = (time.time(), epochs)
            self._draw_soon()

    def ended(self, trial: Trial) -> None:
        """A training run ended, however it did."""
        with self._lock:
            self._end(trial)

    def remark(self, text: str) -> None:
        """Something happened that a person should know."""
        with self._lock:
            if self._bar is not None:
                self._bar.note(text)
            elif not self._quiet:
                say(text, err=True)

    def _end(self, trial: Trial) -> None:
        self._running.pop(trial.number, None)
        self._count(trial)
        if trial.duration_s is not None and trial.retried_as is None:
            self._seconds.append(trial.duration_s)
        if self._quiet:
            return
        now, failed = time.monotonic(), trial.state == TrialState.FAILED
        if self._bar is not None:
            self._draw_soon()
            if failed:
                self._bar.note(
                    f"trial {trial.number} ({trial.placement}) "
                    f"{_what_failed(trial)}: {trial.error}",
                )
        elif failed or now - self._said >= self._spare_s:
            self._said = now
            say(self._line(trial), err=True)

    def _line(self, trial: Trial) -> str:
        place = f"[{self.num_ended}/{self._num_trials}]"
        if trial.state == TrialState.COMPLETE:
            values = " ".join(
                f"{o.metric}={human_number(trial.metrics[o.metric])}"
                for o in self._objectives
            )
        elif trial.state == TrialState.PRUNED:
            values = f"stopped after epoch {trial.rung}"
        else:
            values = f"{_what_failed(trial)}: {trial.error}"
        left = "" if trial.was_interrupted else self._time_left(trial)
        return f"{place} trial {trial.number} {trial.placement} {values}" + (
            f" ({left})" if left else ""
        )

    def _time_left(self, just_ended: Trial | None = None) -> str:
        underway = list(self._underway().values())
        todo = self._num_trials - self.num_ended
        if just_ended is not None and todo > len(underway):
            # Its place is taken in a moment: not one less runs at once from here on.
            underway.append(Underway(just_ended.duration_s or 0.0, 1, 1))
            todo += 1
        left = remaining_seconds(self._seconds, underway, todo, self._expected)
        return f"{duration_text(left)} left" if left else ""

    def _underway(self) -> dict[int, Underway]:
        now = time.time()
        found = {}
        for number, (since, wanted) in self._running.items():
            done = 0
            if self._study is not None:
                trial = self._study.trial(number)
                done = read_epochs(trial).number
                # As `nas status`: a worker may take long to begin what it was given.
                since = read_worker(trial).get("started", since)
            found[number] = Underway(max(0.0, now - since), done, wanted)
        return found

    def _draw_soon(self) -> None:
        if not self._spare_s or time.monotonic() - self._drawn >= _REDRAWN_S:
            self._draw()

    def _draw(self) -> None:
        if self._bar is not None:
            self._drawn = time.monotonic()
            self._bar.draw(self.num_ended, " · ".join(self._parts()))

    def _parts(self) -> list[str]:
        epochs = [
            f"{one.epochs}/{one.wanted}"
            for one in self._underway().values()
            if one.wanted and self._study is not None
        ]
        shown = ", ".join(epochs[:_SHOWN]) + (", …" if len(epochs) > _SHOWN else "")
        parts = [
            f"{len(self._running)} running" + (f" (epoch {shown})" if shown else "")
        ]
        parts += [
            f"{self._counts[name]} {name}"
            for name in ("failed", "pruned", "lost")
            if self._counts[name]
        ]
        parts += [
            f"best {metric} {human_number(trial.metrics[metric])}"
            for metric, trial in self._best.items()
        ]
        if left := self._time_left():
            parts.append(left)
        return parts


def _what_failed(trial: Trial) -> str:
    if trial.was_interrupted:
        return f"stopped, queued again as {trial.retried_as}"
    if trial.was_lost:
        return f"lost, queued again as {trial.retried_as}"
    return "failed"
