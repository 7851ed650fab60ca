"""Image files as pixels: decoded once, then mapped from the user's cache directory.

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
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nas.data.cache_directory import (
    CacheDirectory,
    CacheUnusableError,
    map_pixels,
    npy_header,
    user_cache_directory,
)
from nas.data.decoder_pool import decode_files, digest_files
from nas.data.decoding import decoder_version
from nas.data.fingerprint import Pixels, channel_moments, pixel_digest
from nas.data.image_files import ImageFiles, printable
from nas.terminal import make_console, say
from search_spaces.errors import InputError

_VERSION = 1
"""Of the files in the cache."""

_RESTING_NS = 2_000_000_000
"""The coarsest clock of a file system in use (FAT, 2 s)."""

_VERIFIED_BYTES = 1 << 30
"""Caches up to here are compared with their checksum at every start (0.7 s a GiB);
larger ones when they have been written, or their file has changed since."""

_SHOWN = 50
"""Unreadable files that a message lists before it refers to a file with all."""

Unreadable = list[tuple[int, str]]


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
class _Request:
    """What is to be decoded.

    Attributes:
        splits: Files of each split.
        sizes: Height (= width) of each split's pixels.
        scanned_ns: When the files were listed.
        quiet: Whether nothing is said on stderr.
    """

    splits: Mapping[str, ImageFiles]
    sizes: Mapping[str, int]
    scanned_ns: int
    quiet: bool

    @property
    def key(self) -> str:
        """Name of the record: of everything but the files' content."""
        digest = hashlib.sha256(f"{_VERSION} {decoder_version()}".encode())
        for split, files in self.splits.items():
            digest.update(f"\n{split} {self.sizes[split]} {len(files)}\n".encode())
            digest.update(b"\0".join(map(os.fsencode, files.names)))
            digest.update(files.labels.tobytes())
            digest.update(files.states.tobytes())
        return f"list-{digest.hexdigest()[:32]}"

    @property
    def num_bytes(self) -> int:
        """Bytes of all pixels."""
        return sum(len(f) * 3 * self.sizes[s] ** 2 for s, f in self.splits.items())

    def at_rest(self) -> bool:
        """Whether no file was changed shortly before it was listed."""
        latest = max(int(f.states[:, 2].max()) for f in self.splits.values() if len(f))
        return latest < self.scanned_ns - _RESTING_NS

    def say(self, line: str) -> None:
        if not self.quiet:
            say(line, err=True)


@dataclass(frozen=True)
class _Entry:
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


