import numpy as np
import pytest
from prediction_plants import EIGHT, NINE

from nas.prediction.features import MAX_PAIRS, Features, Quadratic
from nas.prediction.slot_space import SlotSpace

MIXED = SlotSpace((2, 3), ("C", "CM", "CMPS", "MP", "CP"))


@pytest.mark.parametrize("space", [NINE, EIGHT, MIXED])
def test_groups_are_centred_and_of_unit_norm_over_the_space(space):
    features = Features(space)
    codes = (
        np.concatenate(list(space.enumerate()))
        if space.size <= 4096
        else space.sample(np.random.default_rng(1), 20_000)
    )
    values = features(codes)
    assert np.abs(values.mean(axis=0)).max() < (1e-12 if space.size <= 4096 else 0.05)
    for number in range(len(features.groups)):
        block = values[:, features.group_of == number]
        assert (block**2).sum(axis=1).mean() == pytest.approx(1, rel=0.05)


def test_adjacency_counts_equal_neighbours_of_a_stage_only():
    space = SlotSpace((2, 2), ("CM",) * 4)
    features = Features(space)
    codes = np.concatenate(list(space.enumerate()))
    names = space.decode(codes)
    block = features(codes)[:, features.group_of == features.groups.index("adjacency")]
    equal = np.array([(n[0] == n[1]) + (n[3] == n[4]) for n in names], float)
    # the sum over the stages is the first column of the group
    assert abs(np.corrcoef(block[:, 0], equal)[0, 1]) == pytest.approx(1)


@pytest.mark.parametrize("space", [NINE, EIGHT, MIXED])
def test_any_function_of_pairs_of_slots_can_be_expressed(space):
    rng = np.random.default_rng(0)
    features = Features(space)
    codes = space.sample(rng, 600)
    size = len(space.letters)
    truth = np.zeros(len(codes))
    for s in range(size):
        for t in range(s):
            effect = rng.normal(size=(len(space.letters[s]), len(space.letters[t])))
            truth += effect[codes[:, s], codes[:, t]]
    design = np.concatenate([np.ones((600, 1)), features(codes)], axis=1)
    fitted = design @ np.linalg.lstsq(design, truth, rcond=None)[0]
    assert np.abs(fitted - truth).max() < 1e-8


@pytest.mark.parametrize("space", [NINE, EIGHT, MIXED])
def test_the_quadratic_form_is_the_same_function(space):
    rng = np.random.default_rng(0)
    features = Features(space)
    quadratic = Quadratic(features)
    weights = rng.normal(size=features.size)
    constant, linear, pairs = quadratic.of(weights)
    codes = space.sample(rng, 200)
    z = quadratic.one_hot(codes)
    values = constant + z @ linear + 0.5 * np.einsum("ni,ij,nj->n", z, pairs, z)
    assert values == pytest.approx(features(codes) @ weights)


def test_pairs_are_bounded_and_those_of_one_stage_come_first():
    space = SlotSpace((20, 20), ("CMPS",) * 40)
    features = Features(space)
    kinds = [features.groups[g] for g in features.group_of]
    assert kinds.count("pairs") + kinds.count("far_pairs") <= MAX_PAIRS
    assert "far_pairs" not in kinds


def test_many_letters_do_not_make_thousands_of_squares_and_neighbours():
    letters = "".join(chr(0x4E00 + i) for i in range(64))
    features = Features(SlotSpace((4,), (letters,) * 4))
    assert features.groups == ("letters", "slots")
    assert features.size == 63 * 5
