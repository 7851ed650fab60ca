"""`nas report`: one self-contained HTML page of a study."""

from pathlib import Path

import click

from nas.commands.naming import STUDY
from nas.terminal import say


@click.command()
@click.argument("study", type=STUDY)
@click.option(
    "--to",
    "path",
    metavar="FILE.html",
    type=click.Path(path_type=Path),
    help="File to write. Default: report.html in the study.",
)
@click.option(
    "--images/--no-images",
    default=True,
    show_default=True,
    help="A dozen images of the data set on the page, if they are there.",
)
def command(study: Path, path: Path | None, images: bool) -> None:
    r"""Write one HTML page about STUDY that opens anywhere, without a network.

    \b
    nas report runs/photos --to photos.html
    """
    say("loading", err=True)
    from nas.reporting.page import write_report
    from nas.study.study import Study

    def tell(what: str) -> None:
        say(what, err=True)

    opened = Study.open(study)
    file = study / "report.html" if path is None else path
    say(write_report(opened, file, images=images, tell=tell))
