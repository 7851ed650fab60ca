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
def command(study: Path, path: Path | None) -> None:
    """Write one HTML page about STUDY that opens anywhere, without a network."""
    from nas.reporting.page import write_report
    from nas.study.study import Study

    opened = Study.open(study)
    say(write_report(opened, study / "report.html" if path is None else path))
