import pytest

from nas.ledger.note_texts import checked_note, checked_tags, notes_of
from search_spaces.errors import InputError


def test_damaged_attributes_are_no_notes():
    attributes = {
        "note:1": {"note": " fine ", "tags": ["a", "a ", ""]},
        "note:2": "text",
        "note:3": {"note": 3},
        "note:x": {"note": "no number"},
        "note:": {"note": "none"},
        "note:4": {"note": "", "tags": []},
        "num_trials": 7,
    }
    assert notes_of(attributes) == {1: {"note": "fine", "tags": ["a"]}}


@pytest.mark.parametrize("note", [None, 3, "x" * 1501])
def test_what_is_no_note(note):
    with pytest.raises(InputError, match="1500 characters"):
        checked_note(note)


@pytest.mark.parametrize("tags", ["a", [1], ["x" * 33], list("abcdefghi")])
def test_what_are_no_tags(tags):
    with pytest.raises(InputError, match="tags"):
        checked_tags(tags)
