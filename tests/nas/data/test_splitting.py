import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.data.raw_dataset import Split
from nas.data.splitting import at_most, hold_out, split_again

labels = st.lists(st.integers(0, 4), min_size=1, max_size=60)


def split_of(values) -> Split:
    return Split(np.arange(len(values)), np.array(values, np.int64))


@given(labels, st.floats(0.01, 0.99), st.integers(0, 5))
def test_a_share_of_every_class_is_held_out(values, fraction, seed):
    rest, held = hold_out(split_of(values), fraction, np.random.default_rng(seed))
    together = np.concatenate([rest.images, held.images])
    assert sorted(together.tolist()) == list(range(len(values)))
    for part in (rest, held):
        assert (np.diff(part.images) > 0).all()  # the old order
        assert part.labels.tolist() == [values[i] for i in part.images]
    for label in set(values):
        total, num = values.count(label), int((held.labels == label).sum())
        if total == 1:
            assert num == 0  # what there is once is trained on
        else:
            assert 1 <= num < total
            assert abs(num - total * fraction) <= 1


@given(labels, st.integers(1, 80), st.integers(0, 5))
def test_limits_are_kept_and_even(values, maximum, seed):
    kept = at_most(split_of(values), maximum, np.random.default_rng(seed))
    assert len(kept) == min(maximum, len(values))
    assert (np.diff(kept.images) > 0).all()
    counts = {label: int((kept.labels == label).sum()) for label in set(values)}
    short = {label for label in counts if counts[label] < values.count(label)}
    # a class from which some are left has at most one fewer than any other
    for label in short:
        assert max(counts.values()) - counts[label] <= 1


@pytest.mark.parametrize("maximum", [None, 3, 4])
def test_no_limit_draws_nothing(maximum):
    rng = np.random.default_rng(0)
    split = split_of([0, 1, 0])
    assert at_most(split, maximum, rng) is split
    assert rng.integers(1 << 30) == np.random.default_rng(0).integers(1 << 30)


@given(labels, labels, st.integers(0, 5))
def test_a_new_split_keeps_sizes_and_classes_and_loses_no_image(first, second, seed):
    train = split_of(first)
    validation = Split(np.arange(len(second)) + len(first), split_of(second).labels)
    new = split_again(train, validation, np.random.default_rng(seed))
    for old, drawn in zip((train, validation), new, strict=True):
        assert sorted(drawn.labels) == sorted(old.labels)
    images = np.concatenate([part.images for part in new])
    assert sorted(images.tolist()) == list(range(len(first) + len(second)))
    for part in new:
        assert part.labels.tolist() == [(first + second)[i] for i in part.images]
