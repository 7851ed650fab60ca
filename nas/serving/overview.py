"""Several studies side by side: their fronts in one figure, and what each is doing."""

from importlib import resources
from typing import Any

from nas.reporting.page import as_script, asset, filled


def overview_page(studies: list[dict[str, Any]]) -> str:
    """The HTML of the page.

    Args:
        studies: Front and status of each study.

    Returns:
        The page, which asks its server for news.
    """
    own = resources.files("nas.serving") / "assets"
    parts = {
        "STYLE": asset("report.css"),
        "DATA": as_script(studies),
        "SCRIPT": asset("elements.js")
        + asset("scale.js")
        + (own / "overview.js").read_text(encoding="utf-8"),
    }
    return filled((own / "overview.html").read_text(encoding="utf-8"), parts)
