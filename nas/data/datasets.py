"""The images of a search: train, validation and test, as uint8 arrays of one size.

A search sees train and validation; the test split is for the end. Arrays are NumPy:
Ray shares those between the workers of a node without a copy, and those of image
folders are mapped from one file.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evaluators.data import Augmentation, EvaluationData, ImageSet
from nas.config import DataConfig
from nas.data.decode_images import decode_images
from nas.data.fingerprint import FINGERPRINT_DIGITS, channel_moments, pixel_digest
from nas.data.image_files import ImageFolder, printable
from nas.data.loaders import LOADERS, load_raw, register_dataset
from nas.data.raw_dataset import RawDataset, Split
from nas.data.splitting import at_most, hold_out, split_again
from search_spaces.errors import InputError, shown

__all__ = [
    "LOADERS",
    "Dataset",
    "RawDataset",
    "Split",
    "data_fingerprint",
    "image_shape",
    "load_dataset",
    "register_dataset",
]

LARGEST_SENT_BYTES = 4 << 30
"""Images that are copied into the memory of every node of a cluster (our choice: they
fit beside the trials on any node that trains)."""


@dataclass(frozen=True)
class Dataset:
    """What a search needs to know about its images.

    Attributes:
        name: Name of the data set.
        train: Images to train on.
        validation: Held-out images on which candidates are compared.
        test: Images for the final test.
        class_names: One name a class; position is the label.
        mean: Mean of each channel of the training images, in [0, 1] units, or what the
            config has instead (``data.mean``).
        std: Standard deviation of each channel, in [0, 1] units; the same.
        train_size: Height (= width) of the training images as a network sees them,
            where they are stored larger (``data.store_size``).
        notes: What a user should know about the images, one line each.
        is_split_drawn: Whether the validation images were drawn from the training
            images, rather than given as such.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train_size: int | None = None
    notes: tuple[str, ...] = ()
    is_split_drawn: bool = True
    # Known from the cache. Not an argument: `replace` with other splits forgets it.
    _digest: str = field(default="", init=False, repr=False, compare=False)

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
        return self.train_size or int(self.train.images.shape[2])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Classes, channels and size in pixels: what a space is made for."""
        return self.num_classes, self.in_channels, self.image_size

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with any pixel, label or split."""
        digest = self._digest or pixel_digest(
            (split.images, split.labels)
            for split in (self.train, self.validation, self.test)
        )
        return digest[:FINGERPRINT_DIGITS]

    def without_test(self) -> "Dataset":
        """The same data set without its test images, as trials may see it."""
        return replace(self, test=self.test.take(np.arange(0)))

    def for_trials(self, address: str) -> "Dataset":
        """The images as trials may see them, on the machines where they run.

        Args:
            address: ``resources.address`` of the search.
        """
        seen = self.without_test()
        # The machines of a cluster do not see this one's cache directory.
        return seen if address == "local" else seen.in_memory()

    def check_resplit(self) -> None:
        """See that the split into training and validation images can be drawn anew.

        Raises:
            InputError: It cannot; says why.
        """
        rule = "which images are held out can be drawn anew (search.randomise: [split])"
        if not self.is_split_drawn:
            raise InputError(
                f"{rule} where the validation images are drawn from the training "
                f"images; {self.name} has validation images of its own"
            )
        if self.train_size is not None:
            raise InputError(
                f"{rule} where both are stored in one size; data.store_size keeps the "
                "training images larger"
            )
        num_bytes = self.train.images.nbytes + self.validation.images.nbytes
        if num_bytes > LARGEST_SENT_BYTES:
            raise InputError(
                f"{rule} where every trial can hold its images in memory: at most "
                f"{LARGEST_SENT_BYTES >> 30} GiB, {self.name} has "
                f"{num_bytes / (1 << 30):.1f} GiB"
            )

    def resplit(self, seed: int | None) -> "Dataset":
        """Draw anew which of the training and validation images are held out.

        The test images, the number of images of each class in each split, and the
        moments by which all networks have their images normalised stay: an exported
        network of any split takes the same input.

        Args:
            seed: Of the draw; ``None`` leaves everything as it is.

        Returns:
            The new data set, its images copied.

        Raises:
            InputError: The split is not one to be drawn, or too large.
        """
        if seed is None:
            return self
        self.check_resplit()
        rng = np.random.default_rng(seed)
        train, validation = split_again(self.train, self.validation, rng)
        return replace(self, train=train, validation=validation)

    def in_memory(self) -> "Dataset":
        """The same data set with its images in memory, for other machines.

        Images that are mapped from files stay there if they take more than
        :data:`LARGEST_SENT_BYTES`: the machines must then see the same files.
        """
        splits = (self.train, self.validation, self.test)
        if sum(split.images.nbytes for split in splits) > LARGEST_SENT_BYTES:
            return self
        train, validation, test = (split.in_memory() for split in splits)
        return replace(self, train=train, validation=validation, test=test)

    def image_set(self, split: Split, *, stored: bool = False) -> ImageSet:
        """A split as the evaluators take it (shares memory with the arrays).

        Args:
            split: One of the splits.
            stored: Give images at the size they are stored in, for an augmentation
                that cuts from them, instead of at ``image_size``.

        Returns:
            The images.
        """
        import torch

        images, labels = (_shared(torch, one) for one in (split.images, split.labels))
        larger = split.images.shape[2] != self.image_size
        size = self.image_size if larger and not stored else None
        return ImageSet(images, labels, self.mean, self.std, size)

    def evaluation_data(
        self,
        augment: Augmentation | None = None,
        weight_decay: float = 0.0,
    ) -> EvaluationData:
        """Train and validation images for evaluators; never the test split.

        Args:
            augment: The training augmentation; it gets training images as they are
                stored and gives them back at ``image_size``.
            weight_decay: L2 coefficient of the training.

        Returns:
            The data.
        """
        return EvaluationData(
            self.image_set(self.train, stored=augment is not None),
            self.image_set(self.validation),
            augment,
            weight_decay,
        )


