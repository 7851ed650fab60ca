"""`nas ls`: which studies there are."""

import json
import time
from pathlib import Path
from typing import Any

import click

from nas.commands.fitted_table import Column, print_fitted
from nas.commands.options import format_option
from nas.terminal import make_console, say


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@format_option()
def command(directory: Path | None, output: str) -> None:
    r"""List the studies below DIRECTORY (runs/), the one changed last on top.

    \b
    nas ls
    nas ls results
    nas ls --format json | jq -r '.[] | select(.state == "interrupted").path'
    """
    from nas.study.studies import list_studies
    from nas.study_path import RUNS
    from search_spaces.errors import InputError

    directory = RUNS if directory is None else directory
    if not directory.is_dir():
        if output == "json" and directory == RUNS:
            say("[]")
            return
        state = "is a file" if directory.exists() else "does not exist"
        raise InputError(
            f"nas ls lists the studies below a directory; {directory} {state}",
            hint="nas search makes the first study, in runs/",
        )
    found = list_studies(directory)
    if output == "json":
        say(json.dumps(found, indent=1))
        return
    if not found:
        say(f"no study below {directory}")
        return
    _print(found)


def _print(found: list[dict[str, Any]]) -> None:
    from nas.pareto.table import format_value

    rows = [
        (
            one["path"],
            one["state"],
            f"{one['num_ended']}/{one['num_trials']}",
            str(one["num_failed"] or ""),
            f"{best['metric']} {format_value(best['value'])}" if best else "",
            best.get("placement", ""),
            _ago(one["changed"]),
        )
        for one in found
        if not one["problem"]
        for best in (one["best"] or {},)
    ]
    if rows:
        paths, states, trials, failed, best, placements, changed = zip(
            *rows, strict=True
        )
        print_fitted(
            "",
            [
                Column("study", paths, is_text=True),
                Column("state", states, is_text=True),
                Column("trials", trials),
                Column("failed", failed, 2),
                Column("best", best, 1, is_text=True),
                Column("placement", placements, 4, is_text=True),
                Column("changed", changed, 3),
            ],
            complete="--format json",
        )
    console = make_console()
    for one in found:
        if one["problem"]:
            console.print(f"damaged: {one['path']}: {one['problem']}")


def _ago(changed: float | None) -> str:
    if changed is None:
        return ""
    seconds = max(0, int(time.time() - changed))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
