"""The claims as one self-contained HTML page: tables, figures, what is not shown."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from nas.claims.claim import __doc__ as _RULE
from nas.claims.table import value_text

COLOURS = {"holds": "#009E73", "does not hold": "#D55E00", "cannot tell": "#777777"}
"""Okabe & Ito (2008), as in the figures; each verdict is also written out."""

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 75em; margin: 2em auto;
  padding: 0 1em; color: #222; background: #fff; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #ddd; padding: .35em .6em; text-align: left;
  vertical-align: top; }
.verdict { font-weight: 600; white-space: nowrap; }
.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
.limits { color: #666; font-size: 13px; }
img { max-width: 100%; } pre { white-space: pre-wrap; color: #444; }
"""


def page(data: dict[str, Any], images: Sequence[Path]) -> str:
    """Write the page.

    Args:
        data: Of :func:`nas.claims.table.to_dict`.
        images: PNG files of the figures; they are put into the page.

    Returns:
        HTML.
    """
    rows = "".join(_claim(row) for row in data["rows"])
    networks = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in (
            (
                n["label"], n["network"], n["params"], n["macs"], len(n["seeds"]),
                n["test_error"], n["train_nll"],
            )
            for n in data["networks"]
        )
    )  # fmt: skip
    failures = "".join(f"<li>{escape(line)}</li>" for line in data["failures"])
    lost = (
        f"<h2>Trainings that gave nothing</h2><ul>{failures}</ul>" if failures else ""
    )
    figures = "".join(
        f'<h3>{escape(path.stem)}</h3><img alt="{escape(path.stem)}" src="data:image/'
        f'png;base64,{b64encode(path.read_bytes()).decode()}">'
        for path in images
    )
    name = escape(str(data["config"]["data"]["name"]))
    rule = escape(str(_RULE).split("\n\n", 2)[-1])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Claims on {name}</title>
<style>{_STYLE}</style></head><body>
<h1>Nine claims about attention, measured on {name}</h1>
<p>Park &amp; Kim, <i>How Do Vision Transformers Work?</i>, ICLR 2022.</p>
<table><tr><th></th><th>claim</th><th>measured</th><th>value [95% interval]</th>
<th>claimed</th><th>n</th><th>verdict</th></tr>{rows}</table>
<h2>Networks</h2><table><tr><th>network</th><th></th><th>parameters</th><th>MACs</th>
<th>seeds</th><th>test error</th><th>training NLL</th></tr>{networks}</table>{lost}
<h2>How the verdicts are reached</h2><pre>{rule}</pre>
<h2>Figures</h2>{figures}</body></html>
"""


def _claim(row: dict[str, Any]) -> str:
    parts = row["parts"] or [{"compared": row["note"], "claimed": "above 0"}]
    span = len(parts)
    cells = []
    for index, part in enumerate(parts):
        value = value_text(part) if "value" in part else ""
        count = part.get("num_trainings", "")
        middle = (
            f"<td>{escape(part['compared'])}</td><td class=number>{escape(value)}</td>"
            f"<td>{part['claimed']}</td><td>{count}</td>"
        )
        if index:
            cells.append(f"<tr>{middle}</tr>")
            continue
        p = "" if row["p_holm"] is None else f"<br>p = {row['p_holm']:.2g}"
        cells.append(
            f"<tr><td rowspan={span}>{row['number']}</td><td rowspan={span}>"
            f"{escape(row['claim'])} <i>({escape(row['section'])})</i>"
            f"<div class=limits>Does not show: {escape(row['does_not_show'])}"
            f"</div></td>{middle}"
            f'<td rowspan={span} class=verdict style="color:'
            f'{COLOURS[row["verdict"]]}">'
            f"{row['verdict']}{p}</td></tr>"
        )
    return "".join(cells)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return (
        f"{value:,}"
        if isinstance(value, int)
        else (f"{value:.4f}" if isinstance(value, float) else str(value))
    )
