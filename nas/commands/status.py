"""`nas status`: how far a search is."""

from pathlib import Path

import click

from nas.commands.naming import STUDY
from nas.terminal import say


@click.command()
@click.argument("study", type=STUDY)
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
)
@click.option(
    "--write-table", is_flag=True, help="Also write trials.parquet and trials.csv."
)
def command(study: Path, output: str, write_table: bool) -> None:
    """Show counts, the best so far and the time left of a study, live or finished."""
    from nas.study.progress import duration_text
    from nas.study.status import StudyStatus, to_json
    from nas.study.study import Study

    opened = Study.open(study)
    if write_table:
        opened.write_table()
    status = StudyStatus.of(opened)
    if output == "json":
        say(to_json(status))
        return
    ended = sum(status.counts[s] for s in ("complete", "failed", "pruned"))
    head = f"{status.name}: {status.state}, {ended} of {status.num_trials} trials ended"
    if status.driver:
        head += f", driven by process {status.driver}"
    if status.seconds_left is not None:
        head += f", about {duration_text(status.seconds_left)} left"
    say(head)
    say(
        "  "
        + ", ".join(
            f"{count} {state}"
            if state != "running" or status.state == "running"
            else f"{count} to be done again"
            for state, count in status.counts.items()
            if count
        )
    )
    for count, what in (
        (status.num_lost, "lost with their worker and queued again"),
        (status.num_repeated, "proposals known already, not trained again"),
        (status.num_refused, "proposals against a constraint, not trained"),
    ):
        if count:
            say(f"  {count} {what}")
    for metric, trial in status.best.items():
        say(
            f"  best {metric}: {trial.metrics[metric]:.6g} "
            f"(trial {trial.number}, {trial.placement})"
        )
    for one in status.running:
        place = f" on {one.host} (pid {one.pid})" if one.host else ""
        say(
            f"  running: trial {one.number} {one.placement} "
            f"for {duration_text(one.seconds)}{place}"
        )
    for reason, count in status.failures.items():
        say(f"  failed ({count}): {reason}")
    for problem in status.problems:
        say(f"warning: {problem}", err=True)
    if status.state == "interrupted":
        say(f"  go on with: nas resume {study}")