def _shared(torch: Any, array: Any) -> Any:
    import warnings

    # Ray's shared arrays are read-only, which from_numpy warns about; nothing here
    # writes to images.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*")
        return torch.from_numpy(array)


def image_shape(config: DataConfig) -> tuple[int, int, int]:
    """Classes, channels and size of a data set, read as cheaply as possible.

    Args:
        config: Which images.

    Returns:
        Number of classes, channels, and height (= width) in pixels.

    Raises:
        InputError: The data set is unknown or its files are missing or unusable.
    """
    raw = load_raw(config)
    num_classes = len(raw.class_names)
    if raw.folder is not None and config.image_size is not None:
        return num_classes, 3, config.image_size
    images = raw.train.images[:1]
    if raw.decode is not None:
        images = raw.decode(images)
    return num_classes, int(images.shape[1]), int(images.shape[2])


def data_fingerprint(config: DataConfig) -> str:
    """The fingerprint of the images a config asks for, as a study records it.

    Quick where the images are small or in the cache.

    Args:
        config: Which images.

    Returns:
        ``Dataset.fingerprint``.

    Raises:
        InputError: The data set is unknown or its files are missing or unusable.
    """
    return load_dataset(config, quiet=True).fingerprint


def load_dataset(config: DataConfig, *, quiet: bool = True) -> Dataset:
    """Load, split and resize the images a config asks for.

    Args:
        config: Which images.
        quiet: Show no progress on stderr.

    Returns:
        The data set.

    Raises:
        InputError: The data set is unknown or its files are missing or unusable.
    """
    return _loaded(config, quiet=quiet).resplit(config.resplit_seed)


def _loaded(config: DataConfig, *, quiet: bool) -> Dataset:
    raw = load_raw(config)
    num_classes = len(raw.class_names)
    if num_classes < 2:
        raise InputError(
            "a data set needs images of two classes or more, "
            f"{config.root or config.name} has {num_classes}: "
            f"{', '.join(map(shown, raw.class_names))}"
        )
    splits = _split(raw, config)
    _check_sizes(splits, raw, config)
    if raw.folder is not None:
        dataset = _decoded(raw, raw.folder, splits, config, quiet=quiet)
        _check_sizes(_splits_of(dataset), raw, config)
        return dataset
    if raw.decode is not None:
        splits = {
            name: Split(raw.decode(split.images), split.labels)
            for name, split in splits.items()
        }
    mean, std = config.normalisation(*channel_moments(splits["train"].images))
    return Dataset(
        config.name,
        splits["train"],
        splits["validation"],
        splits["test"],
        raw.class_names,
        mean,
        std,
        is_split_drawn=raw.validation is None,
    )


