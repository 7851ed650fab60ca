"""The registered kinds of blocks, by letter."""

import re

from search_spaces.errors import InputError
from search_spaces.kinds.block_kind import BlockKind
from search_spaces.kinds.conv import ConvKind
from search_spaces.kinds.msa import MSAKind
from search_spaces.kinds.pool import PoolKind
from search_spaces.kinds.recorded import RecordedKind
from search_spaces.kinds.squeeze_excite import SqueezeExciteKind

_KINDS: dict[str, BlockKind] = {
    kind.letter: kind
    for kind in (ConvKind(), MSAKind(), PoolKind(), SqueezeExciteKind())
}


def block_kind(letter: str) -> BlockKind:
    """The kind that a letter stands for.

    Args:
        letter: One letter of a placement.

    Raises:
        InputError: No kind of that letter is registered.
    """
    if letter not in _KINDS:
        raise InputError(f"a block is {described_kinds()}; got {letter!r}")
    return _KINDS[letter]


def block_kinds() -> tuple[BlockKind, ...]:
    """All registered kinds, in the order in which they were registered."""
    return tuple(_KINDS.values())


def is_block_kind(letter: str) -> bool:
    """Whether a kind of that letter is registered."""
    return letter in _KINDS


def described_kinds() -> str:
    """The letters and what they stand for, for messages."""
    *others, last = [f"{kind.letter} ({kind.name})" for kind in _KINDS.values()]
    return f"{', '.join(others)} or {last}"


def register_block_kind(kind: BlockKind) -> BlockKind:
    """Make a kind of block known.

    Placements with its letter are then searched, costed, drawn, measured and exported.

    Args:
        kind: The kind.

    Returns:
        The same kind.

    Raises:
        InputError: Its letter or colour is none, or the letter is taken.
    """
    if not re.fullmatch("[A-Z]", str(kind.letter)):
        raise InputError(
            f"the letter of a kind of block is one of A to Z, got {kind.letter!r}"
        )
    if not re.fullmatch("#[0-9a-fA-F]{6}", str(kind.colour)):
        raise InputError(
            f"the colour of a kind of block is written #rrggbb, got {kind.colour!r}"
        )
    known = _KINDS.get(kind.letter)
    if isinstance(known, RecordedKind):
        known = None
    if known is not None and type(known) is not type(kind):
        raise InputError(
            f"the letter {kind.letter!r} is taken by {known.name}; "
            f"taken: {', '.join(_KINDS)}"
        )
    _KINDS[kind.letter] = kind
    return kind


def remember_block_kinds(recorded: object) -> None:
    """Know kinds by name that a study has recorded and nobody has registered here.

    Nothing of the study is imported; what is no kind is passed over.

    Args:
        recorded: A list of ``{letter, name, colour}``, as a study keeps it.
    """
    for one in recorded if isinstance(recorded, list) else ():
        if not isinstance(one, dict):
            continue
        letter, name, colour = (one.get(key) for key in ("letter", "name", "colour"))
        if (
            isinstance(letter, str)
            and re.fullmatch("[A-Z]", letter)
            and letter not in _KINDS
            and isinstance(name, str)
            and re.fullmatch("[ -~]{1,40}", name)
            and isinstance(colour, str)
            and re.fullmatch("#[0-9a-fA-F]{6}", colour)
        ):
            _KINDS[letter] = RecordedKind(letter, name, colour)


def unregister_block_kind(letter: str) -> None:
    """Forget a kind that was registered; the project's own stay.

    Args:
        letter: Its letter.

    Raises:
        InputError: It is one of the project's own, or unknown.
    """
    if letter in "CMPS" or letter not in _KINDS:
        raise InputError(
            f"only kinds that were registered can be forgotten, got {letter!r}"
        )
    del _KINDS[letter]
