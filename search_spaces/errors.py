"""The one error class for input that a user can correct."""

import difflib
import reprlib
from collections.abc import Iterable


class InputError(ValueError):
    """The user's input was wrong.

    The message is one line that states the rule, what was got and what is
    allowed. The command line prints it and exits with code 2.

    Args:
        message: The line.
        hint: What to type on the command line instead, for messages that are raised
            to Python as well: only the command line prints it.

    Attributes:
        hint: As given.
    """

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def within(self, where: str) -> "InputError":
        """The same problem with the place where it is put before it.

        Args:
            where: For example the name of a file.

        Returns:
            A new error with the same hint.
        """
        return InputError(f"{where}: {self}", hint=self.hint)


class FeatureMapError(RuntimeError):
    """A block passes something that is no feature map of the kind it should."""


def shown(value: object) -> str:
    """A value as a message quotes it: its ``repr``, cut in the middle if it is long.

    Args:
        value: What was got.

    Returns:
        At most about 100 characters of a text, or six items of a collection.
    """
    return _SHORT.repr(value)


def one_line(error: object, limit: int | None = None) -> str:
    """What an error says, without its line breaks.

    Args:
        error: The error; those of other people's code may say a page.
        limit: Characters at most.
    """
    return " ".join(str(error).split())[:limit]


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A hint for a name that is probably a typo.

    Args:
        name: What was got.
        known: The names there are.

    Returns:
        ``did you mean 'data'?``; empty if no name is near.
    """
    near = difflib.get_close_matches(str(name)[:100], list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


_SHORT = reprlib.Repr()  # its own arguments came with Python 3.12
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100
_SHORT.maxlist = _SHORT.maxtuple = 12
_SHORT.maxdict = 8
