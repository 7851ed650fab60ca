"""worker.json of a trial: which process works on it, for those who watch."""

import json
import os
import socket
from typing import Any

from nas.ledger.regular_file import read_regular
from nas.study.layout import TrialLayout


def write_worker(trial: TrialLayout, started: float) -> None:
    """Say that this process works on a trial.

    Args:
        trial: Files of the trial; its directory exists.
        started: Start as seconds since 1970.
    """
    content = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
    trial.worker.write_text(json.dumps(content))


def read_worker(trial: TrialLayout) -> dict[str, Any]:
    """Who works on a trial: ``host``, ``pid``, ``started``; ``{}`` if unknown."""
    try:
        content = json.loads(read_regular(trial.worker))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
