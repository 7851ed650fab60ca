import random

import numpy
import pytest
import torch
from torch.nn import functional

from nas.config import TrainingConfig
from nas.data.augmentation import (
    AlternatingFlip,
    make_augmentation,
    make_label_mixing,
)
from search_spaces import InputError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_no_augmentation_is_none():
    config = TrainingConfig()
    assert make_augmentation(config) is None
    assert make_label_mixing(config, 3) is None


@pytest.mark.parametrize("border", ["black", "reflect"])
def test_crops_are_cuts_of_the_padded_image(border):
    augment = make_augmentation(TrainingConfig(crop_padding=2, crop_border=border))
    images = torch.rand(16, 3, 5, 5)
    out = augment(images, generator())
    mode = "constant" if border == "black" else "reflect"
    padded = functional.pad(images, (2, 2, 2, 2), mode=mode)
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
    [
        {"crop_padding": 2},
        {"horizontal_flip": 0.5},
        {"randaugment": 9},
        {"randaugment": 9, "randaugment_library": "timm", "randaugment_std": 1.0},
        {"random_resized_crop": 0.3},
    ],
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


def test_alternating_flips_show_both_sides_in_any_two_epochs():
    flip = AlternatingFlip(200, 0.5, seed=3)
    images, rows = torch.rand(200, 1, 2, 3), torch.arange(200)
    first, second, third = (flip(images, rows, epoch) for epoch in range(3))
    mirrored = (first != images).flatten(1).any(1)
    assert 60 < mirrored.sum() < 140
    torch.testing.assert_close(first[mirrored], images[mirrored].flip(-1))
    torch.testing.assert_close(second, first.flip(-1))
    torch.testing.assert_close(third, first)
    # whichever batch an image comes in
    some = torch.tensor([7, 150, 3])
    torch.testing.assert_close(flip(images[some], some, 0), first[some])
    again = AlternatingFlip(200, 0.5, seed=3)(images, rows, 0)
    torch.testing.assert_close(again, first)
    assert not torch.equal(AlternatingFlip(200, 0.5, seed=4)(images, rows, 0), first)


def test_evaluators_get_random_flips_where_training_alternates_them():
    config = TrainingConfig(horizontal_flip=0.5, flip="alternating")
    assert make_augmentation(config, flip=False) is None
    assert make_augmentation(config) is not None


def test_timm_leaves_other_random_numbers_alone_and_takes_grey_images():
    settings = {"randaugment_library": "timm", "randaugment_std": 1.0}
    augment = make_augmentation(TrainingConfig(randaugment=9, **settings))
    before = random.getstate(), numpy.random.get_state()[1].tolist()  # noqa: NPY002
    grey = torch.rand(16, 1, 12, 12)
    out = augment(grey, generator())
    assert random.getstate() == before[0]
    assert numpy.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert out.shape == grey.shape
    assert not torch.equal(out, grey)
    # each image has a policy of its own, and some have none
    colour = augment(grey.expand(-1, 3, -1, -1), generator())
    torch.testing.assert_close(colour[:, :1], out)


def test_a_mirrored_border_must_be_narrower_than_the_image():
    augment = make_augmentation(TrainingConfig(crop_padding=5, crop_border="reflect"))
    with pytest.raises(InputError, match="below the image size .* got 5 and 5x5"):
        augment(torch.rand(2, 1, 5, 5), generator())


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


def twin_resize(image, size):
    from torchvision.transforms.v2 import functional as vision

    return vision.resize(image, [size, size], antialias=True)


@pytest.mark.parametrize(("height", "size"), [(12, 12), (20, 8)])
def test_random_resized_crops_are_cuts_resized(height, size):
    from nas.data.random_resized_crop import draw_crops

    augment = make_augmentation(TrainingConfig(random_resized_crop=0.2), size)
    images = torch.rand(9, 3, height, height)
    out = augment(images, generator())
    places = draw_crops(9, height, height, 0.2, generator())
    for image, (top, left, tall, wide), cut in zip(
        images, places.tolist(), out, strict=True
    ):
        part = image[:, top : top + tall, left : left + wide]
        torch.testing.assert_close(cut, twin_resize(part, size))
    assert out.shape == (9, 3, size, size)


@pytest.mark.parametrize("smallest", [0.08, 0.5])
def test_crops_are_drawn_as_torchvision_draws_them(smallest):
    """Same law: mean area and aspect within 5 standard errors of torchvision's."""
    from torchvision.transforms.v2 import RandomResizedCrop

    from nas.data.random_resized_crop import draw_crops

    num, height, width = 4000, 60, 80
    ours = draw_crops(num, height, width, smallest, generator()).double()
    assert (ours[:, :2] >= 0).all() and (ours[:, 2:] > 0).all()
    assert (ours[:, 0] + ours[:, 2] <= height).all()
    assert (ours[:, 1] + ours[:, 3] <= width).all()
    draw = RandomResizedCrop(8, scale=(smallest, 1.0))
    image = torch.zeros(3, height, width)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = [draw.make_params([image]) for _ in range(num)]
    theirs = torch.tensor(
        [[one[key] for key in ("top", "left", "height", "width")] for one in found]
    ).double()
    for measure in (
        lambda c: c[:, 2] * c[:, 3],
        lambda c: (c[:, 3] / c[:, 2]).log(),
        lambda c: c[:, 0] / (height - c[:, 2] + 1),
        lambda c: c[:, 1] / (width - c[:, 3] + 1),
    ):
        mine, other = measure(ours), measure(theirs)
        error = ((mine.var() + other.var()) / num).sqrt()
        assert abs(mine.mean() - other.mean()) < 5 * error
        assert mine.std() == pytest.approx(float(other.std()), rel=0.1)


def test_no_crop_fits_into_a_strip():
    from nas.data.random_resized_crop import draw_crops

    places = draw_crops(50, 2, 60, 0.9, generator())
    assert (places == torch.tensor([0, 28, 2, 3])).all()


def test_larger_images_come_out_at_the_networks_size():
    images = torch.rand(4, 3, 20, 20)
    assert make_augmentation(TrainingConfig(), 8) is None
    augment = make_augmentation(TrainingConfig(horizontal_flip=1.0), 8)
    expected = twin_resize(images, 8).flip(-1)
    torch.testing.assert_close(augment(images, generator()), expected)
    same = torch.rand(4, 3, 8, 8)
    torch.testing.assert_close(augment(same, generator()), same.flip(-1))


def test_two_kinds_of_crop_are_refused():
    with pytest.raises(ValueError, match="exclude each other"):
        TrainingConfig(random_resized_crop=0.08, crop_padding=4)
