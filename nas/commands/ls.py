"""`nas ls`: which studies there are."""

import json
import time
from pathlib import Path
from typing import Any

import click

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
        raise InputError(
            f"nas ls lists the studies below a directory; there is no {directory}",
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
    from rich.table import Table

    from nas.pareto.table import format_value

    grid = Table()
    grid.add_column("study", overflow="fold")
    grid.add_column("state")
    grid.add_column("trials", justify="right")
    grid.add_column("best", overflow="fold")
    grid.add_column("changed", justify="right", no_wrap=True)
    for one in found:
        if one["problem"]:
            grid.add_row(one["path"], "damaged", "", one["problem"], "")
            continue
        trials = f"{one['num_ended']}/{one['num_trials']}"
        if one["num_failed"]:
            trials += f", {one['num_failed']} failed"
        best = one["best"] or {}
        text = ""
        if best:
            text = f"{best['metric']} {format_value(best['value'])} {best['placement']}"
        grid.add_row(one["path"], one["state"], trials, text, _ago(one["changed"]))
    make_console(80).print(grid)


def _ago(changed: float | None) -> str:
    if changed is None:
        return ""
    seconds = max(0, int(time.time() - changed))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
