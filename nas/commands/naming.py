"""How commands take the names of studies."""

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
