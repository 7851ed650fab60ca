"""`nas resume`: go on where a search stopped, or extend a finished one."""

import click


@click.command()
@click.argument("study", type=click.Path())
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
def command(study: str, trials: int | None, address: str | None, quiet: bool) -> None:
    """Go on with a search that was killed, interrupted or finished.

    Trials that were running when it stopped are queued again, and continue from
    their last checkpoint. Nothing that is finished is done twice.
    """
    from nas.search_run import SearchInterrupted, resume

    try:
        opened = resume(study, trials, address, quiet=quiet)
    except SearchInterrupted as stop:
        click.echo(str(stop), err=True)
        raise
    click.echo(opened.path)
