import random
from collections import Counter
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from search_spaces import (
    Attention,
    Backbone,
    Constraints,
    FreeSpace,
    InputError,
    LatencyTable,
    PerStageCountSpace,
    Placement,
)
from search_spaces.latency_table import block_key

BACKBONE = Backbone("basic", "patch2", (2, 3, 2), (8, 16, 24))
ATTENTION = Attention(heads=(1, 2, 4), head_dim=4)


def planted_table(**changes):
    """A time for every block of a space, different for each."""
    blocks = FreeSpace(BACKBONE, ATTENTION, image_size=32, **changes).distinct_blocks()
    keys = sorted(block_key(spec) for spec in blocks)
    times = {key: 1_000_000 + 37 * i**2 for i, key in enumerate(keys)}
    return LatencyTable("planted", 64, 5_000_000, times)


def naive_seconds(table, one):
    """Stem and head, and the time of each block, added up."""
    keys = [block_key(spec) for spec in one.block_specs]
    return (table.fixed + sum(table.blocks[key] for key in keys)) * 1e-9


class Answers:
    """A trial that answers from a dictionary and checks that it may."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def suggest_categorical(self, name, choices):
        assert self.answers[name] in choices
        self.asked.append(name)
        return self.answers[name]

    def suggest_int(self, name, low, high):
        assert low <= self.answers[name] <= high
        self.asked.append(name)
        return self.answers[name]


def make(kind=FreeSpace, **changes):
    return kind(BACKBONE, ATTENTION, image_size=32, **changes)


def naive_members(space):
    """All letters, all settings, filtered by the definition."""
    found = {}
    everything = "".join(dict.fromkeys("".join(space.kinds)))
    for letters in product(everything, repeat=sum(BACKBONE.depths)):
        text, start = [], 0
        for depth in BACKBONE.depths:
            text.append("".join(letters[start : start + depth]))
            start += depth
        placement = Placement(tuple(text))
        if isinstance(space, PerStageCountSpace):
            other = space.kinds[0][1]
            counts = [stage.count(other) for stage in placement.stages]
            room = [d // 2 for d in BACKBONE.depths]
            if any(c > r for c, r in zip(counts, room, strict=True)):
                continue
            if Placement.alternating(BACKBONE.depths, counts, other) != placement:
                continue
        elif not space.strided_msas and text[1][0] + text[2][0] != "CC":
            continue
        if any(set(t) - set(k) for t, k in zip(text, space.kinds, strict=True)):
            continue
        names = [
            (what, stage)
            for what, values in space.choices.items()
            for stage in range(3)
        ]
        options = [space.choices[what][stage] for what, stage in names]
        for values in product(*options):
            one = space.architecture(placement, dict(zip(names, values, strict=True)))
            bounds = space.constraints
            if (
                all(
                    low <= placement.letters.count(letter)
                    for letter, low in bounds.min_blocks.items()
                )
                and all(
                    placement.letters.count(letter) <= high
                    for letter, high in bounds.max_blocks.items()
                )
                and (bounds.min_msas or 0) <= placement.num_msas
                and placement.num_msas <= (bounds.max_msas or 99)
                and all(
                    (bounds.min_msas_per_stage or 0) <= stage.count("M")
                    and stage.count("M") <= (bounds.max_msas_per_stage or 99)
                    for stage in placement.stages
                )
                and one.params <= (bounds.max_params or 10**12)
                and one.macs <= (bounds.max_macs or 10**12)
                and (
                    bounds.max_latency is None
                    or naive_seconds(space.latency_table, one) <= bounds.max_latency
                )
            ):
                found[one.id] = one
    return found


SPACES = {
    "free": make(),
    "strided": make(strided_msas=True),
    "counts": make(PerStageCountSpace),
    "heads": make(choices={"heads": [[1, 2], [2], [2, 4]]}),
    "windows": make(choices={"window": [[2, 4], ["auto"], [2, "auto"]]}),
    "one or two a stage": make(
        strided_msas=True,
        constraints=Constraints(min_msas_per_stage=1, max_msas_per_stage=2),
    ),
    "few": make(strided_msas=True, constraints=Constraints(min_msas=2, max_msas=3)),
    "small": make(
        strided_msas=True,
        choices={"heads": [[1, 2], [2], [2, 4]]},
        constraints=Constraints(max_params=17_000, max_macs=1_500_000),
    ),
    "matched": FreeSpace(
        BACKBONE,
        Attention(heads=(1, 2, 4), size="matched"),
        strided_msas=True,
        image_size=32,
        constraints=Constraints(max_macs=2_200_000),
    ),
    "three kinds": make(kinds="CMP", constraints=Constraints(max_msas=2)),
    "kinds of a stage": make(kinds=["CM", "CMS", "CP"], strided_msas=True),
    "counts of pools": make(PerStageCountSpace, kinds="CP"),
    "few of each": make(
        kinds="CPM",
        constraints=Constraints(
            min_blocks={"P": 1}, max_blocks={"M": 1, "P": 3}, max_params=40_000
        ),
    ),
    "fast": make(
        strided_msas=True,
        latency_table=planted_table(),
        constraints=Constraints(max_latency=0.012_003),
    ),
    "fast heads": make(
        choices={"heads": [[1, 2], [2], [2, 4]]},
        latency_table=planted_table(choices={"heads": [[1, 2], [2], [2, 4]]}),
        constraints=Constraints(max_latency=0.012_014),
    ),
}


@pytest.mark.parametrize("name", SPACES)
def test_enumeration_and_size_equal_the_naive_list(name):
    space = SPACES[name]
    expected = naive_members(space)
    listed = list(space.enumerate())
    assert len(listed) == space.size == len(expected)
    assert {one.id for one in listed} == set(expected)
    assert space.size > 0


def test_some_but_not_all_architectures_are_fast_enough():
    for name in ("fast", "fast heads"):
        unbounded = replace(SPACES[name], constraints=Constraints())
        assert 0 < SPACES[name].size < unbounded.size


def test_the_estimated_latency_is_the_sum_of_the_blocks():
    space = SPACES["fast heads"]
    times = [naive_seconds(space.latency_table, one) for one in space.enumerate()]
    for one, seconds in zip(space.enumerate(), times, strict=True):
        assert space.latency(one) == seconds
    assert space.latency_range() == (min(times), max(times))
    slow = space.architecture(Placement.all_msa(BACKBONE.depths))
    assert space.violations(slow)["max_latency"] == pytest.approx(
        naive_seconds(space.latency_table, slow) - 0.012_014
    )


@pytest.mark.parametrize("name", SPACES)
def test_suggest_undoes_parameters(name):
    space = SPACES[name]
    for one in space.enumerate():
        answers = Answers(space.parameters(one))
        assert space.suggest(answers) == one
        assert sorted(answers.asked) == sorted(answers.answers)
        assert space.contains(one)


@pytest.mark.parametrize("name", SPACES)
def test_samples_are_uniform(name):
    space = SPACES[name]
    rng = random.Random(7)
    counts = {one.id: 0 for one in space.enumerate()}
    for _ in range(10 * len(counts)):
        counts[space.sample(rng).id] += 1
    assert len(counts) > 1
    # One test in ten thousand would fail by chance; the seed is fixed.
    assert chisquare(list(counts.values())).pvalue > 1e-4


def test_cost_range_is_that_of_the_members():
    space = SPACES["small"]
    low, high = space.cost_range()
    params = [one.params for one in space.enumerate()]
    macs = [one.macs for one in space.enumerate()]
    assert (low.params, high.params) == (min(params), max(params))
    assert (low.macs, high.macs) == (min(macs), max(macs))


def test_sizes_of_the_paper():
    """FACTS derived from the reference: 2^14 free, 72 alternating for (3, 4, 6, 4)."""
    backbone = Backbone.preset("resnet50", "cifar")
    attention = Attention(window=4)
    assert FreeSpace(backbone, attention).size == 2**14
    assert FreeSpace(backbone, attention, strided_msas=True).size == 2**17
    assert PerStageCountSpace(backbone, attention).size == 72
    deep = Backbone.preset("resnet152", "cifar")
    assert FreeSpace(deep, attention).size == 2**48


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_huge_spaces_are_sampled_too(seed):
    space = FreeSpace(
        Backbone.preset("resnet152", "cifar"),
        Attention(window=4),
        constraints=Constraints(max_msas=5),
    )
    assert space.contains(space.sample(random.Random(seed)))


def test_contains_refuses_others():
    space = SPACES["free"]
    strided = SPACES["strided"].architecture(Placement.parse("CC-MCC-CC"))
    assert not space.contains(strided)
    with pytest.raises(InputError, match="strided first blocks stay C"):
        space.parameters(strided)
    other_heads = SPACES["heads"].architecture(
        Placement.parse("CM-CCC-CC"), {("heads", 0): 2}
    )
    assert not space.contains(other_heads)
    assert not SPACES["counts"].contains(
        space.architecture(Placement.parse("MC-CCC-CC"))
    )
    with pytest.raises(InputError, match="alternates M from the end"):
        SPACES["counts"].parameters(space.architecture(Placement.parse("MC-CCC-CC")))
    assert not SPACES["few"].contains(strided)


def test_violations_tell_how_far():
    space = SPACES["few"]
    one = space.architecture(Placement.parse("MM-MMC-CC"))
    assert space.violations(one) == {"min_msas": -2.0, "max_msas": 1.0}
    assert space.is_infeasible(one)
    space = SPACES["one or two a stage"]
    one = space.architecture(Placement.parse("CC-MMM-CM"))
    amounts = {"min_msas_per_stage": 1.0, "max_msas_per_stage": 1.0}
    assert space.violations(one) == amounts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"choices": {"colour": [[1], [1], [1]]}},
            "can choose heads, head_dim, window",
        ),
        ({"choices": {"heads": [[1], [1]]}}, "for each of the 3 stages"),
        ({"choices": {"heads": [[1], [], [1]]}}, "for each of the 3 stages"),
        ({"choices": {"heads": [[1, 1], [1], [1]]}}, "must differ"),
        ({"choices": {"window": [[4, "auto"], [4], [4]]}}, "give windows"),
        ({"choices": {"window": [[3], [4], [4]]}}, "window 3 does not divide"),
        ({"constraints": Constraints(max_params=3)}, "it spans 0 to 5 MSAs"),
        ({"constraints": Constraints(max_latency=1)}, "needs the block times"),
        (
            {
                "constraints": Constraints(max_latency=1e-3),
                "latency_table": planted_table(),
            },
            "0.012 to 0.012 s latency",
        ),
        (
            {"latency_table": LatencyTable("planted", 64, 1, {"other": 1})},
            "must hold every block of the space; 'basic C 8x16px",
        ),
    ],
)
def test_bad_spaces_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"min_msas": 3, "max_msas": 2}, "min_msas <= max_msas must hold, got 3 and 2"),
        (
            {"min_msas_per_stage": 2, "max_msas_per_stage": 1},
            "min_msas_per_stage <= max_msas_per_stage must hold, got 2 and 1",
        ),
        ({"max_params": -1}, "whole number >= 0, got -1"),
        ({"max_macs": 1.5}, "whole number >= 0, got 1.5"),
        ({"max_latency": 0}, "number of seconds > 0, got 0"),
    ],
)
def test_bad_constraints_are_refused(bounds, message):
    with pytest.raises(InputError, match=message):
        Constraints(**bounds)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ("MC", "begins with C"),
        ("CMM", "names every letter once"),
        ("CX", r"P \(Pool\) or S \(SE\); got 'X'"),
        (["CM", "CM"], "one such text for each of the 3 stages"),
        (7, "got 7"),
    ],
)
def test_bad_kinds_are_refused(kinds, message):
    with pytest.raises(InputError, match=message):
        make(kinds=kinds)


@pytest.mark.parametrize("kinds", ["C", "CMP", ["CM", "CM", "CP"]])
def test_a_space_of_counts_takes_two_kinds(kinds):
    with pytest.raises(InputError, match="C with one other kind"):
        make(PerStageCountSpace, kinds=kinds)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"min_blocks": {"P": 2}, "max_blocks": {"P": 1}}, "2 and 1 for P"),
        ({"max_blocks": {"P": -1}}, "whole number >= 0, got -1"),
        ({"max_blocks": {"X": 1}}, "got 'X'"),
        ({"min_blocks": 3}, "mapping of letters"),
    ],
)
def test_bad_bounds_on_blocks_are_refused(bounds, message):
    with pytest.raises(InputError, match=message):
        Constraints(**bounds)


def test_samples_of_three_kinds_are_uniform():
    space = SPACES["kinds of a stage"]
    rng = random.Random(0)
    drawn = Counter(space.sample(rng).id for _ in range(10 * space.size))
    assert set(drawn) == {one.id for one in space.enumerate()}
    # Chi-squared of as many cells, six standard deviations above its mean.
    chi = sum((n - 10) ** 2 / 10 for n in drawn.values())
    assert chi < space.size - 1 + 6 * (2 * space.size) ** 0.5
