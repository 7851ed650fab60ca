"""What a new study records about where its results come from."""

import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from nas.ledger.attributes import STUDY_FORMAT
from search_spaces.kinds.block_kinds import block_kinds


def study_header(
    metrics: Mapping[str, Any], data_fingerprint: str | None
) -> dict[str, Any]:
    """Section ``study`` of a study's ``config.yaml``.

    Args:
        metrics: Unit, direction and definition of each metric.
        data_fingerprint: Of the images, if there are any.
    """
    return {
        "format": STUDY_FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": _versions(),
        "commit": _commit(),
        "data_fingerprint": data_fingerprint,
        "metrics": metrics,
        "block_kinds": [
            {"letter": kind.letter, "name": kind.name, "colour": kind.colour}
            for kind in block_kinds()
        ],
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("alternet-nas", "torch", "ray", "optuna", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _commit() -> str | None:
    """The git commit of the source tree that runs, if it is one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
