import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.diagram import cells, to_svg, to_text
from search_spaces.kinds.block_kinds import block_kind, block_kinds
from search_spaces.placement import Placement

SVG = "{http://www.w3.org/2000/svg}"
PLACEMENTS = st.lists(
    st.text("CMPS", min_size=1, max_size=6), min_size=1, max_size=5
).map(lambda stages: Placement(tuple(stages)))


def luminance(colour):
    """Relative luminance by WCAG 2.1."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@given(PLACEMENTS)
def test_stages_are_columns_and_blocks_go_down(placement):
    laid_out = cells(placement)
    assert [cell.slot.letter for cell in laid_out] == list(placement.letters)
    for cell in laid_out:
        same_stage = [c for c in laid_out if c.slot.stage == cell.slot.stage]
        assert {c.x for c in same_stage} == {cell.x}
        assert [c.y for c in same_stage] == sorted({c.y for c in same_stage})
    columns = [c.x for c in laid_out if c.slot.block == 1]
    assert columns == sorted(set(columns))


@given(PLACEMENTS)
def test_svg_has_one_coloured_block_for_every_letter(placement):
    root = ElementTree.fromstring(to_svg(placement))
    fills = [rect.get("fill") for rect in root.iter(f"{SVG}rect")]
    for kind in block_kinds():
        there = placement.letters.count(kind.letter)
        in_legend = kind.letter in "CM" or there > 0
        assert fills.count(kind.colour) == there + in_legend
    assert str(placement) in root.find(f"{SVG}title").text


@given(PLACEMENTS)
def test_svg_stays_inside_its_frame(placement):
    root = ElementTree.fromstring(to_svg(placement))
    width, height = float(root.get("width")), float(root.get("height"))
    for rect in root.iter(f"{SVG}rect"):
        assert float(rect.get("x", 0)) + float(rect.get("width")) <= width
        assert float(rect.get("y", 0)) + float(rect.get("height")) <= height


@given(PLACEMENTS)
def test_terminal_picture_reads_back_without_colour(placement):
    lines = to_text(placement).plain.splitlines()
    head, rows = lines[0], lines[1 : 1 + max(placement.depths)]
    middles = [
        head.index(f"stage {n}") + 3 for n in range(1, len(placement.stages) + 1)
    ]
    stages = []
    for middle in middles:
        window = [row[middle - 2 : middle + 3] for row in rows]
        stages.append("".join(c for cut in window for c in cut if c in "CMPS"))
    assert tuple(stages) == placement.stages


def test_terminal_picture_colours_the_kinds():
    styles = {str(span.style) for span in to_text(Placement.parse("CMPS")).spans}
    assert styles == {f"{kind.ink} on {kind.colour}" for kind in block_kinds()}


@pytest.mark.parametrize("kind", block_kinds())
def test_letters_stand_out_from_their_block(kind):
    light, dark = sorted((luminance(kind.colour), luminance(kind.ink)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_conv_and_msa_differ_in_brightness_too():
    colours = [block_kind(letter).colour for letter in "CM"]
    light, dark = sorted(map(luminance, colours), reverse=True)
    assert (light + 0.05) / (dark + 0.05) > 2
