"""One self-contained HTML page about a study: no network, no other files."""

import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.figures.figure_file import require_directory
from nas.ledger.atomic_file import write_atomically
from nas.reporting.content import Tell, report_data
from search_spaces.diagram import legend_kinds
from search_spaces.errors import InputError
from search_spaces.placement import Placement

if TYPE_CHECKING:
    from nas.study.study import Study

SCRIPTS = (
    "elements.js", "page.js", "scale.js", "pen.js", "front.js", "filter.js",
    "table.js", "link.js", "models.js", "sections.js", "main.js",
)  # fmt: skip
"""The page's own script, in this order one program."""

LIVE_SCRIPTS = (*SCRIPTS[:-1], "live.js", SCRIPTS[-1])
"""The same for a page that `nas serve` keeps up to date."""


def write_report(
    study: "Study",
    path: str | Path,
    *,
    images: bool = True,
    tell: Tell = lambda what: None,
) -> Path:
    """Write the page of a study; it may still be running.

    Args:
        study: The study.
        path: The HTML file; replaced if it is there.
        images: Whether to show images of the data set, if they are there.
        tell: Told what takes time.

    Returns:
        The file.

    Raises:
        InputError: The file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"a report is a file ending in .html; got {path.name!r}")
    require_directory(path)  # asked before what takes a minute
    text = page(report_data(study, images=images, tell=tell))
    try:
        write_atomically(path, text)
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {path}: {error.strerror}"
        ) from error
    return path


def page(data: dict[str, Any], *, live: bool = False) -> str:
    """Put data, style and script together.

    Args:
        data: What `report_data` computed.
        live: Whether the page asks its server for news.

    Returns:
        The HTML.
    """
    parts = {
        "TITLE": escape(f"{data['study']} — AlterNet search"),
        "STYLE": asset("report.css"),
        "DATA": as_script(with_kinds(data)),
        "SCRIPT": "\n".join(
            asset(name) for name in (LIVE_SCRIPTS if live else SCRIPTS)
        ),
        "CONNECT": "; connect-src 'self'" if live else "",
    }
    return filled(asset("report.html"), parts)


def asset(name: str) -> str:
    """A file that is shipped with the page."""
    file = resources.files("nas.reporting") / "assets" / name
    return file.read_text(encoding="utf-8")


def filled(template: str, parts: Mapping[str, str]) -> str:
    """A template with ``@@NAME@@`` filled in; what is put in is never searched."""
    pieces = template.split("@@")
    return "".join(
        parts[piece] if index % 2 else piece for index, piece in enumerate(pieces)
    )


def with_kinds(data: dict[str, Any]) -> dict[str, Any]:
    """The data and how the block kinds in them look."""
    forecast = data.get("forecast", {}).get("placement", [])
    named = [*data["placements"], *forecast]
    kinds = legend_kinds(map(Placement.parse, named))
    look = ("letter", "name", "colour", "ink")
    shown = [{what: getattr(kind, what) for what in look} for kind in kinds]
    return {**data, "kinds": shown}


def as_script(data: Any) -> str:
    """JSON that no text inside can break out of: a script ends at ``</``."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028")
