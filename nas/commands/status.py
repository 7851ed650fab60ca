"""`nas status`: how far a search is."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas.commands.naming import STUDY
from nas.commands.options import format_option
from nas.commands.problems import say_problems
from nas.human_number import human_number
from nas.terminal import say
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.study.status import StudyStatus


@click.command()
@click.argument("study", type=STUDY)
@format_option()
@click.option(
    "--write-table", is_flag=True, help="Also write trials.parquet and trials.csv."
)
@click.option(
    "--watch",
    is_flag=True,
    help="Show it again every few seconds until the search has ended.",
)
@click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1),
    help="Seconds between two looks of --watch.  [5]",
)
def command(
    study: Path, output: str, write_table: bool, watch: bool, every: float | None
) -> None:
    r"""Show counts, the best so far and the time left of a study, live or finished.

    \b
    nas status runs/photos
    nas status latest --watch
    nas status latest --watch --format json     one line of JSON at each look
    """
    from nas.study.status import StudyStatus, to_json
    from nas.study.study import Study

    if every is not None and not watch:
        raise InputError("--every is for --watch")
    opened = None
    while True:
        if (status := StudyStatus.of_start(study)) is None:
            opened = opened or Study.open(study)
            status = StudyStatus.of(opened)
        text = to_json(status) if output == "json" else "\n".join(_lines(status, study))
        if watch and output == "json":
            text = json.dumps(status.to_dict())
        if watch and output == "table" and sys.stdout.isatty():
            click.clear()
        say(text)
        if not watch or status.state not in ("starting", "running"):
            break
        time.sleep(5 if every is None else every)
    if write_table:
        (opened or Study.open(study)).write_table()
    if opened is not None and output == "table":
        say_problems(opened)


def _lines(status: "StudyStatus", study: Path) -> list[str]:
    from nas.study.remaining_time import duration_text

    lines: list[str] = []
    add = lines.append
    ended = sum(status.counts[s] for s in ("complete", "failed", "pruned"))
    head = f"{status.name}: {status.state}"
    if status.state != "starting":
        head += f", {ended} of {status.num_trials} trials ended"
    if status.driver:
        head += f", driven by process {status.driver}"
    if status.seconds_left is not None:
        head += f", about {duration_text(status.seconds_left)} left"
    add(head)
    counts = [
        f"{count} {state}"
        if state != "running" or status.state == "running"
        else f"{count} to be done again"
        for state, count in status.counts.items()
        if count
    ]
    if counts:
        add(f"  {', '.join(counts)}")
    for count, what in (
        (status.num_lost, "trial{} lost with a worker and queued again"),
        (status.num_repeated, "proposal{} known already, not trained again"),
        (status.num_refused, "proposal{} against a constraint, not trained"),
    ):
        if count:
            add(f"  {count} {what.format('s' * (count != 1))}")
    for metric, trial in status.best.items():
        add(
            f"  best {metric}: {human_number(trial.metrics[metric])} "
            f"(trial {trial.number}, {trial.placement})"
        )
    for line in status.preparing:
        add(f"  preparing: {line}")
    for one in status.running:
        place = f" on {one.host} (pid {one.pid})" if one.host else ""
        epochs = ""
        if one.wanted_epochs:
            epochs = f"epoch {one.epochs}/{one.wanted_epochs}"
            for name, what in (("val_accuracy", "accuracy"), ("val_loss", "nll")):
                value = one.last.get(name)
                if value is not None and value == value:
                    epochs += f" {what} {value:.4g}"
            epochs += ", "
        add(
            f"  running: trial {one.number} {one.placement} "
            f"{epochs}for {duration_text(one.seconds)}{place}"
        )
    for reason, count in status.failures.items():
        add(f"  failed ({count}): {reason}")
    if status.state == "interrupted":
        add(f"  go on with: nas resume {study}")
    return lines
