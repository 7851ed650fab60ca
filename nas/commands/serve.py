"""`nas serve`: the pages of studies, live, on this machine."""

import time
from pathlib import Path

import click

from nas.commands.naming import STUDY
from nas.terminal import say


@click.command()
@click.argument("studies", metavar="STUDY...", type=STUDY, nargs=-1, required=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8620,
    show_default=True,
    help="0 takes any that is free.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Any but a loopback address needs --token.",
)
@click.option(
    "--token",
    envvar="NAS_SERVE_TOKEN",
    default="",
    help="A secret that browsers must bring; better given in NAS_SERVE_TOKEN, because "
    "other users see the options of a command.",
)
@click.option("--edit", is_flag=True, help="Allow notes and tags on trials.")
def command(
    studies: tuple[Path, ...], port: int, host: str, token: str, edit: bool
) -> None:
    r"""Show STUDY, or several side by side, in a browser while they are searched.

    Only reads, unless --edit allows notes. Ends with Ctrl-C; the searches go on.

    \b
    nas serve runs/photos
    nas serve runs/a runs/b --edit
    """
    for study in studies:
        _await_start(study)
    from nas.serving.server import StudyServer

    say("loading", err=True)
    with StudyServer(studies, host, port, token=token, edit=edit) as server:
        say(server.url)
        say("Ctrl-C ends it; a search goes on.", err=True)
        server.serve_forever()


def _await_start(study: Path) -> None:
    """Wait until a search that has just begun has written what it will do."""
    from nas.study.status import StudyStatus

    is_told = False
    while StudyStatus.of_start(study) is not None:
        if not is_told:
            say(f"waiting: the search in {study} is starting", err=True)
            is_told = True
        time.sleep(0.2)
