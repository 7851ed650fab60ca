"""What a note on a trial may be, and how notes are found among a study's attributes."""

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.errors import InputError

ATTRIBUTE = "note:"
"""Start of the names of the attributes; the number of the trial follows."""

MAX_NOTE = 1500
"""Characters of a note: with the tags it fits one attribute of a database (2,045)."""

MAX_TAGS = 8
MAX_TAG = 32
"""Characters of a tag; our choice, eight of them fit beside a note."""


def checked_note(note: Any) -> str:
    """A note that can be kept.

    Raises:
        InputError: It is not a text, or too long.
    """
    if not isinstance(note, str) or len(note) > MAX_NOTE:
        raise InputError(f"a note is a text of at most {MAX_NOTE} characters")
    return note.strip()


def checked_tags(tags: Any) -> list[str]:
    """Tags that can be kept: each once, without spaces around them.

    Raises:
        InputError: They are not a list of short texts.
    """
    fine = isinstance(tags, Sequence) and not isinstance(tags, str)
    if not fine or not all(isinstance(t, str) and len(t) <= MAX_TAG for t in tags):
        raise InputError(f"tags are texts of at most {MAX_TAG} characters")
    found = list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if len(found) > MAX_TAGS:
        raise InputError(f"a trial has at most {MAX_TAGS} tags, got {len(found)}")
    return found


def notes_of(attributes: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """The notes among the attributes of a study; what is damaged is left out.

    Args:
        attributes: User attributes of the study.

    Returns:
        ``note`` and ``tags`` by number of the trial.
    """
    found: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        number = name.removeprefix(ATTRIBUTE)
        if number == name or not number.isdecimal() or not isinstance(value, Mapping):
            continue
        try:
            note = checked_note(value.get("note", ""))
            tags = checked_tags(value.get("tags", []))
        except InputError:
            continue
        if note or tags:
            found[int(number)] = {"note": note, "tags": tags}
    return found
