"""Splits of images, and what a loader returns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.cache_directory import map_pixels
from nas.data.image_files import ImageFolder

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Images and labels of one split.

    Attributes:
        images: ``(num, channels, height, width)`` uint8; in a RawDataset that decodes,
            whatever its ``decode`` takes.
        labels: ``(num,)`` int64.
        file: The file that all of ``images`` are mapped from, if they are: then the
            split travels to another process of this machine as a path.
    """

    images: NDArray[Any]
    labels: Labels
    file: Path | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> "Split":
        """The images at the given positions, copied into memory."""
        return Split(np.asarray(self.images[indices]), self.labels[indices])

    def in_memory(self) -> "Split":
        """The same split with its images in memory, for another machine."""
        if self.file is None:
            return self
        return Split(np.array(self.images), self.labels)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path of mapped images instead of the images."""
        if self.file is None:
            return Split, (self.images, self.labels)
        return _mapped_split, (self.file, self.images.shape, self.labels)


def _mapped_split(file: Path, shape: tuple[int, ...], labels: Labels) -> Split:
    try:
        images = map_pixels(file, shape)
    except OSError as error:
        raise RuntimeError(
            f"the decoded images are gone or cannot be read here: {file}: "
            f"{error.strerror or error}; `nas resume` makes them again. On several "
            "machines XDG_CACHE_HOME must name a directory that all of them see"
        ) from error
    return Split(images, labels, file)


@dataclass(frozen=True)
class RawDataset:
    """What a loader returns: splits as the data set has them.

    Attributes:
        train: Training images.
        class_names: One name a class.
        validation: Validation images, or ``None`` to hold some of ``train`` out.
        test: Test images, or ``None`` to hold some of ``train`` out.
        decode: Turns ``Split.images`` into pixels where they are something else, e.g.
            names, so that only the images that the config keeps are read.
        folder: Image files; ``Split.images`` are then positions among the files of
            the split of that name. They are decoded once and kept in the cache.
    """

    train: Split
    class_names: tuple[str, ...]
    validation: Split | None = None
    test: Split | None = None
    decode: Callable[[NDArray[Any]], Pixels] | None = None
    folder: ImageFolder | None = None
