"""How commands take the names of studies and of figures."""

from pathlib import Path
from typing import Any

import click


class StudyName(click.ParamType):  # type: ignore[type-arg]  # generic since 8.5
    """A study's directory, its name under ``runs/``, or ``latest``."""

    name = "study"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Find the directory; whether it is a study, the command says."""
        from nas.study_path import find_study

        return find_study(value)


STUDY = StudyName()


class FigureFile(click.ParamType):  # type: ignore[type-arg]
    """A file that a figure is drawn into, looked at before anything is computed."""

    name = "file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Refuse files of other kinds and in directories that are not there."""
        from nas.figures.figure_file import require_figure_file

        require_figure_file(Path(value))
        return Path(value)


FIGURE = FigureFile()
