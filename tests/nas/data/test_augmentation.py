import pytest
import torch
from torch.nn import functional

from nas.config import TrainingConfig
from nas.data.augmentation import make_augmentation, make_label_mixing


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_no_augmentation_is_none():
    config = TrainingConfig()
    assert make_augmentation(config) is None
    assert make_label_mixing(config, 3) is None


def test_crops_are_cuts_of_the_padded_image():
    augment = make_augmentation(TrainingConfig(crop_padding=2))
    images = torch.rand(16, 3, 5, 5)
    out = augment(images, generator())
    padded = functional.pad(images, (2, 2, 2, 2))
    places = set()
    for image, cut in zip(padded, out, strict=True):
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if torch.equal(image[:, top : top + 5, left : left + 5], cut)
        ]
        assert found
        places.add(found[0])
    assert len(places) > 4  # each image has a place of its own


def test_flips_are_mirror_images_at_the_asked_rate():
    augment = make_augmentation(TrainingConfig(horizontal_flip=0.25))
    images = torch.rand(2000, 1, 2, 3)
    out = augment(images, generator())
    flipped = (out != images).flatten(1).any(1)
    torch.testing.assert_close(out[flipped], images[flipped].flip(-1))
    # 4 standard errors of 2000 Bernoulli draws
    assert abs(flipped.float().mean() - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5


@pytest.mark.parametrize(
    "settings",
    [{"crop_padding": 2}, {"horizontal_flip": 0.5}, {"randaugment": 9}],
)
def test_the_generator_alone_decides(settings):
    augment = make_augmentation(TrainingConfig(**settings))
    images = torch.rand(8, 3, 12, 12)
    before = images.clone()
    torch.manual_seed(1)
    first = augment(images, generator(3))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = augment(images, generator(3))
    torch.testing.assert_close(first, again)
    torch.testing.assert_close(torch.get_rng_state(), state)
    assert not torch.equal(first, augment(images, generator(4)))
    assert first.shape == images.shape and first.min() >= 0 and first.max() <= 1
    torch.testing.assert_close(images, before)


@pytest.mark.parametrize("settings", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_mixing_keeps_probabilities_and_mixes_pairs(settings):
    mix = make_label_mixing(TrainingConfig(**settings), 5)
    images, labels = torch.rand(10, 3, 8, 8), torch.arange(10) % 5
    mixed, probabilities = mix(images, labels, generator())
    assert mixed.shape == images.shape
    torch.testing.assert_close(probabilities.sum(1), torch.ones(10))
    assert ((probabilities > 0).sum(1) <= 2).all()
    again, _ = mix(images, labels, generator())
    torch.testing.assert_close(mixed, again)
