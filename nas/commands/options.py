"""Options that several commands share, with the same words everywhere."""

from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def format_option() -> Decorator:
    """``--format table|json``, passed as ``output``."""
    return click.option(
        "--format",
        "output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
    )


def set_option(help_text: str) -> Decorator:
    """``--set KEY.PATH=VALUE``, any number of times, passed as ``overrides``.

    Args:
        help_text: What may be changed, with an example.
    """
    return click.option(
        "--set",
        "overrides",
        metavar="KEY.PATH=VALUE",
        multiple=True,
        help=help_text,
    )
