"""Numbers that describe all pixels of a data set: its fingerprint, its moments.

Both walk through the pixels a few megabytes at a time, so that a data set may be
larger than memory.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]

_STEP_BYTES = 1 << 24
"""Bytes at a time: fits into a processor's cache or nearly so."""

FINGERPRINT_DIGITS = 12
"""Digits that a study records: two data sets collide once in 2.8e14."""


def _steps(images: NDArray[Any]) -> Iterator[NDArray[Any]]:
    step = max(1, _STEP_BYTES // max(1, images[:1].nbytes))
    for start in range(0, len(images), step):
        yield images[start : start + step]


def pixel_digest(splits: Iterable[tuple[NDArray[Any], Labels]]) -> str:
    """64 hexadecimal digits that change with any pixel, label or split.

    Args:
        splits: Images and labels of each split, in a fixed order.

    Returns:
        SHA-256 of all of it; its first digits are the data set's fingerprint.
    """
    digest = hashlib.sha256()
    for images, labels in splits:
        for part in _steps(images):
            digest.update(np.ascontiguousarray(part).data)
        digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def channel_moments(images: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, in [0, 1] units.

    Args:
        images: ``(num, channels, height, width)`` uint8.

    Returns:
        Means and standard deviations; the latter at least 1e-3, for a constant channel.
    """
    channels = images.shape[1]
    histogram = np.zeros((channels, 256), np.int64)
    for part in _steps(images):
        for channel in range(channels):
            histogram[channel] += np.bincount(part[:, channel].ravel(), minlength=256)
    count = len(images) * images.shape[2] * images.shape[3]
    values = np.arange(256)
    means, stds = [], []
    for counts in histogram:
        mean = float((counts * values).sum() / count)
        variance = float((counts * (values - mean) ** 2).sum() / count)
        means.append(mean / 255)
        stds.append(max(variance**0.5 / 255, 1e-3))
    return tuple(means), tuple(stds)
