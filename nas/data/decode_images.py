"""Image files as pixels: found in the user's cache directory, or decoded.

Where the cache cannot be used, the pixels are kept in memory and that is said.
"""

import os
import tempfile
from collections.abc import Mapping
from typing import Literal

import numpy as np

from nas.data.cache_directory import (
    CacheDirectory,
    CacheUnusableError,
    user_cache_directory,
)
from nas.data.decode_request import DecodeRequest
from nas.data.decoded_images import DecodedImages, SplitPixels, Unreadable, joined
from nas.data.decoder_pool import decode_files
from nas.data.image_files import ImageFiles, printable
from nas.data.pixel_cache import from_cache
from search_spaces.errors import InputError

_SHOWN = 50
"""Unreadable files that a message lists before it refers to a file with all."""


def decode_images(
    splits: Mapping[str, ImageFiles],
    sizes: Mapping[str, int],
    scanned_ns: int,
    *,
    on_error: Literal["stop", "skip"],
    use_cache: bool,
    quiet: bool,
) -> DecodedImages:
    """Decode image files, or find them decoded.

    Args:
        splits: Files by split, ``train`` among them.
        sizes: Height (= width) of each split's pixels.
        scanned_ns: When the files were listed, in ns since 1970.
        on_error: What to do about files that cannot be read.
        use_cache: Whether to keep the pixels in the user's cache directory.
        quiet: Show no progress.

    Returns:
        The pixels.

    Raises:
        InputError: Files cannot be read (``stop``), or the pixels fit neither on the
            disk nor into memory.
    """
    request = DecodeRequest(splits, sizes, scanned_ns, quiet)
    notes: list[str] = []
    cache: CacheDirectory | None = None
    found: DecodedImages | None = None
    unreadable: dict[str, Unreadable] = {}
    if use_cache:
        try:
            cache = CacheDirectory(user_cache_directory())
            found, unreadable = from_cache(cache, request)
        except CacheUnusableError as problem:
            notes.append(_in_memory_note(str(problem)))
        except OSError as problem:
            place = "" if cache is None else f"{cache.path}: "
            notes.append(_in_memory_note(f"{place}{problem.strerror or problem}"))
    if found is None:
        found, unreadable = _in_memory(request, notes)
    problem_text = _unreadable_text(splits, unreadable, cache)
    if problem_text and on_error == "stop":
        raise InputError(
            f"{problem_text}; mend or remove them, or leave them out with "
            "data.on_error: skip",
            hint="--set data.on_error=skip",
        )
    if problem_text:
        notes.append(f"left out: {problem_text}")
    return DecodedImages(
        found.splits, found.mean, found.std, found.digest, (*notes, *found.notes)
    )


def _in_memory_note(reason: str) -> str:
    return (
        "decoded images are kept in memory and will be decoded again next time, "
        f"because the cache directory cannot be used: {reason}"
    )


def _unreadable_text(
    splits: Mapping[str, ImageFiles],
    unreadable: Mapping[str, Unreadable],
    cache: CacheDirectory | None,
) -> str:
    lines = [
        f"{printable(splits[split].names[position])} ({reason})"
        for split, found in unreadable.items()
        for position, reason in found
    ]
    if not lines:
        return ""
    total = sum(len(files) for files in splits.values())
    text = f"{len(lines)} of {total} images cannot be read: "
    if len(lines) <= _SHOWN:
        return text + ", ".join(lines)
    try:
        descriptor, path = tempfile.mkstemp(
            ".txt", "unreadable-", None if cache is None else cache.path
        )
        with open(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError:  # nowhere to write: the message has to hold them all
        return text + ", ".join(lines)
    return f"{text}{', '.join(lines[:_SHOWN])}, ... (all of them: {path})"


def _in_memory(
    request: DecodeRequest, notes: list[str]
) -> tuple[DecodedImages, dict[str, Unreadable]]:
    """Decode into memory, where there is no cache."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if request.num_bytes > memory:
        raise InputError(
            f"decoded images must fit on the disk or into memory: they take "
            f"{request.num_bytes / 2**30:.3g} GiB, the memory has "
            f"{memory / 2**30:.3g} GiB" + "".join(f"; {note}" for note in notes)
        )
    entries = {}
    with request.progress("into memory") as advance:
        for split, files in request.splits.items():
            size = request.sizes[split]
            pixels = np.empty((len(files), 3, size, size), np.uint8)
            unreadable: Unreadable = []
            digests: list[str] = []
            for part in decode_files(files, size, advance):
                start = part.start - len(unreadable)
                pixels[start : start + len(part.pixels)] = part.pixels
                unreadable += part.unreadable
                digests += part.digests
            readable = pixels[: len(files) - len(unreadable)]
            entries[split] = SplitPixels(readable, unreadable, digests, "", False)
    images = joined(request, entries, None)
    return images, {split: entry.unreadable for split, entry in entries.items()}
