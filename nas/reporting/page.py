"""One self-contained HTML page about a study: no network, no other files."""

import json
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.ledger.atomic_file import write_atomically
from nas.reporting.content import report_data
from search_spaces.diagram import legend_kinds
from search_spaces.errors import InputError
from search_spaces.placement import Placement

if TYPE_CHECKING:
    from nas.study.study import Study

SCRIPTS = ("page.js", "scale.js", "front.js", "models.js", "sections.js", "main.js")
"""The page's own script, in this order one program."""


def write_report(study: "Study", path: str | Path) -> Path:
    """Write the page of a study; it may still be running.

    Args:
        study: The study.
        path: The HTML file; replaced if it is there.

    Returns:
        The file.

    Raises:
        InputError: The file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"a report is a file ending in .html; got {path.name!r}")
    text = page(report_data(study))
    try:
        write_atomically(path, text)
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {path}: {error.strerror}"
        ) from error
    return path


def page(data: dict[str, Any]) -> str:
    """Put data, style and script together.

    Args:
        data: What `report_data` computed.

    Returns:
        The HTML.
    """
    assets = resources.files("nas.reporting") / "assets"
    kinds = legend_kinds(map(Placement.parse, data["placements"]))
    look = ("letter", "name", "colour", "ink")
    shown = [{what: getattr(kind, what) for what in look} for kind in kinds]
    data = {**data, "kinds": shown}
    parts = {
        "TITLE": escape(f"{data['study']} — AlterNet search"),
        "STYLE": (assets / "report.css").read_text(encoding="utf-8"),
        "DATA": _as_script(data),
        "SCRIPT": "\n".join((assets / s).read_text(encoding="utf-8") for s in SCRIPTS),
    }
    pieces = (assets / "report.html").read_text(encoding="utf-8").split("@@")
    # Odd pieces are names; what is put in is never searched for names again.
    return "".join(
        parts[piece] if index % 2 else piece for index, piece in enumerate(pieces)
    )


def _as_script(data: dict[str, Any]) -> str:
    """JSON that no text inside can break out of: a script ends at ``</``."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028")
