"""How long a search still takes: one estimate for bar, lines and `nas status`."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean


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


def remaining_seconds(
    durations: Iterable[float], running: Iterable[Underway], todo: int
) -> float | None:
    """Seconds until the last trial has ended.

    A trial that has not begun takes as long as those that ended; as long as nothing
    has ended, as those that run will take at their pace. As many trials run at once as
    do now.

    Args:
        durations: Seconds of the trials that have ended under the present driver.
        running: The trials that are being trained.
        todo: Trials that have not ended, the running ones included.

    Returns:
        The estimate, ``None`` if there is nothing to go by.
    """
    now = list(running)
    ended = list(durations)
    paces = [one.total for one in now if one.total is not None]
    if todo <= 0:
        return 0.0
    if not ended and not paces:
        return None
    each = fmean(ended) if ended else fmean(paces)
    left = [max((one.total or each) - one.seconds, 0.0) for one in now]
    waiting = max(0, todo - len(now))
    at_once = max(1, len(now))
    return max((sum(left) + waiting * each) / at_once, *left, 0.0)
