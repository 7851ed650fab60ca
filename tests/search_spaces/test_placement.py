import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import InputError, Placement

stages = st.lists(st.text("CM", min_size=1, max_size=9), min_size=1, max_size=5)


@given(stages)
def test_parse_and_print_are_inverse(letters):
    text = "-".join(letters)
    placement = Placement.parse(text)
    assert str(placement) == text
    assert Placement.parse(str(placement)) == placement
    assert hash(Placement(tuple(letters))) == hash(placement)


@given(stages)
def test_counts_agree_with_the_text(letters):
    placement = Placement(tuple(letters))
    assert placement.depths == tuple(map(len, letters))
    assert placement.num_blocks == sum(map(len, letters))
    assert placement.num_msas == "".join(letters).count("M")
    assert placement.msa_counts == tuple(stage.count("M") for stage in letters)
    slots = list(placement.slots())
    assert "".join(slot.letter for slot in slots) == placement.letters
    for slot in slots:
        assert letters[slot.stage - 1][slot.block - 1] == slot.letter


@given(st.text(max_size=12).filter(lambda t: any(c not in "CMPS-" for c in t)))
def test_other_letters_are_refused(text):
    with pytest.raises(InputError, match=r"C \(Conv\), M \(MSA\)|at least one block"):
        Placement.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "stage 1 of '' is empty"),
        ("CC--CM", "stage 2 of 'CC--CM' is empty"),
        ("CC-", "stage 2 of 'CC-' is empty"),
        ("CC-CX", "got 'X' at stage 2, block 2 of 'CC-CX'"),
        ("cc-cm", "got 'c' at stage 1, block 1"),
        ("CC CM", "got ' ' at stage 1, block 3"),
        (7, "written as text such as 'CC-CM', got int 7"),
    ],
)
def test_errors_name_rule_place_and_allowed(text, message):
    with pytest.raises(InputError) as caught:
        Placement.parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_alternet_50_of_the_paper():
    placement = Placement.alternating((3, 4, 6, 4), (0, 1, 3, 2))
    assert str(placement) == "CCC-CCCM-CMCMCM-CMCM"


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.data())
def test_alternating_stands_at_n_minus_2k_and_never_drops_an_msa(depths, data):
    counts = [data.draw(st.integers(0, depth // 2)) for depth in depths]
    placement = Placement.alternating(depths, counts)
    assert placement.depths == tuple(depths)
    assert placement.msa_counts == tuple(counts)
    for depth, count, stage in zip(depths, counts, placement.stages, strict=True):
        expected = {depth - 2 * k for k in range(count)}  # blocks from 1
        assert {i + 1 for i, letter in enumerate(stage) if letter == "M"} == expected


def test_alternating_refuses_what_the_reference_truncates():
    with pytest.raises(InputError, match="room for 0 to 1 alternating MSAs, got 2"):
        Placement.alternating((3,), (2,))
    with pytest.raises(InputError, match="one MSA count per stage"):
        Placement.alternating((3, 3), (1,))


@given(stages, st.data())
def test_replace_changes_one_slot(letters, data):
    placement = Placement(tuple(letters))
    slot = data.draw(st.sampled_from(list(placement.slots())))
    other = "C" if slot.letter == "M" else "M"
    changed = placement.replace(slot.stage, slot.block, other)
    pairs = zip(placement.letters, changed.letters, strict=True)
    assert sum(a != b for a, b in pairs) == 1
    assert changed.replace(slot.stage, slot.block, slot.letter) == placement


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ((0, 1, "M"), "stage counts from 1 to 2"),
        ((3, 1, "M"), "stage counts from 1 to 2"),
        ((1, 3, "M"), "block counts from 1 to 2 in stage 1"),
        ((1, 1, "MM"), "got 'MM'"),
        ((1, 1, "x"), "got 'x'"),
    ],
)
def test_replace_refuses_other_slots(where, message):
    with pytest.raises(InputError, match=message):
        Placement.parse("CC-CM").replace(*where)
