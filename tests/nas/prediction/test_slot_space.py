import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.prediction.slot_space import SlotSpace
from search_spaces.errors import InputError

spaces = st.lists(
    st.lists(st.sets(st.sampled_from("CMPS"), min_size=1), min_size=1, max_size=2),
    min_size=1,
    max_size=3,
).map(
    lambda stages: SlotSpace(
        tuple(map(len, stages)),
        tuple("".join(sorted(slot)) for stage in stages for slot in stage),
    )
)


@settings(deadline=None, max_examples=50)
@given(spaces)
def test_printing_and_parsing_and_coding_are_inverses(space):
    if space.size > 1:  # one placement, e.g. CM, reads like a list of letters
        assert SlotSpace.parse(str(space), space.depths) == space
    codes = np.concatenate(list(space.enumerate()))
    names = space.decode(codes)
    assert len(set(names)) == space.size == len(codes)
    assert (space.encode(names) == codes).all()
    assert all(space.contains(name) for name in names)


def test_space_of_placements_holds_every_letter_seen_in_a_slot():
    space = SlotSpace.of_placements([("CM", "C"), ("CP", "M"), ("CC", "C")])
    assert space == SlotSpace((2, 1), ("C", "CMP", "CM"))
    assert not space.contains("MM-C")
    assert not space.contains("CMC")


def test_letters_alone_are_the_choices_of_every_slot():
    assert SlotSpace.parse("CMP", (2, 1)).letters == ("CMP",) * 3
    assert SlotSpace.parse("CM", (2,)).size == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("C[CM]", "depths"),
        ("C[]-C", "in brackets"),
        ("C[CM-C", "in brackets"),
        ("CX-C", "'X'"),
        ("[CX]C-C", "'X'"),
        ("", "in brackets"),
    ],
)
def test_a_wrong_space_is_refused(text, said):
    with pytest.raises(InputError, match=said):
        SlotSpace.parse(text, (2, 1))


def test_large_spaces_are_walked_in_chunks():
    space = SlotSpace((20,), ("CM",) * 20)
    first = next(space.enumerate())
    assert space.size == 2**20
    assert len(first) == 65_536
