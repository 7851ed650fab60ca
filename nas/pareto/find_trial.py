"""What people call a trial: its number, ``best`` or ``latest``."""

from nas.ledger.trial import TrialState
from nas.pareto.table import ParetoTable, TrialSource, best_trial
from search_spaces.errors import InputError, shown

BEST, LATEST = "best", "latest"


def find_trial(study: TrialSource, name: str) -> int:
    """The number of the trial that a user means.

    Args:
        study: The study.
        name: A number; ``best``, the best value of the first objective (among equals
            one on the front); or ``latest``, the trained trial that ended last.

    Returns:
        The number, which need not exist.

    Raises:
        InputError: It is none of these, or no trial is trained yet.
    """
    if name.isascii() and name.isdecimal() and len(name) < 19:
        return int(name)
    if name == BEST:
        return best_trial(ParetoTable.of(study)).number
    if name == LATEST:
        trained = [t for t in study.trials() if t.state == TrialState.COMPLETE]
        if not trained:
            raise InputError(f"no trial of {study.name!r} is trained yet")
        return max(trained, key=lambda t: (t.finished or 0.0, t.number)).number
    raise InputError(f"a trial is a number, '{BEST}' or '{LATEST}'; got {shown(name)}")
