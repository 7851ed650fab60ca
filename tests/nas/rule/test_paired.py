"""Paired differences against a planted truth and a naive twin."""

import itertools

import numpy as np
import pandas as pd
import pytest
from rule_plants import free_design, placements, table
from scipy import stats

from nas.rule.paired import paired_effects
from nas.rule.placement_means import PlacementMeans
from nas.rule.placement_table import PlacementTable
from nas.rule.rule_test import rule_test
from nas.rule.slot_layout import SlotLayout
from nas.rule.swap_block import swap_blocks
from nas.rule.verdict import VerdictDesign
from nas.sampling.swaps import swap_design
from search_spaces.backbone import Backbone
from search_spaces.spaces.free_space import FreeSpace

DEPTHS = (3, 3, 3)
LAYOUT = SlotLayout(DEPTHS)
LAST = [2, 5, 8]


def swaps(num_rows, seed=0):
    space = FreeSpace(Backbone("basic", "patch2", DEPTHS, (4, 8, 8)), strided_msas=True)
    design = itertools.islice(swap_design(space, seed), num_rows)
    return np.array([[c == "M" for c in one.placement.letters] for one in design], int)


def values_of(bits, effect, rng, block_noise, noise):
    """The last slots add an effect; each block of three rows has its own luck."""
    luck = np.repeat(rng.normal(0, block_noise, len(bits) // 3), 3)
    return effect * bits[:, LAST].sum(axis=1) + luck + rng.normal(0, noise, len(bits))


def paired(bits, values, **known):
    return paired_effects(
        PlacementMeans.of(table(bits, values, DEPTHS, **known)), LAYOUT
    )


def test_the_blocks_of_the_sampler_are_found_again():
    bits = swaps(63)
    blocks = swap_blocks(bits.astype(float), LAYOUT)
    assert sorted(sorted(b.rows.values()) for b in blocks) == [
        [at, at + 1, at + 2] for at in range(0, 63, 3)
    ]
    assert [sum(b.stage == s for b in blocks) for s in (1, 2, 3)] == [7, 7, 7]


def test_the_estimate_is_the_mean_of_the_differences():
    """A naive twin: the design is known here, so no block has to be looked for."""
    rng = np.random.default_rng(0)
    bits = swaps(54)
    values = values_of(bits, 0.5, rng, 2.0, 1.0)
    last, middle, first = values.reshape(-1, 3).T
    inner = np.where(np.arange(18) % 3 == 0, (middle + first) / 2, middle)
    found = paired(bits, values)
    assert found.end_of_stage.effect == pytest.approx((last - inner).mean())
    per_stage = [(last - inner)[stage::3].var(ddof=1) / 6 for stage in range(3)]
    assert found.end_of_stage.standard_error == pytest.approx(sum(per_stage) ** 0.5 / 3)
    alone = stats.ttest_1samp((last - first)[::3], 0)
    assert found.last_over_first.p == pytest.approx(alone.pvalue)
    assert found.last_over_first.ci == pytest.approx(alone.confidence_interval())
    strided = (last - first).reshape(-1, 3)[:, 1:]
    assert found.last_over_strided.effect == pytest.approx(strided.mean())
    assert found.last_over_middle.effect == pytest.approx((last - middle).mean())


def test_intervals_hold_the_truth_and_are_shorter_than_unpaired_ones():
    rng = np.random.default_rng(1)
    hits, shorter, num = 0, [], 300
    bits = [swaps(54, seed) for seed in range(10)]
    for number in range(num):
        one = bits[number % 10]
        values = values_of(one, 0.5, rng, 2.0, 0.5)
        data = table(one, values, DEPTHS)
        low, high = paired(one, values).end_of_stage.ci
        hits += low < 0.5 < high
        if number < 10:
            free = rule_test(data).end_of_stage.ci
            shorter.append((high - low) / (free[1] - free[0]))
    assert (
        stats.binom.ppf(0.001, num, 0.95) <= hits <= stats.binom.ppf(0.999, num, 0.95)
    )
    assert max(shorter) < 1 and np.median(shorter) < 0.7


def test_seeds_are_averaged_and_order_does_not_matter():
    rng = np.random.default_rng(2)
    bits = swaps(27)
    values = values_of(bits, 0.5, rng, 2.0, 0.5)
    twice = np.concatenate([bits, bits])
    both = np.concatenate([values - 0.1, values + 0.1])
    assert paired(twice, both).end_of_stage.effect == pytest.approx(
        paired(bits, values).end_of_stage.effect
    )


def test_no_row_counts_twice_in_a_table_that_was_not_made_for_it():
    rng = np.random.default_rng(3)
    bits = np.unique(free_design(rng, 300, DEPTHS), axis=0)
    rng.shuffle(bits)
    blocks = swap_blocks(bits.astype(float), LAYOUT)
    used = [row for block in blocks for row in block.rows.values()]
    assert len(used) == len(set(used)) and len(blocks) > 20
    for block in blocks:
        rows = list(block.rows.values())
        assert len({bits[row].sum() for row in rows}) == 1
        outside = [i for i in range(9) if i not in LAYOUT.of_stage(block.stage)]
        assert len({tuple(bits[row][outside]) for row in rows}) == 1
    hits = 0
    for _ in range(200):
        effect = paired(bits, rng.normal(size=len(bits))).end_of_stage
        hits += effect.ci[0] < 0 < effect.ci[1]
    assert hits >= stats.binom.ppf(0.001, 200, 0.95)


def test_without_blocks_there_is_a_reason():
    few = paired(swaps(9), np.arange(9.0))
    assert few.end_of_stage.effect is None and "fewer than 3" in few.end_of_stage.reason
    clustered = paired(swaps(27), np.arange(27.0), clusters=np.arange(27) % 3)
    assert "cluster" in clustered.end_of_stage.reason


def test_the_rule_test_tells_them():
    rng = np.random.default_rng(4)
    bits = swaps(54)
    found = rule_test(table(bits, values_of(bits, 0.5, rng, 2.0, 0.5), DEPTHS))
    data = found.to_dict()["paired"]
    assert data["num_blocks"] == {"1": 6, "2": 6, "3": 6}
    assert data["end_of_stage"]["ci"][0] > 0
    assert len(set(placements(bits, DEPTHS))) == 54


def test_placements_are_compared_on_the_splits_that_they_share():
    """Luck of the split is large; a run on another split must not blur a block."""
    rng = np.random.default_rng(3)
    bits = swaps(54)
    split = np.repeat(np.arange(18), 3)
    luck = rng.normal(0, 5, 40)
    values = 0.5 * bits[:, LAST].sum(axis=1) + luck[split] + rng.normal(0, 0.1, 54)
    text = placements(bits, DEPTHS)
    alone = pd.DataFrame({"placement": text, "accuracy": values, "split_seed": split})
    other = alone[:9].assign(split_seed=range(20, 29))  # as baselines have
    other["accuracy"] += luck[20:29] - luck[split[:9]]
    found, blurred = [], pd.concat([other, alone], ignore_index=True)
    for frame in (alone, blurred, blurred.drop(columns="split_seed")):
        means = PlacementMeans.of(PlacementTable.of_frame(frame))
        found.append(paired_effects(means, LAYOUT).end_of_stage)
    assert found[1].effect == pytest.approx(found[0].effect)
    assert found[1].standard_error == pytest.approx(found[0].standard_error)
    assert found[2].standard_error > 3 * found[0].standard_error


def test_rows_without_a_common_split_are_no_block():
    bits = swaps(54)
    frame = pd.DataFrame(
        {
            "placement": placements(bits, DEPTHS),
            "accuracy": np.arange(54.0),
            "split_seed": range(54),
        }
    )
    means = PlacementMeans.of(PlacementTable.of_frame(frame))
    found = paired_effects(means, LAYOUT)
    assert set(found.num_blocks.values()) == {0}
    assert found.end_of_stage.effect is None


def test_one_seed_on_two_splits_is_two_trials():
    frame = pd.DataFrame(
        {"placement": ["CC-CM"] * 2, "accuracy": [0.1, 0.2], "seed": 0}
    )
    assert len(PlacementTable.of_frame(frame).values) == 1
    assert len(PlacementTable.of_frame(frame.assign(split_seed=[1, 2])).values) == 2


def test_the_luck_of_a_block_does_not_pass_for_an_effect():
    """Nothing planted but luck of blocks: 95% intervals must not miss zero often."""
    rng = np.random.default_rng(0)
    missed = {"clusters": [], "rows by themselves": []}
    for seed in range(10):
        bits = swaps(90, seed)
        values = np.stack(
            [values_of(bits, 0, rng, 4.0, 1.0) for _ in range(20)], axis=1
        )
        plain = table(bits, np.zeros(90), DEPTHS)
        for name, one in zip(missed, (plain.with_swap_clusters(), plain), strict=True):
            means = PlacementMeans.of(one)
            design = VerdictDesign(
                means.bits, LAYOUT, means.weights, clusterings=means.clusterings
            )
            read = design.read(values)
            missed[name].append(
                [
                    np.abs(one.effects) > one.half_width(0.95)
                    for one in (read.headline, read.named["ends"])
                ]
            )
    shares = {name: np.mean(found, axis=(0, 2)) for name, found in missed.items()}
    assert (shares["clusters"] < 0.11).all()
    assert (shares["rows by themselves"] > 0.12).all()


def test_blocks_of_a_swap_study_are_clusters_and_still_paired():
    rng = np.random.default_rng(5)
    bits = swaps(54)
    plain = table(bits, values_of(bits, 1, rng, 2.0, 1.0), DEPTHS)
    found = plain.with_swap_clusters()
    assert len(np.unique(found.clusters)) == 18
    test = rule_test(found)
    assert test.design["num_clusters"] == 18
    assert test.paired.end_of_stage == rule_test(plain).paired.end_of_stage
    assert any("count as one cluster: 18" in note for note in test.notes)
    only_uniform = table(np.eye(9, dtype=int), np.arange(9.0), DEPTHS)
    assert len(np.unique(only_uniform.with_swap_clusters().clusters)) < 9


def test_the_unit_may_be_any():
    bits = swaps(54)
    values = values_of(bits, 0.5, np.random.default_rng(0), 2.0, 1.0)
    plain = paired(bits, values).end_of_stage
    for unit in (1e-95, 1e95):
        found = paired(bits, unit * values).end_of_stage
        assert found.p == pytest.approx(plain.p) and found.df == pytest.approx(plain.df)
