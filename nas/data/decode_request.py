"""What is to be decoded: files of every split, and the sizes of their pixels."""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from nas.data.decoding import decoder_version
from nas.data.image_files import ImageFiles
from nas.terminal import make_console, say

CACHE_VERSION = 1
"""Of the files in the cache."""

_RESTING_NS = 2_000_000_000
"""The coarsest clock of a file system in use (FAT, 2 s)."""


@dataclass(frozen=True)
class DecodeRequest:
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
        digest = hashlib.sha256(f"{CACHE_VERSION} {decoder_version()}".encode())
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
        """Say a line on stderr, unless it is to be quiet."""
        if not self.quiet:
            say(line, err=True)

    @contextmanager
    def progress(self, where: str) -> Iterator[Callable[[int], None]]:
        """A bar on a terminal; elsewhere a line before and one after."""
        total = sum(len(files) for files in self.splits.values())
        if self.quiet:
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
        self.say(f"decoding {total} images, once, {where}")
        started = time.perf_counter()
        yield lambda _: None
        self.say(f"decoded {total} images in {time.perf_counter() - started:.1f} s")