def _splits_of(dataset: Dataset) -> dict[str, Split]:
    return {name: getattr(dataset, name) for name in ("train", "validation", "test")}


def _split(raw: RawDataset, config: DataConfig) -> dict[str, Split]:
    rng = np.random.default_rng(config.split_seed)
    train, validation, test = raw.train, raw.validation, raw.test
    if test is None:
        train, test = hold_out(train, config.test_fraction, rng)
    if validation is None:
        train, validation = hold_out(train, config.validation_fraction, rng)
    return {
        "train": at_most(train, config.max_train, rng),
        "validation": at_most(validation, config.max_validation, rng),
        "test": at_most(test, config.max_test, rng),
    }


def _check_sizes(splits: dict[str, Split], raw: RawDataset, config: DataConfig) -> None:
    num_classes = len(raw.class_names)
    there = set(np.unique(splits["train"].labels).tolist())
    missing = [name for label, name in enumerate(raw.class_names) if label not in there]
    if missing and raw.folder is not None:
        raise InputError(
            "every class needs a training image; there is none of "
            f"{', '.join(map(printable, missing[:5]))}{', ...' if missing[5:] else ''}"
        )
    for name, split in splits.items():
        if len(split) < num_classes:
            what = "training" if name == "train" else name
            raise InputError(
                f"every split needs at least one image a class ({num_classes}); the "
                f"{what} split of {config.name} has {len(split)}"
            )


def _decoded(
    raw: RawDataset,
    folder: ImageFolder,
    splits: dict[str, Split],
    config: DataConfig,
    *,
    quiet: bool,
) -> Dataset:
    """The splits of an image folder with pixels for positions."""
    size = config.image_size
    if size is None:
        raise InputError("data.image_size must be set where images are decoded")
    files = {
        # what has no directory of its own was held out of the training images
        name: folder.splits.get(name, folder.splits["train"]).take(split.images)
        for name, split in splits.items()
    }
    sizes = {name: size for name in files} | {"train": config.store_size or size}
    found = decode_images(
        files,
        sizes,
        folder.scanned_ns,
        on_error=config.on_error,
        use_cache=config.cache,
        quiet=quiet,
    )
    pixels = {
        name: Split(one.pixels, files[name].labels[one.readable], one.file)
        for name, one in found.splits.items()
    }
    mean, std = config.normalisation(found.mean, found.std)
    dataset = Dataset(
        config.name,
        pixels["train"],
        pixels["validation"],
        pixels["test"],
        raw.class_names,
        mean,
        std,
        train_size=size if sizes["train"] != size else None,
        is_split_drawn=raw.validation is None,
    )
    notes = (*folder.notes, *found.notes, *_balance(dataset))
    dataset = replace(dataset, notes=notes)
    object.__setattr__(dataset, "_digest", found.digest)
    return dataset


def _balance(dataset: Dataset) -> Iterator[str]:
    """How many training images the classes have, if not all the same."""
    counts = Counter(dataset.train.labels.tolist())
    names = [printable(name) for name in dataset.class_names]
    by_count = sorted((counts[label], name) for label, name in enumerate(names))
    (least, rarest), (most, commonest) = by_count[0], by_count[-1]
    if least == most:
        yield f"training images of each class: {least}"
        return
    yield f"training images of a class: {least} ({rarest}) to {most} ({commonest})"
    for name in ("validation", "test"):
        there = set(getattr(dataset, name).labels.tolist())
        gone = [names[label] for label in range(len(names)) if label not in there]
        if gone:
            named = ", ".join(gone[:5]) + (", ..." if gone[5:] else "")
            yield f"classes without {name} images, for want of them: {named}"
