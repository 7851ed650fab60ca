import itertools

import numpy as np
import pytest

from nas.sampling.balanced_designs import (
    factorial_architectures,
    factorial_design,
    uniform_design,
)
from nas.sampling.samplers import SamplerContext, create_sampler
from search_spaces.backbone import Backbone
from search_spaces.errors import InputError
from search_spaces.spaces.constraints import Constraints
from search_spaces.spaces.free_space import FreeSpace
from search_spaces.spaces.per_stage_count_space import PerStageCountSpace


def bits_of(design):
    return np.array([[c == "M" for c in p.letters] for p in design], dtype=float)


def space(**options):
    backbone = Backbone("basic", "patch2", (3, 3, 3), (4, 8, 8))
    return FreeSpace(backbone, **options)


@pytest.mark.parametrize("depths", [(3, 3, 3), (2, 2, 2, 2), (3, 4, 6, 3)])
def test_every_slot_is_an_msa_in_half_of_the_trials(depths):
    bits = bits_of(factorial_design(depths, 64))
    assert len(np.unique(bits, axis=0)) == 64
    assert bits.mean(axis=0) == pytest.approx([0.5] * sum(depths), abs=0.03)


def test_main_effects_are_free_of_pair_interactions():
    # The fold-over: products of two effects-coded slots are orthogonal to every slot.
    bits = 2 * bits_of(factorial_design((3, 3, 3), 64)) - 1
    for i, j in itertools.combinations(range(9), 2):
        assert bits.T @ (bits[:, i] * bits[:, j]) == pytest.approx([0] * 9)


@pytest.mark.parametrize("num_trials", [24, 48, 96])
def test_slots_are_told_apart_at_least_as_well_as_by_chance(num_trials):
    def spread(bits):
        design = np.column_stack([np.ones(len(bits)), bits])
        return np.trace(np.linalg.pinv(design.T @ design)[1:, 1:])

    ours = np.mean([spread(bits_of(factorial_design((3, 3, 3), num_trials, seed)))
                    for seed in range(5)])  # fmt: skip
    rng = np.random.default_rng(0)
    chance = [spread(rng.integers(0, 2, (num_trials, 9))) for _ in range(50)]
    assert ours <= np.mean(chance) * 1.02


def test_counts_of_msas_are_spread_wider_than_by_chance():
    counts = bits_of(factorial_design((3, 3, 3), 128)).sum(axis=1)
    assert counts.std() > 1.15 * 1.5  # binomial(9, 1/2) has 1.5
    assert set(range(1, 9)) <= set(counts.astype(int))
    assert counts.mean() == pytest.approx(4.5)


def test_a_longer_design_begins_with_the_shorter_one():
    long = factorial_design((3, 3, 3), 60, seed=5)
    assert factorial_design((3, 3, 3), 25, seed=5) == long[:25]
    assert factorial_design((3, 3, 3), 60, seed=6) != long


def test_the_whole_space_comes_once():
    design = factorial_design((2, 2), 100)
    assert len(design) == len(set(design)) == 16


def test_only_allowed_slots_are_msas():
    design = factorial_design((2, 2), 100, allowed=[(1, 2), (2, 2)])
    assert {str(p) for p in design} == {"CC-CC", "CM-CC", "CC-CM", "CM-CM"}
    with pytest.raises(InputError, match=r"got \(3, 1\)"):
        factorial_design((2, 2), 4, allowed=[(3, 1)])


def test_spaces_are_kept_to():
    bounded = space(constraints=Constraints(max_msas=3))
    for architecture in itertools.islice(factorial_architectures(bounded), 40):
        assert bounded.contains(architecture)
    bits = bits_of(factorial_design(bounded, 32))
    assert bits[:, [3, 6]].sum() == 0  # strided first blocks
    assert bits.sum(axis=1).max() == 3
    free = np.delete(bits, [3, 6], axis=1).mean(axis=0)
    assert free.max() - free.min() <= 0.13


def test_bounds_of_every_stage_are_kept_to():
    bounds = Constraints(min_msas_per_stage=1, max_msas_per_stage=2)
    bounded = space(constraints=bounds, strided_msas=True)
    design = factorial_design(bounded, 64)
    counts = {stage.count("M") for one in design for stage in one.stages}
    assert counts == {1, 2} and len(set(design)) == 64
    assert np.ptp(bits_of(design).mean(axis=0)) <= 0.13


def test_other_settings_are_drawn_at_random():
    choosy = space(choices={"heads": [[1, 2], [1, 2], [1, 2]]})
    heads = {a.attention.heads for a in itertools.islice(
        factorial_architectures(choosy), 30)}  # fmt: skip
    assert len(heads) == 8
    assert all(choosy.contains(a) for a in itertools.islice(
        factorial_architectures(choosy), 30))  # fmt: skip


def test_counts_of_the_papers_family():
    backbone = Backbone("basic", "patch2", (2, 4), (4, 8))
    family = PerStageCountSpace(backbone)
    design = factorial_design(family, 10)
    assert sorted(map(str, design)) == sorted(
        str(a.placement) for a in family.enumerate()
    )


def test_uniform_design_has_every_architecture_once():
    everything = [a.id for a in uniform_design(space())]
    assert len(everything) == len(set(everything)) == space().size == 2**7
    assert everything != [a.id for a in uniform_design(space(), seed=1)]


def test_large_spaces_are_sampled():
    backbone = Backbone("basic", "patch2", (6, 6, 6), (4, 8, 8))
    large = FreeSpace(backbone, strided_msas=True)
    bits = bits_of(factorial_design(large, 80))
    assert len(np.unique(bits, axis=0)) == 80
    assert bits.mean(axis=0) == pytest.approx([0.5] * 18, abs=0.05)


@pytest.mark.parametrize("name", ["uniform", "factorial"])
def test_designs_are_samplers(name):
    context = SamplerContext(space(), (), seed=3, num_trials=10)
    first = create_sampler(name, context)
    again = create_sampler(name, context)
    ids = [first.propose(()).id for _ in range(10)]
    assert ids == [again.propose(()).id for _ in range(10)]
    assert len(set(ids)) == 10
