"""How commands take the names of studies and of figures."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem


class StudyName(click.ParamType):  # type: ignore[type-arg]  # generic since 8.5
    """A study's directory, its name under ``runs/``, or ``latest``."""

    name = "study"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Find the directory; whether it is a study, the command says."""
        from nas.study_path import find_study

        return find_study(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names of studies in ``runs/``, else any path."""
        from nas.study_path import CONFIG_FILE, LATEST, RUNS

        names = [one.parent.name for one in RUNS.glob(f"*/{CONFIG_FILE}")]
        return _completed([*sorted(names), LATEST], incomplete)


STUDY = StudyName()


class ConfigName(click.ParamType):  # type: ignore[type-arg]
    """A preset, the path of a YAML file, or a study; the command looks it up."""

    name = "config"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Leave it as it is."""
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Presets, else any path."""
        from nas.commands.paths import PRESETS

        return _completed(
            sorted(one.stem for one in PRESETS.glob("*.yaml")), incomplete
        )


CONFIG = ConfigName()


def _completed(names: list[str], incomplete: str) -> list[CompletionItem]:
    """Those names that begin so; the shell completes paths if there is none."""
    found = [CompletionItem(one) for one in names if one.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


class FigureFile(click.ParamType):  # type: ignore[type-arg]
    """A file that a figure is drawn into, looked at before anything is computed."""

    name = "file"

    def __init__(self, *formats: str) -> None:
        self._formats = formats

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Refuse files of other kinds and in directories that are not there."""
        from nas.figures.figure_file import FORMATS, require_figure_file

        require_figure_file(Path(value), self._formats or FORMATS)
        return Path(value)


FIGURE, PICTURE = FigureFile(), FigureFile(".svg")
