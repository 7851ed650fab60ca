"""Pixels of image files, and what follows from them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.data.cache_directory import CacheDirectory
from nas.data.decode_request import DecodeRequest
from nas.data.fingerprint import Pixels, channel_moments, pixel_digest
from nas.data.image_files import ImageFiles, printable

Unreadable = list[tuple[int, str]]
"""Position and reason of each file that cannot be read."""


@dataclass(frozen=True)
class DecodedSplit:
    """Pixels of one split.

    Attributes:
        pixels: ``(readable, channels, size, size)`` uint8.
        readable: Positions of the files that they are of.
        file: The file that the pixels are mapped from; ``None`` in memory.
    """

    pixels: Pixels
    readable: NDArray[np.int64]
    file: Path | None


@dataclass(frozen=True)
class DecodedImages:
    """Pixels of all splits, and what follows from them.

    Attributes:
        splits: The splits that were asked for.
        mean: Of each channel of the training images, in [0, 1] units.
        std: Standard deviation of each channel, in [0, 1] units.
        digest: Of all pixels and labels.
        notes: What a user should know, one line each.
    """

    splits: dict[str, DecodedSplit]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class SplitPixels:
    """One split's pixels as they are found or made.

    Attributes:
        pixels: ``(readable, channels, size, size)`` uint8.
        unreadable: Position and reason of each file that cannot be read.
        digests: One a file; empty if the record says what follows from them.
        key: Name of the pixels in the cache; ``""`` in memory.
        passing: Whether a file could not be read for a reason that may go away.
    """

    pixels: Pixels
    unreadable: Unreadable
    digests: list[str]
    key: str
    passing: bool


def pixel_shape(
    files: ImageFiles, size: int, unreadable: Unreadable
) -> tuple[int, int, int, int]:
    """``(readable, channels, height, width)`` of a split."""
    return len(files) - len(unreadable), 3, size, size


def split_views(
    request: DecodeRequest,
    entries: Mapping[str, SplitPixels],
    cache: CacheDirectory | None,
) -> dict[str, DecodedSplit]:
    """Each split's pixels, with the files they are of."""
    found = {}
    for split, entry in entries.items():
        gone = np.array([position for position, _ in entry.unreadable], np.int64)
        readable = np.setdiff1d(np.arange(len(request.splits[split])), gone)
        file = None if cache is None else cache.pixel_path(entry.key)
        found[split] = DecodedSplit(entry.pixels, readable, file)
    return found


def digest_of(request: DecodeRequest, splits: Mapping[str, DecodedSplit]) -> str:
    """Digest of all pixels and labels."""
    return pixel_digest(
        (splits[split].pixels, files.labels[splits[split].readable])
        for split, files in request.splits.items()
    )


def joined(
    request: DecodeRequest,
    entries: Mapping[str, SplitPixels],
    cache: CacheDirectory | None,
) -> DecodedImages:
    """The pixels of all splits, with their moments, digest and notes."""
    splits = split_views(request, entries, cache)
    train = splits["train"].pixels
    mean, std = channel_moments(train) if len(train) else ((0.0,) * 3, (1.0,) * 3)
    return DecodedImages(
        splits,
        mean,
        std,
        digest_of(request, splits),
        tuple(_duplicates(request.splits, entries)),
    )


def _duplicates(
    splits: Mapping[str, ImageFiles], entries: Mapping[str, SplitPixels]
) -> Iterator[str]:
    """What to say about files that are byte for byte the same."""
    places: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for split, entry in entries.items():
        gone = {position for position, _ in entry.unreadable}
        for position, digest in enumerate(entry.digests):
            if position not in gone:
                places[digest].append((split, position))
    groups = [group for group in places.values() if len(group) > 1]
    if not groups:
        return
    shown = " = ".join(printable(splits[s].names[p]) for s, p in groups[0][:2])
    text = f"files that are byte for byte another: {sum(map(len, groups))} ({shown}"
    text += ", ...)" if len(groups) > 1 or len(groups[0]) > 2 else ")"
    apart = sum(len({s for s, _ in group}) > 1 for group in groups)
    if apart:
        text += f"; {apart} of them in more than one split, which flatters accuracies"
    torn = sum(len({int(splits[s].labels[p]) for s, p in g}) > 1 for g in groups)
    if torn:
        text += f"; {torn} of them in more than one class"
    yield text
