"""How long a search takes: one estimate before it and for bar, lines, `nas status`."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Underway:
    """A trial that is being trained.

    Attributes:
        seconds: Since when.
        epochs: Epochs that are done.
        wanted: Epochs it is to have.
    """

    seconds: float
    epochs: int = 0
    wanted: int = 0

    @property
    def total(self) -> float | None:
        """Seconds that it takes at its pace; ``None`` before its first epoch."""
        if not self.epochs or not self.wanted:
            return None
        return self.seconds * max(self.wanted, self.epochs) / self.epochs


@dataclass(frozen=True)
class Expected:
    """What was measured before the search was begun (:mod:`nas.study.launch_cost`).

    Attributes:
        seconds: Of a trial.
        at_once: Trials that run side by side.
    """

    seconds: float
    at_once: int


def remaining_seconds(
    durations: Iterable[float],
    running: Iterable[Underway],
    todo: int,
    expected: Expected | None = None,
) -> float | None:
    """Seconds until the last trial has ended.

    A trial that has not begun takes as long as those that ended; as long as nothing
    has ended, as those that run will take at their pace. What was expected before the
    search counts as one such trial. As many trials run at once as do now; as long as
    none does, as were expected to.

    Args:
        durations: Seconds of the trials that have ended under the present driver.
        running: The trials that are being trained.
        todo: Trials that have not ended, the running ones included.
        expected: What was measured before the search, if anything was.

    Returns:
        The estimate, ``None`` if there is nothing to go by.
    """
    now = list(running)
    ended = list(durations)
    paces = [one.total for one in now if one.total is not None]
    if todo <= 0:
        return 0.0
    known = ended or paces
    if expected is not None:
        known = [*known, expected.seconds]
    if not known:
        return None
    each = sum(known) / len(known)
    left = [max((one.total or each) - one.seconds, 0.0) for one in now]
    waiting = max(0, todo - len(now))
    at_once = len(now) or (1 if expected is None else min(expected.at_once, todo)) or 1
    return max((sum(left) + waiting * each) / at_once, *left, 0.0)


def duration_text(seconds: float) -> str:
    """Seconds as people say them, e.g. ``"2 h 05 min"``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
