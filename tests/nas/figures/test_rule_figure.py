from dataclasses import replace

import numpy as np
import pytest
from rule_plants import free_design, table

from nas.figures.rule import RIVALS, draw, rule_figure, to_matplotlib
from nas.rule.rule_test import rule_test
from search_spaces.errors import InputError


def known(direction="maximize", fix_first=False):
    rng = np.random.default_rng(0)
    bits = free_design(rng, 60, (3, 3))
    if fix_first:
        bits[:, 0] = 0
    values = 4 * bits[:, [2, 5]].sum(axis=1) + rng.normal(size=60)
    return rule_test(table(bits, values, (3, 3)), direction=direction)


def test_the_figure_shows_what_the_test_found():
    test = known()
    figure = rule_figure(test)
    assert [mark.place for mark in figure.slots] == [
        "middle", "middle", "end", "strided", "middle", "end",
    ]  # fmt: skip
    assert [mark.x for mark in figure.slots] == [0, 1, 2, 4, 5, 6]
    for mark, slot in zip(figure.slots, test.slots, strict=True):
        assert mark.effect == slot.effect.effect
        assert (mark.low, mark.high) == slot.effect.ci
    headline = figure.contrasts[0]
    assert headline.is_headline and headline.effect == test.end_of_stage.effect
    assert sum(mark.is_headline for mark in figure.contrasts) == 1
    assert test.verdict in figure.title
    assert "60 trials" in figure.subtitle and figure.better == 1
    assert figure.open_question == ""


def test_what_keeps_it_from_a_verdict_is_named():
    rng = np.random.default_rng(1)
    bits = free_design(rng, 200, (3, 3))
    values = 2 * bits[:, 5] + 0.5 * rng.normal(size=200)
    figure = rule_figure(rule_test(table(bits, values, (3, 3))))
    assert figure.open_question.startswith("not ruled out: one stage alone")
    figure = rule_figure(rule_test(table(bits, rng.normal(size=200), (3, 3))))
    assert "holds zero" in figure.open_question


def test_every_check_has_a_name_for_what_it_leaves_open():
    """Ends that help in stages 1 and 2 and hurt in stage 3, a trend, neighbours."""
    rng = np.random.default_rng(2)
    bits = free_design(rng, 300, (3, 3, 3))
    slots = bits @ np.array([1, 0, 6, 5, 0, 6, 5, 0, -6.0]) + bits @ np.arange(9) / 2
    values = slots - (bits[:, :-1] * bits[:, 1:]).sum(axis=1) + rng.normal(size=300)
    test = rule_test(table(bits, values, (3, 3, 3)))
    rest = rule_figure(test).open_question
    assert RIVALS["no_stage_against"] in rest
    # no stage has a middle block here, nor a stride
    bits = free_design(rng, 60, (2, 2, 2))
    values = bits @ np.array([-3.0, -0.5] * 3) + rng.normal(size=60)
    two = rule_test(replace(table(bits, values, (2, 2, 2)), strided=()))
    assert RIVALS["ends_help_by_themselves"] in rule_figure(two).open_question
    assert {check.name for check in (*test.checks, *two.checks)} == set(RIVALS)


def test_the_good_side_is_named():
    assert rule_figure(known("minimize")).better == -1
    assert rule_figure(known("none")).better == 0


def test_slots_that_never_varied_are_said_to():
    figure = rule_figure(known(fix_first=True))
    assert figure.slots[0].effect is None
    texts = [text.get_text() for text in to_matplotlib(figure).axes[0].texts]
    assert "never\nvaried" in texts


def test_nothing_to_tell_can_be_drawn(tmp_path):
    empty = rule_test(table([[0, 1, 0]], [0.5], (3,)))
    draw(rule_figure(empty), tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 1000


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_files_are_written(tmp_path, suffix):
    path = tmp_path / f"rule{suffix}"
    draw(rule_figure(known()), path)
    start = path.read_bytes()[:200]
    assert start.startswith(b"\x89PNG") or b"<?xml" in start


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"ends in one of \.png, \.svg, \.pdf"):
        draw(rule_figure(known()), tmp_path / "rule.gif")
