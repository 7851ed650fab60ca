"""`nas resume`: go on where a search stopped, or extend a finished one."""

from pathlib import Path

import click

from nas.commands.naming import STUDY
from nas.terminal import say


@click.command()
@click.argument("study", type=STUDY)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    help="New number of trials in all, to extend a search.",
)
@click.option(
    "--address",
    metavar="local|auto|ray://HOST:PORT",
    help="Run on this Ray cluster.  [as before]",
)
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(study: Path, trials: int | None, address: str | None, quiet: bool) -> None:
    r"""Go on with a search that was killed, interrupted or finished.

    Trials that were running when it stopped are queued again, and continue from
    their last checkpoint. Nothing that is finished is done twice.

    \b
    nas resume runs/photos
    nas resume latest --trials 200
    """
    from nas.execution.cluster_address import check_somebody_listens
    from nas.search_summary import leave_if_over
    from nas.study.study import Study

    # What is wrong here is answered before torch, Ray and Optuna are imported.
    found = Study.open(study)
    found.check_number(trials)
    if address is not None:
        check_somebody_listens(address)
    measured = any(trial.state == "complete" for trial in found.trials())
    if measured and leave_if_over(found, trials, quiet=quiet):
        say(found.path)
        return
    from nas.search_run import SearchInterrupted, resume

    try:
        opened = resume(study, trials, address, quiet=quiet)
    except SearchInterrupted as stop:
        say(str(stop), err=True)
        raise
    say(opened.path)
