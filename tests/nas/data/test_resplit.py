"""Splits that trials draw anew: which images move, and which never do."""

from dataclasses import replace

import numpy as np
import pytest

from nas.config import DataConfig
from nas.data.datasets import LARGEST_SENT_BYTES, load_dataset
from nas.data.raw_dataset import Split
from search_spaces.errors import InputError

CONFIG = DataConfig(name="digits", max_train=300, max_validation=100)


@pytest.fixture(scope="module")
def dataset():
    return load_dataset(CONFIG)


def pixels(*splits):
    found = [image.tobytes() for split in splits for image in split.images]
    return sorted(found)


def test_the_test_images_the_sizes_and_the_moments_stay(dataset):
    again = dataset.resplit(7)
    assert again.test is dataset.test
    assert (again.mean, again.std) == (dataset.mean, dataset.std)
    assert len(again.train) == 300 and len(again.validation) == 100
    assert pixels(again.train, again.validation) == pixels(
        dataset.train, dataset.validation
    )
    assert pixels(again.validation) != pixels(dataset.validation)
    assert not set(pixels(again.train)) & set(pixels(again.validation)) - set(
        pixels(dataset.train)
    )


def test_a_seed_is_a_split(dataset):
    drawn = [dataset.resplit(seed).fingerprint for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert dataset.resplit(None) is dataset
    assert dataset.fingerprint == load_dataset(CONFIG).fingerprint


def test_a_config_can_ask_for_the_split_of_a_trial(dataset):
    config = CONFIG.model_copy(update={"resplit_seed": 7})
    assert load_dataset(config).fingerprint == dataset.resplit(7).fingerprint


def test_trials_split_without_the_test_images_as_with_them(dataset):
    seen, whole = dataset.without_test().resplit(3), dataset.resplit(3)
    assert (seen.train.images == whole.train.images).all()
    assert (seen.validation.labels == whole.validation.labels).all()
    assert not len(seen.test)


def huge(split):
    images = np.broadcast_to(np.uint8(0), (len(split), 1, 1 << 12, 1 << 12))
    return Split(images, split.labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: replace(d, is_split_drawn=False), "validation images of its own"),
        (lambda d: replace(d, train_size=8), "data.store_size"),
        (lambda d: replace(d, train=huge(d.train)), "at most 4 GiB, digits has"),
    ],
)
def test_what_cannot_be_drawn_anew_is_refused(dataset, change, message):
    assert LARGEST_SENT_BYTES == 4 << 30
    with pytest.raises(InputError, match=message):
        change(dataset).resplit(0)
