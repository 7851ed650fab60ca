"""What a running search shows on stderr: counts, best so far, time left."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from nas.ledger.trial import Objective, Trial, TrialState
from nas.study.bars import Bar, NotebookBar, TerminalBar, in_notebook
from nas.terminal import make_console, say


def best_so_far(
    trials: Sequence[Trial], objectives: Sequence[Objective]
) -> dict[str, Trial]:
    """The best complete trial for each objective on its own.

    Args:
        trials: Any trials.
        objectives: What is optimised.

    Returns:
        Trials by metric name; empty while no trial is complete.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        return {}
    found = {}
    for objective in objectives:
        choose = max if objective.maximize else min
        metric = objective.metric
        # All have it, unless the ledger is damaged.
        measured = [trial for trial in complete if metric in trial.metrics]
        if measured:
            found[metric] = choose(measured, key=partial(_value, metric))
    return found


def _value(metric: str, trial: Trial) -> float:
    return trial.metrics[metric]


def duration_text(seconds: float) -> str:
    """Seconds as people say them, e.g. ``"2 h 05 min"``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Shows a search; a context manager and a :class:`nas.execution.searcher.Listener`.

    On a terminal or in a notebook a bar that is redrawn; elsewhere one line for each
    trial that ended.

    Args:
        objectives: What is optimised.
        num_trials: Trials of the search.
        trials: Trials that are there already.
        quiet: Show nothing.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        num_trials: int,
        trials: Sequence[Trial],
        *,
        quiet: bool = False,
    ) -> None:
        self._objectives = objectives
        self._num_trials = num_trials
        self._quiet = quiet
        self._counts: Counter[str] = Counter()
        self._best: dict[str, Trial] = {}
        self._running: set[int] = set()
        self._most_running = 1
        self._seconds: list[float] = []
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
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._draw()
            self._bar.close()

    def started(self, proposal: Any) -> None:
        """A training run was given out."""
        self._running.add(proposal.number)
        self._most_running = max(self._most_running, len(self._running))
        self._draw()

    def ended(self, trial: Trial) -> None:
        """A training run ended, however it did."""
        self._running.discard(trial.number)
        self._count(trial)
        if trial.duration_s is not None and trial.retried_as is None:
            self._seconds.append(trial.duration_s)
        if self._quiet:
            return
        if self._bar is not None:
            self._draw()
            if trial.state == TrialState.FAILED:
                self._bar.note(
                    f"trial {trial.number} ({trial.placement}) "
                    f"{_what_failed(trial)}: {trial.error}",
                )
        else:
            say(self._line(trial), err=True)

    def _line(self, trial: Trial) -> str:
        place = f"[{self.num_ended}/{self._num_trials}]"
        if trial.state == TrialState.COMPLETE:
            values = " ".join(
                f"{o.metric}={trial.metrics[o.metric]:.4g}" for o in self._objectives
            )
        elif trial.state == TrialState.PRUNED:
            values = f"stopped after epoch {trial.rung}"
        else:
            values = f"{_what_failed(trial)}: {trial.error}"
        left = "" if trial.was_interrupted else self._time_left()
        return f"{place} trial {trial.number} {trial.placement} {values}" + (
            f" ({left})" if left else ""
        )

    def _time_left(self) -> str:
        todo = self._num_trials - self.num_ended
        if not self._seconds or todo <= 0:
            return ""
        each = sum(self._seconds) / len(self._seconds)
        return f"{duration_text(each * todo / self._most_running)} left"

    def _draw(self) -> None:
        if self._bar is None:
            return
        parts = [f"{len(self._running)} running"]
        parts += [
            f"{self._counts[name]} {name}"
            for name in ("failed", "pruned", "lost")
            if self._counts[name]
        ]
        parts += [
            f"best {metric} {trial.metrics[metric]:.4g}"
            for metric, trial in self._best.items()
        ]
        if left := self._time_left():
            parts.append(left)
        self._bar.draw(self.num_ended, " · ".join(parts))


def _what_failed(trial: Trial) -> str:
    if trial.was_interrupted:
        return f"stopped, queued again as {trial.retried_as}"
    if trial.was_lost:
        return f"lost, queued again as {trial.retried_as}"
    return "failed"