def decoded_images(
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
    request = _Request(splits, sizes, scanned_ns, quiet)
    notes: list[str] = []
    cache: CacheDirectory | None = None
    found: DecodedImages | None = None
    unreadable: dict[str, Unreadable] = {}
    if use_cache:
        try:
            cache = CacheDirectory(user_cache_directory())
            found, unreadable = _with_cache(cache, request)
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


def _with_cache(
    cache: CacheDirectory, request: _Request
) -> tuple[DecodedImages, dict[str, Unreadable]]:
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
        with _progress(request, f"into {cache.path}") as advance:
            entries = {
                split: _found_or_made(cache, key, files, request.sizes[split], advance)
                for split, files in request.splits.items()
            }
        images = _images(request, entries, cache)
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
    cache: CacheDirectory, key: str, request: _Request
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
            split: _Entry(
                map_pixels(
                    cache.pixel_path(record["pixels"][split]),
                    _shape(files, request.sizes[split], unreadable[split]),
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
    splits = _splits(request, entries, cache)
    small = request.num_bytes <= _VERIFIED_BYTES
    if small or states != record["states"]:
        if _digest(request, splits) != record["digest"]:
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


def _shape(
    files: ImageFiles, size: int, unreadable: Unreadable
) -> tuple[int, int, int, int]:
    return len(files) - len(unreadable), 3, size, size


def _is_whole(cache: CacheDirectory, entry: _Entry) -> bool:
    record = cache.read_record(entry.key)
    return record is not None and record["sha256"] == _sha256(entry.pixels)


def _sha256(pixels: Pixels) -> str:
    return pixel_digest([(pixels, np.empty(0, np.int64))])


def _content_key(digests: Sequence[str], size: int) -> str:
    digest = hashlib.sha256(f"{_VERSION} {decoder_version()} {size}".encode())
    digest.update(json.dumps(digests).encode())
    return f"pixels-{len(digests)}x{size}-{digest.hexdigest()[:32]}"


def _found_or_made(
    cache: CacheDirectory,
    lock: str,
    files: ImageFiles,
    size: int,
    advance: Callable[[int], None],
) -> _Entry:
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
        shape = _shape(files, size, unreadable)
        draft.file.flush()
        draft.file.truncate(len(blank) + int(np.prod(shape)))
        draft.file.seek(0)
        draft.file.write(npy_header(shape))
        key = _content_key(digests, size)
        draft.name = f"{key}.npy"
    record = {"sha256": checksum.hexdigest(), "unreadable": unreadable}
    cache.write_record(key, record, lock)
    pixels = map_pixels(cache.pixel_path(key), shape)
    return _Entry(pixels, unreadable, digests, key, passing)


def _found(
    cache: CacheDirectory, files: ImageFiles, size: int, digests: list[str]
) -> _Entry | None:
    key = _content_key(digests, size)
    record = cache.read_record(key)
    if record is None:
        return None
    unreadable = [(position, reason) for position, reason in record["unreadable"]]
    shape = _shape(files, size, unreadable)
    try:
        pixels = map_pixels(cache.pixel_path(key), shape)
    except OSError:
        return None
    entry = _Entry(pixels, unreadable, digests, key, False)
    return entry if record["sha256"] == _sha256(pixels) else None


def _reserve(descriptor: int, num_bytes: int) -> None:
    """Find out that the disk is full before anything is decoded."""
    free = os.fstatvfs(descriptor)
    if free.f_bavail * free.f_frsize < num_bytes:
        gibibytes = num_bytes / 2**30
        raise OSError(0, f"the disk is too full for {gibibytes:.3g} GiB of pixels")


def _in_memory(
    request: _Request, notes: list[str]
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
    with _progress(request, "into memory") as advance:
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
            entries[split] = _Entry(readable, unreadable, digests, "", False)
    images = _images(request, entries, None)
    return images, {split: entry.unreadable for split, entry in entries.items()}


def _splits(
    request: _Request, entries: Mapping[str, _Entry], cache: CacheDirectory | None
) -> dict[str, DecodedSplit]:
    found = {}
    for split, entry in entries.items():
        gone = np.array([position for position, _ in entry.unreadable], np.int64)
        readable = np.setdiff1d(np.arange(len(request.splits[split])), gone)
        file = None if cache is None else cache.pixel_path(entry.key)
        found[split] = DecodedSplit(entry.pixels, readable, file)
    return found


def _digest(request: _Request, splits: Mapping[str, DecodedSplit]) -> str:
    return pixel_digest(
        (splits[split].pixels, files.labels[splits[split].readable])
        for split, files in request.splits.items()
    )


def _images(
    request: _Request, entries: Mapping[str, _Entry], cache: CacheDirectory | None
) -> DecodedImages:
    splits = _splits(request, entries, cache)
    train = splits["train"].pixels
    mean, std = channel_moments(train) if len(train) else ((0.0,) * 3, (1.0,) * 3)
    return DecodedImages(
        splits,
        mean,
        std,
        _digest(request, splits),
        tuple(_duplicates(request.splits, entries)),
    )


def _duplicates(
    splits: Mapping[str, ImageFiles], entries: Mapping[str, _Entry]
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


@contextmanager
def _progress(request: _Request, where: str) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; elsewhere a line before and one after."""
    total = sum(len(files) for files in request.splits.values())
    if request.quiet:
        yield lambda _: None
        return
    if sys.stderr.isatty():
        from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

        with Progress(
            *Progress.get_default_columns()[:2],
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=make_console(err=True),
            transient=True,
        ) as bar:
            task = bar.add_task("decoding images, once", total=total)
            yield lambda done: bar.advance(task, done)
        return
    request.say(f"decoding {total} images, once, {where}")
    started = time.perf_counter()
    yield lambda _: None
    request.say(f"decoded {total} images in {time.perf_counter() - started:.1f} s")
