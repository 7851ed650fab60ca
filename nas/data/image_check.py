"""Whether the files of a directory are images, without decoding all of them."""

import io
import os
import time
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image

from nas.data.decoding import decode_image
from nas.data.image_files import ImageFolder, file_state, printable

DECODED = 200
"""Images that are decoded whole, spread evenly (our choice: those of `nas init`)."""

SECONDS = 30.0
"""After which no further file is looked at (our choice: one still waits for it)."""

_TAIL = 64
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
"""What whole files have in their last bytes. The end of a photograph's preview is
further up; a file with something behind its end is decoded."""


@dataclass(frozen=True)
class ImageCheck:
    """What was found about the files of a directory.

    Attributes:
        num_files: Files that are images by their names.
        num_decoded: Of them, decoded whole.
        num_opened: Of the others, opened: size and format, and of PNG and JPEG the end.
        broken: Name and reason of each that a search could not read.
    """

    num_files: int
    num_decoded: int
    num_opened: int
    broken: tuple[tuple[str, str], ...]

    def text(self) -> str:
        """How many were looked at, and how."""
        if self.num_decoded == self.num_files:
            return f"all {self.num_files:,} images decoded"
        looked = f"{self.num_decoded:,} of {self.num_files:,} images decoded"
        rest = self.num_files - self.num_decoded
        if self.num_opened == rest:
            return f"{looked}, start and end of the others read"
        return (
            f"{looked}, start and end of {self.num_opened:,} others read in "
            f"{SECONDS:.0f} s"
        )


def check_images(folder: ImageFolder, size: int) -> ImageCheck:
    """Decode some images whole and look at the beginning and the end of the others.

    A file that ends too early is decoded whole, to be sure.

    Args:
        folder: The files.
        size: Height (= width) in pixels that a search would give them.

    Returns:
        What was found.
    """
    deadline = time.monotonic() + SECONDS
    files = [(one, i) for one in folder.splits.values() for i in range(len(one))]
    first = np.unique(np.linspace(0, len(files) - 1, DECODED).astype(int)).tolist()
    chosen = set(first)
    others = [position for position in range(len(files)) if position not in chosen]
    broken: dict[int, str] = {}
    done = {True: 0, False: 0}
    for position in (*first, *others):
        if time.monotonic() > deadline:
            break
        is_whole = position in chosen
        try:
            split, index = files[position]
            _look(split.path(index), size, whole=is_whole)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            broken[position] = " ".join(reason.split())
        done[is_whole] += 1
    names = [(printable(files[p][0].names[files[p][1]]), broken[p]) for p in broken]
    return ImageCheck(len(files), done[True], done[False], tuple(sorted(names)))


def _look(path: str, size: int, *, whole: bool) -> None:
    """Raises ``OSError`` or ``ValueError`` if it is no image."""
    if not os.path.isfile(path) and os.path.exists(path):
        raise ValueError("it is no regular file")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not whole and _looks_whole(file):
            return
        file.seek(0)
        decode_image(file.read(), size)


def _looks_whole(file: io.BufferedReader) -> bool:
    """Whether it starts and ends as an image; ``False`` if only decoding tells."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(file)
    except Exception:  # noqa: BLE001 - damaged files make decoders raise anything
        return False
    num_bytes, _, _ = file_state(os.fstat(file.fileno()))
    file.seek(max(0, num_bytes - _TAIL))
    return _ENDS.get(str(image.format), b"") in file.read()
