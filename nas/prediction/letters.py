"""Which letters a placement may have: the one place where prediction asks."""

from search_spaces.errors import InputError

KNOWN_LETTERS = "CMPS"
"""``C`` Conv block, ``M`` MSA, ``P`` average pooling, ``S`` squeeze-and-excitation."""


def parse_stages(text: str, known: str = KNOWN_LETTERS) -> tuple[str, ...]:
    """Split a placement into stages; letters are names here, nothing is built.

    Args:
        text: For example ``"CMC-CPM"``.
        known: Letters that may occur.

    Returns:
        One string of letters a stage.

    Raises:
        InputError: A stage is empty or a letter is not registered.
    """
    stages = tuple(text.split("-"))
    for number, stage in enumerate(stages, start=1):
        if not stage:
            raise InputError(
                "a placement has one letter a block and stages joined by '-', e.g. "
                f"'CC-CM'; stage {number} of {text!r} is empty"
            )
        for block, letter in enumerate(stage, start=1):
            if letter not in known:
                raise InputError(
                    f"a block is one of the registered letters {', '.join(known)}; got "
                    f"{letter!r} at stage {number}, block {block} of {text!r}"
                )
    return stages
