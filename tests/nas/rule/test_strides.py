"""Which blocks halve the map is read from the space of a study, where there is one."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from rule_plants import END, free_design, placements, table, times

from nas.config import SearchConfig, config_from_dict
from nas.rule.placement_table import PlacementTable, strided_blocks
from nas.rule.rule_test import rule_test
from nas.rule.slot_layout import SlotLayout
from nas.rule.verdict import VerdictDesign
from search_spaces.backbone import Backbone
from search_spaces.block_cost import Cost
from search_spaces.networks.parent_backbone import ParentBackbone, ParentSlot

DEPTHS = (3, 3, 3)


def parent(strides):
    slots = tuple(
        ParentSlot(f"b{i}", i // 3 + 1, 8, 8, stride, 8, 8, False, 1, 1)
        for i, stride in enumerate(strides)
    )
    return ParentBackbone("timm:made_up", slots, Cost(0, 0), 8)


def config(backbone) -> SearchConfig:
    return config_from_dict({"space": {"backbone": backbone}})


def study_config(strides):
    return config(
        {
            "block": "basic", "stem": "patch2", "depths": list(DEPTHS),
            "widths": [4, 8, 8], "strides": list(strides),
        }
    )  # fmt: skip


def planted(truth, rows=256, seed=0):
    rng = np.random.default_rng(seed)
    bits = np.unique(free_design(rng, rows, DEPTHS), axis=0)
    return table(bits, truth(bits) + rng.normal(size=len(bits)), DEPTHS)


def test_a_backbone_and_a_parent_name_their_strided_blocks():
    assert Backbone("basic", "patch2", DEPTHS, (4, 8, 8)).strided_blocks == (
        (2, 1),
        (3, 1),
    )
    found = parent([1, 1, 1, 1, 1, 2, 2, 1, 1]).strided_blocks
    assert found == ((2, 3), (3, 1))


def test_without_a_space_the_first_blocks_of_later_stages_are_assumed():
    assert SlotLayout(DEPTHS).strided == [3, 6]
    assert SlotLayout(DEPTHS).is_as_assumed
    assert planted(lambda bits: 0.0 * bits[:, 0]).layout.strided == [3, 6]


@pytest.mark.parametrize(
    ("strides", "strided"), [((1, 2, 2), [3, 6]), ((1, 1, 2), [6]), ((2, 1, 1), [0])]
)
def test_the_strides_of_a_study_are_those_of_its_space(strides, strided):
    blocks = strided_blocks(study_config(strides))
    known = planted(lambda bits: 0.0 * bits[:, 0]).with_strides(blocks)
    assert known.layout.strided == strided
    assert any("strided blocks" in note for note in known.notes) == (strided != [3, 6])
    found = rule_test(known)
    assert [3 * (s.stage - 1) + s.block - 1 for s in found.slots if s.strided] == (
        strided
    )


def test_trials_of_a_search_know_their_strides():
    bits = free_design(np.random.default_rng(1), 60, DEPTHS)
    text = [str(one) for one in placements(bits, DEPTHS)]
    frame = pd.DataFrame({"placement": text, "accuracy": np.arange(60.0) / 60})
    frame = frame.assign(number=range(60), state="complete", baseline=None)
    made = study_config((1, 1, 1))
    search = made.search.model_copy(update={"sampler": "uniform"})
    found = PlacementTable.of_trials(frame, search, strided=strided_blocks(made))
    assert found.layout.strided == []
    other = PlacementTable.of_trials(frame, search, strided=((4, 1),))
    assert other.strided is None  # a space of other depths tells nothing


def share(plant, rows, strided, tables=200):
    """Share of tables that are `supported`, ten on each of many designs."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(tables // 10):
        bits = np.unique(free_design(rng, rows, DEPTHS), axis=0).astype(float)
        values = plant(bits, DEPTHS)[:, None] + rng.normal(size=(len(bits), 10))
        design = VerdictDesign(bits, SlotLayout(DEPTHS, strided))
        found.append(design.judge(values).share("supported"))
    return float(np.mean(found))


def test_first_blocks_without_a_stride_must_be_beaten_in_more_than_one_stage():
    """First = last in stages 2 and 3: seen only where the strides are known."""

    def edges(bits, depths):
        return 2.0 * bits[:, [2, 3, 5, 6, 8]].sum(axis=1)

    assert share(edges, 256, None) > 0.9  # "a strided block may be as good as the last"
    assert share(edges, 256, ()) < 0.11  # at the level of one check, 5%


def test_the_rule_is_found_more_often_where_first_blocks_can_be_compared():
    half = times(0.5, END)
    assert share(half, 136, ()) > share(half, 136, None) + 0.04


def test_a_stage_that_ends_in_a_stride_is_not_compared():
    layout = SlotLayout(DEPTHS, ((2, 3),))
    found = rule_test(planted(lambda b: 2.0 * b[:, 5]).with_strides(((2, 3),)))
    assert layout.strided == [5]
    assert [stage for stage, _ in found.stages] == [1, 3]


def test_equal_counts_cannot_tell_good_last_blocks_from_bad_first_ones():
    """Without middle blocks nothing but the effect of an MSA at the ends tells."""
    names = ["-".join(one) for one in product(["CC", "CM", "MC", "MM"], repeat=4)]
    names = [name for name in names if name.count("M") == 4]
    firsts = np.array([[stage[0] for stage in one.split("-")] for one in names])
    noise = np.random.default_rng(0).normal(0, 0.4, len(names))
    values = noise - 2 * (firsts == "M").sum(axis=1)
    made = PlacementTable.of_frame(
        pd.DataFrame({"placement": names, "accuracy": values})
    )
    test = rule_test(replace(made, strided=()))
    assert test.verdict == "inconclusive" and test.ends_help is None
    (check,) = [c for c in test.checks if c.name == "ends_help_by_themselves"]
    assert not check.passed and "no last slot" in check.finding
    assert test.power.detectable is None


def test_where_every_first_block_is_strided_the_last_must_beat_those():
    """Edges, 1 SD: nothing else tells them from ends (97% of tables were supported)."""
    rng, depths = np.random.default_rng(0), (1, 4, 4)
    layout = SlotLayout(depths)
    edges, ends = layout.is_one_of([1, 4, 5, 8]), layout.is_one_of(layout.last)
    found = {"edges": [], "ends": [], "ends, strided never M": []}
    for _ in range(10):
        bits = np.unique(free_design(rng, 200, depths), axis=0).astype(float)
        fixed = np.unique(np.where(layout.is_one_of([1, 5]) > 0, 0, bits), axis=0)
        for name, rows, effects in zip(
            found, (bits, bits, fixed), (edges, ends, 1.5 * ends), strict=True
        ):
            noise = rng.normal(size=(len(rows), 20))
            judged = VerdictDesign(rows, layout).judge(
                (rows @ effects)[:, None] + noise
            )
            found[name].append(judged.share("supported"))
    shares = {name: np.mean(one) for name, one in found.items()}
    assert shares["edges"] < 0.1
    assert shares["ends"] > 0.8 and shares["ends, strided never M"] > 0.8
