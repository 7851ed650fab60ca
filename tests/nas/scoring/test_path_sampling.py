"""Every block of a supernet is trained equally often."""

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.scoring.path_sampling import PathSampling


def counts(sampling, num_steps):
    return Counter(
        (slot, letter)
        for step in range(num_steps)
        for path in sampling(step)
        for slot, letter in enumerate(path)
    )


def test_pairs_are_a_placement_and_its_complement():
    sampling = PathSampling(["CM"] * 9, "pairs", 0)
    for step in range(50):
        one, other = sampling(step)
        assert other == one.translate(str.maketrans("CM", "MC"))


@settings(deadline=None, max_examples=30)
@given(
    letters=st.lists(st.sampled_from(["C", "CM", "CMP", "CMPS"]), min_size=1),
    seed=st.integers(0, 10_000),
)
def test_all_letters_of_a_slot_are_trained_equally_often(letters, seed):
    """After 12 steps, a multiple of all numbers of letters, exactly."""
    found = counts(PathSampling(letters, "pairs", seed), 12)
    paths = 12 * max(map(len, letters))
    for slot, own in enumerate(letters):
        for letter in own:
            assert found[slot, letter] == paths / len(own)


def test_no_letter_ever_waits_for_two_steps():
    sampling = PathSampling(["CM", "CMP", "CM"], "pairs", 3)
    for step in range(60):
        paths = sampling(step)
        for slot in (0, 2):
            assert {path[slot] for path in paths} == {"C", "M"}
        assert {path[1] for path in paths} == {"C", "M", "P"}


@pytest.mark.parametrize("arrangement", ["pairs", "single"])
def test_slots_are_independent_of_each_other(arrangement):
    """Letters of two slots meet as often as chance has it (5 standard errors)."""
    sampling = PathSampling(["CM"] * 5, arrangement, 1)
    num = 2000
    for a, b in combinations(range(5), 2):
        same = sum(path[a] == path[b] for s in range(num) for path in sampling(s)[:1])
        assert abs(same / num - 0.5) < 5 * 0.5 / num**0.5


def test_single_paths_are_uniform():
    sampling = PathSampling(["CMP", "C"], "single", 0)
    assert sampling.num_paths == 1
    found = counts(sampling, 3000)
    assert found[1, "C"] == 3000
    for letter in "CMP":
        assert abs(found[0, letter] - 1000) < 5 * (3000 * 2 / 9) ** 0.5


def test_a_step_depends_on_its_number_and_the_seed_alone():
    one, same = (PathSampling(["CM"] * 9, "pairs", 7) for _ in range(2))
    later = [one(step) for step in range(20)]
    assert same(19) == later[19]
    assert len(set(later)) > 15
    assert PathSampling(["CM"] * 9, "pairs", 8)(0) != later[0]
