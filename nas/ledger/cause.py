"""Why a trial ended without its metrics: a fact of its own, beside the words for it."""

from enum import StrEnum


class Cause(StrEnum):
    """What ended a trial that is not complete; the values of the column ``cause``."""

    TRIAL = "trial"  # it raised, or gave no finite value of an objective: final
    TIME_LIMIT = "time_limit"  # it ran longer than its limit: final
    CRASH = "crash"  # its process died again and again in the same place: final
    KILLED = "killed"  # its process died, of a signal or by itself: repeated
    MEMORY = "memory"  # the system or Ray ended its process, memory ran out: repeated
    NODE = "node"  # its node died: repeated
    START = "start"  # its process never started: repeated, or nothing works at all
    DRIVER = "driver"  # the search that ran it was killed: repeated
    INTERRUPTED = "interrupted"  # the search was stopped with it: repeated

    @property
    def blames_trial(self) -> bool:
        """Whether the trial itself may have ended its process."""
        return self in (Cause.KILLED, Cause.MEMORY)


def recorded_cause(name: str | None, error: str) -> Cause | None:
    """The cause of a trial as it is written down.

    Args:
        name: What the ledger has; ``None`` in studies of before 2026-12, which have
            the words alone.
        error: The words.

    Returns:
        The cause; ``None`` for a trial that did not end badly.
    """
    if name is not None:
        return Cause(name)
    if not error:
        return None
    for start, cause in _OLD_WORDS:
        if error.startswith(start):
            return cause
    return Cause.TRIAL


_OLD_WORDS = (
    ("interrupted", Cause.INTERRUPTED),
    ("lost with its driver", Cause.DRIVER),
    ("lost with its worker: its node", Cause.NODE),
    ("lost with its worker: memory", Cause.MEMORY),
    ("lost with its worker: its process could not start", Cause.START),
    ("lost with its worker", Cause.KILLED),
    ("ran longer than its time limit", Cause.TIME_LIMIT),
)
