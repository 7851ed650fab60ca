"""A kind of block that is known by name only: read from a study, not installed here."""

from typing import TYPE_CHECKING

from search_spaces.errors import InputError
from search_spaces.kinds.block_kind import BlockKind

if TYPE_CHECKING:
    from torch import nn


class RecordedKind(BlockKind):
    """Enough to show placements of a study whose plugin is not imported.

    Args:
        letter: Its letter.
        name: Its name.
        colour: ``#rrggbb``.
    """

    letter = "?"
    name = "unknown"
    colour = "#999999"

    def __init__(self, letter: str, name: str, colour: str) -> None:
        self.letter = letter  # type: ignore[misc]  # one instance per kind
        self.name = name  # type: ignore[misc]
        self.colour = colour  # type: ignore[misc]

    @property
    def block(self) -> "type[nn.Module]":
        """There is none.

        Raises:
            InputError: Always.
        """
        raise InputError(
            f"blocks of the kind {self.letter} ({self.name}) are known by name only; "
            "import the module that registers it (`plugins` of the study's config)"
        )
