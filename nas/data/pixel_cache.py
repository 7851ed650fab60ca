"""Decoded images in the user's cache directory: decoded once, then mapped.

Two levels lead to the pixels of a split:

1.  A *record*, named by what a listing of the files says: names, labels, sizes and
    times of the last change of content and of the file's entry. It is trusted only if
    every file had been at rest for two seconds when it was listed (as git does), else
    a later write within the clock's step would not be seen.
2.  *Pixels*, named by the content of the files (SHA-256), the size and the versions of
    the decoders. A copied, moved or touched directory is read once to find them again,
    and not decoded.

What level 1 cannot see: a file changed so that its size and both times stay as they
were, which only the file system itself can do (a disk edited while it is not mounted,
a network file system that invents the times).
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence

import numpy as np

from nas.data.cache_directory import CacheDirectory, map_pixels, npy_header
from nas.data.decode_request import CACHE_VERSION, DecodeRequest
from nas.data.decoded_images import (
    DecodedImages,
    SplitPixels,
    Unreadable,
    digest_of,
    joined,
    pixel_shape,
    split_views,
)
from nas.data.decoder_pool import decode_files, digest_files
from nas.data.decoding import decoder_version
from nas.data.fingerprint import Pixels, pixel_digest
from nas.data.image_files import ImageFiles

_VERIFIED_BYTES = 1 << 30
"""Caches up to here are compared with their checksum at every start (0.7 s a GiB);
larger ones when they have been written, or their file has changed since."""


def from_cache(
    cache: CacheDirectory, request: DecodeRequest
) -> tuple[DecodedImages, dict[str, Unreadable]]:
    """The pixels from the cache, decoded into it first where they are not there.

    Args:
        cache: Where they are kept.
        request: What is wanted.

    Returns:
        The pixels, and the files of each split that cannot be read.

    Raises:
        OSError: The cache cannot be written.
    """
    key = request.key
    known = _known(cache, key, request)
    if known is not None:
        return known

    def waiting() -> None:
        request.say("another process decodes these images; waiting for it")

    with cache.lock(key, waiting):
        known = _known(cache, key, request)  # the other process has made it
        if known is not None:
            return known
        with request.progress(f"into {cache.path}") as advance:
            entries = {
                split: _found_or_made(cache, key, files, request.sizes[split], advance)
                for split, files in request.splits.items()
            }
        images = joined(request, entries, cache)
        passing = any(entry.passing for entry in entries.values())
        record = {
            "trusted": request.at_rest() and not passing,
            "pixels": {split: entry.key for split, entry in entries.items()},
            "unreadable": {s: entry.unreadable for s, entry in entries.items()},
            "states": {s: _state(cache, entry.key) for s, entry in entries.items()},
            "mean": images.mean,
            "std": images.std,
            "digest": images.digest,
            "notes": images.notes,
        }
        cache.write_record(key, record)
    return images, {split: entry.unreadable for split, entry in entries.items()}


def _state(cache: CacheDirectory, key: str) -> list[int]:
    """What changes when a file is written to, or another one takes its place."""
    found = cache.pixel_path(key).stat()
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _known(
    cache: CacheDirectory, key: str, request: DecodeRequest
) -> tuple[DecodedImages, dict[str, Unreadable]] | None:
    """What a record says, if it and the pixels that it names are whole."""
    record = cache.read_record(key)
    if record is None or not record["trusted"]:
        return None
    unreadable: dict[str, Unreadable] = {
        split: [(position, reason) for position, reason in found]
        for split, found in record["unreadable"].items()
    }
    try:
        entries = {
            split: SplitPixels(
                map_pixels(
                    cache.pixel_path(record["pixels"][split]),
                    pixel_shape(files, request.sizes[split], unreadable[split]),
                ),
                unreadable[split],
                [],
                record["pixels"][split],
                False,
            )
            for split, files in request.splits.items()
        }
        states = {split: _state(cache, entry.key) for split, entry in entries.items()}
    except OSError:
        return None
    splits = split_views(request, entries, cache)
    small = request.num_bytes <= _VERIFIED_BYTES
    if small or states != record["states"]:
        if digest_of(request, splits) != record["digest"]:
            for entry in entries.values():
                if not _is_whole(cache, entry):
                    request.say(
                        "a file of the cache is damaged and made again: "
                        f"{cache.pixel_path(entry.key)}"
                    )
                    cache.remove(entry.key)
            return None
        if states != record["states"]:
            cache.write_record(key, {**record, "states": states})
    images = DecodedImages(
        splits,
        tuple(record["mean"]),
        tuple(record["std"]),
        record["digest"],
        tuple(record["notes"]),
    )
    return images, unreadable


def _is_whole(cache: CacheDirectory, entry: SplitPixels) -> bool:
    record = cache.read_record(entry.key)
    return record is not None and record["sha256"] == _sha256(entry.pixels)


def _sha256(pixels: Pixels) -> str:
    return pixel_digest([(pixels, np.empty(0, np.int64))])


def _content_key(digests: Sequence[str], size: int) -> str:
    digest = hashlib.sha256(f"{CACHE_VERSION} {decoder_version()} {size}".encode())
    digest.update(json.dumps(digests).encode())
    return f"pixels-{len(digests)}x{size}-{digest.hexdigest()[:32]}"


def _found_or_made(
    cache: CacheDirectory,
    lock: str,
    files: ImageFiles,
    size: int,
    advance: Callable[[int], None],
) -> SplitPixels:
    """A split's pixels: found by the files' content, else decoded into the cache."""
    if any(cache.path.glob(f"pixels-{len(files)}x{size}-*.json")):
        digests = digest_files(files, lambda _: None)
        entry = _found(cache, files, size, digests)
        if entry is not None:
            advance(len(files))
            return entry
    unreadable: Unreadable = []
    digests = []
    passing = False
    checksum = hashlib.sha256()
    with cache.draft(lock) as draft:
        blank = npy_header((len(files), 3, size, size))
        _reserve(draft.file.fileno(), len(blank) + len(files) * 3 * size**2)
        draft.file.write(blank)
        for part in decode_files(files, size, advance):
            draft.file.write(part.pixels.data)
            checksum.update(part.pixels.data)
            unreadable += part.unreadable
            digests += part.digests
            passing |= part.passing
        shape = pixel_shape(files, size, unreadable)
        draft.file.flush()
        draft.file.truncate(len(blank) + int(np.prod(shape)))
        draft.file.seek(0)
        draft.file.write(npy_header(shape))
        key = _content_key(digests, size)
        draft.name = f"{key}.npy"
    record = {"sha256": checksum.hexdigest(), "unreadable": unreadable}
    cache.write_record(key, record, lock)
    pixels = map_pixels(cache.pixel_path(key), shape)
    return SplitPixels(pixels, unreadable, digests, key, passing)


def _found(
    cache: CacheDirectory, files: ImageFiles, size: int, digests: list[str]
) -> SplitPixels | None:
    key = _content_key(digests, size)
    record = cache.read_record(key)
    if record is None:
        return None
    unreadable = [(position, reason) for position, reason in record["unreadable"]]
    shape = pixel_shape(files, size, unreadable)
    try:
        pixels = map_pixels(cache.pixel_path(key), shape)
    except OSError:
        return None
    entry = SplitPixels(pixels, unreadable, digests, key, False)
    return entry if record["sha256"] == _sha256(pixels) else None


def _reserve(descriptor: int, num_bytes: int) -> None:
    """Find out that the disk is full before anything is decoded."""
    free = os.fstatvfs(descriptor)
    if free.f_bavail * free.f_frsize < num_bytes:
        gibibytes = num_bytes / 2**30
        raise OSError(0, f"the disk is too full for {gibibytes:.3g} GiB of pixels")
