"""The one place where text reaches a terminal: control characters are made visible.

Names, placements and errors may come from a stranger's study. Written out as they are,
an escape sequence in them would rewrite the screen, and a bidirectional override would
show a name backwards. Everything in ``nas`` that writes to the terminal does it here.
"""

import codecs
import io
import os
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_OF_A_PIPE = 80
"""Columns where the output is no terminal (our choice: fits every page and log)."""

_PLAINER = {
    "▓": "#", "░": ".", "±": "+-", "−": "-", "–": "-", "·": ".", "×": "x", "…": "...",
    "≈": "~", "≤": "<=", "≥": ">=", "↑": "^", "↓": "v",
    **dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True)),
}  # fmt: skip
"""What stands for a character where the encoding of the output lacks it."""

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # change the direction of writing
    "\u2028\u2029\ud800-\udfff]"  # other line ends; halves of characters
)


def printable(text: str) -> str:
    r"""A text whose control characters are written as ``\x1b`` or ``\u202e``.

    Args:
        text: Anything; tabs and line feeds stay.

    Returns:
        The text; itself if there is nothing to hide.
    """
    return _CONTROL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def write_what_can_be_written() -> None:
    """Let a terminal of another encoding than UTF-8 show what is nearest, or ``?``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainer")


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAINER.get(char, "?") for char in lacking), error.end


codecs.register_error("plainer", _plainer)


def say(text: object = "", *, err: bool = False) -> None:
    """Write a line.

    Args:
        text: What to write.
        err: To stderr, for progress, hints and errors.
    """
    click.echo(printable(str(text)), err=err)


def make_console(*, err: bool = False) -> "Console":
    """A console for tables: no markup is read out of texts, nothing is escaped twice.

    It has :data:`WIDTH_OF_A_PIPE` columns where the output is no terminal, which has no
    width of its own, and the variable COLUMNS does not say.

    Args:
        err: Write to stderr.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class SafeConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            # Before it is measured, so that columns are as wide as what is shown.
            text = (
                printable(text).encode(self.encoding, "plainer").decode(self.encoding)
            )
            return super().render_str(text, **options)

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                if segment.control is None and _CONTROL.search(segment.text):
                    segment = Segment(printable(segment.text), segment.style)
                yield segment

        def on_broken_pipe(self) -> None:
            raise  # the error itself: rich would exit with code 1

    stream: TextIO = sys.stderr if err else sys.stdout
    options: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    # rich itself asks the terminal, or COLUMNS if that is set
    is_told = stream.isatty() or os.environ.get("COLUMNS", "").isdigit()
    width = None if is_told else WIDTH_OF_A_PIPE
    return SafeConsole(file=stream, width=width, **options)
