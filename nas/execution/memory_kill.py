"""A worker that Ray ends because memory is low is lost like any other.

Tune (ray 2.60) knows two ways for a call of a worker to fail: its process died, or it
raised. When Ray's memory monitor ends a worker the call may fail in a third way, with
``OutOfMemoryError``, and Tune gives up the whole search ("Caught unexpected
exception"), the trials of all other workers included. A machine shared with somebody
else's job is enough (seen in a study of ours).

What took the memory may be that other job, and is often gone a minute later. Trials
begun at once would be lost one after the other, and none is repeated for ever; so the
next one waits.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 300.0
"""Pauses double from the first to the longest: a trial is repeated five times, after
five minutes in all (our choice)."""


class MemoryPause:
    """How long no trial is begun after workers were ended because memory was low.

    Args:
        clock: Seconds since some moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = 0.0
        self._until = 0.0

    def lengthen(self) -> float:
        """A worker was ended.

        Returns:
            Seconds of the pause that begins now; 0 if it belongs to one that has begun.
        """
        if self.lasts():
            return 0.0
        self._pause = min(max(2 * self._pause, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        self._until = self._clock() + self._pause
        return self._pause

    def lasts(self) -> bool:
        """Whether no trial is to be begun now."""
        return self._clock() < self._until

    def forget(self) -> None:
        """A trial came to its end: memory suffices."""
        self._pause = 0.0


@contextmanager
def memory_kills_are_deaths() -> Iterator[None]:
    """Have Tune take a worker ended for lack of memory for a dead one.

    While it lasts Tune tells its searcher and scheduler of such a worker as of one that
    died, and goes on with the others.
    """
    from ray.air.execution._internal import RayActorManager
    from ray.exceptions import OutOfMemoryError, RayActorError

    manager_class: Any = RayActorManager
    tunes_own = manager_class._actor_task_failed

    def failed(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=f"OutOfMemory: {exception}")
        tunes_own(manager, tracked_actor_task, exception)

    manager_class._actor_task_failed = failed
    try:
        yield
    finally:
        manager_class._actor_task_failed = tunes_own
