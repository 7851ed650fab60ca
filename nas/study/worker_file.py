"""worker.json of a trial: which process works on it, for those who watch."""

import json
import os
import socket
from pathlib import Path
from typing import Any

WORKER_FILE = "worker.json"


def write_worker(directory: Path, started: float) -> None:
    """Say that this process works on a trial.

    Args:
        directory: Directory of the trial; exists.
        started: Start as seconds since 1970.
    """
    content = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
    (directory / WORKER_FILE).write_text(json.dumps(content))


def read_worker(directory: Path) -> dict[str, Any]:
    """Who works on a trial: ``host``, ``pid``, ``started``; ``{}`` if unknown."""
    try:
        content = json.loads((directory / WORKER_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
