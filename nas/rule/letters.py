"""Placements as letters alone, whatever the blocks are that they stand for.

A table may hold kinds of blocks that a plugin registered; reading it must run nobody's
code, so here a letter is a letter.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search_spaces.errors import InputError

Letters = npt.NDArray[np.str_]

KNOWN = "CMPS"
"""Conv, MSA, pooling, squeeze-and-excitation: letters that any table may hold."""


Floats = npt.NDArray[np.float64]


def checked_letter(letter: str) -> str:
    """Check the letter to compare with C.

    Raises:
        InputError: It is not one capital letter, or it is C.
    """
    if len(letter) != 1 or not "A" <= letter <= "Z" or letter == "C":
        raise InputError(
            "the letter to compare with C is one other capital letter, e.g. M; "
            f"got {letter!r}"
        )
    return letter


def checked_placement(text: str, letter: str = "M") -> str:
    """Check that a text is a placement.

    Args:
        text: For example ``"CCC-CCM"``.
        letter: A letter that is allowed beside the known ones.

    Returns:
        The text.

    Raises:
        InputError: A stage is empty or has another letter.
    """
    allowed = KNOWN if letter in KNOWN else KNOWN + letter
    shown = text if len(text) <= 80 else text[:77] + "..."
    for stage, blocks in enumerate(text.split("-"), start=1):
        if not blocks:
            raise InputError(
                "every stage of a placement needs at least one block; "
                f"stage {stage} of {shown!r} is empty"
            )
        for block, found in enumerate(blocks, start=1):
            if found not in allowed:
                raise InputError(
                    f"a block is one of the letters {', '.join(allowed)}; "
                    f"got {found!r} at stage {stage}, block {block} of {shown!r}",
                    hint="--letter X allows X too",
                )
    return text


def letters_of(placements: Sequence[object]) -> Letters:
    """The letters of placements of the same depths, ``(placements, slots)``."""
    joined = np.array([str(one).replace("-", "") for one in placements])
    width = joined.dtype.itemsize // 4
    return joined.view("U1").reshape(len(joined), width)


def bits_of(letters: Letters, kinds: Sequence[str]) -> tuple[Floats, ...]:
    """Where each kind of block stands: ``(placements, slots)`` of 0 and 1 for each."""
    return tuple((letters == kind).astype(float) for kind in kinds)


def indicators(kinds: Sequence[Floats]) -> Floats | None:
    """A column for each slot and kind of block that varies there.

    Args:
        kinds: From :func:`bits_of`, the compared kind left out.

    Returns:
        ``(placements, columns)``; ``None`` if there are no such kinds.
    """
    if not kinds:
        return None
    columns = np.concatenate(kinds, axis=1)
    return np.asarray(columns[:, np.ptp(columns, axis=0) > 0])
