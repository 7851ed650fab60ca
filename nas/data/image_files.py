"""Which files of a directory are images of which class, found without opening them.

A directory has one directory a class, or ``train``, ``val`` and ``test`` directories
of such. The order of the files is that of torchvision's ``ImageFolder``, so that a
seed means the same images; unlike it, hidden and empty directories are no classes,
and directories that contain themselves through a link are walked once.
"""

import errno
import os
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import InputError

IMAGE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".ppm",
    ".bmp",
    ".pgm",
    ".tif",
    ".tiff",
    ".webp",
)
"""torchvision.datasets.folder.IMG_EXTENSIONS; a GIF may be a film, so it is not one."""

SPLIT_DIRECTORIES = {
    "train": ("train",),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}
"""Directory names of each split; the first that is there is taken."""

_NUM_EXAMPLES = 3
"""Names that a note gives as examples (our choice: they fit into one line)."""

NO_STATE = (-1, -1, -1)
"""State of a file that the system says nothing about, e.g. a dangling link."""


@dataclass(frozen=True)
class ImageFiles:
    """Image files of one split.

    Attributes:
        root: Directory that the names are relative to.
        names: Paths below ``root``, in the order of torchvision's ``ImageFolder``.
        labels: ``(num,)`` int64, position of the class in the sorted class names.
        states: ``(num, 3)`` int64: bytes, and times of the last change of content and
            of the file's entry in ns since 1970.
    """

    root: Path
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    states: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, positions: NDArray[np.int64]) -> "ImageFiles":
        """The files at the given positions."""
        return ImageFiles(
            self.root,
            tuple(self.names[position] for position in positions.tolist()),
            self.labels[positions],
            self.states[positions],
        )

    def path(self, position: int) -> str:
        """Path of one file."""
        return os.path.join(self.root, self.names[position])


@dataclass(frozen=True)
class ImageFolder:
    """What a directory of images holds.

    Attributes:
        splits: Files of ``train`` and, where they have directories of their own, of
            ``validation`` and ``test``.
        class_names: Sorted names of the class directories.
        notes: What was passed over, one line each.
        scanned_ns: When the scan began, in ns since 1970.
    """

    splits: dict[str, ImageFiles]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]
    scanned_ns: int


def printable(name: str) -> str:
    """A file name as one line of a terminal can show it.

    Args:
        name: Any name, control characters and undecodable bytes included.

    Returns:
        The name; what cannot be printed as a backslash escape.
    """
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in name
    )


@dataclass
class _PassedOver:
    """What a walk does not take, by the reason, with a few examples."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        self.counts[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _NUM_EXAMPLES:
            examples.append(printable(name))

    def notes(self) -> Iterator[str]:
        for reason, count in self.counts.items():
            shown = ", ".join(self.examples[reason])
            more = ", ..." if count > _NUM_EXAMPLES else ""
            yield f"{reason}: {count} ({shown}{more})"


_HIDDEN_FILES = "hidden files, passed over"
_HIDDEN_DIRECTORIES = "hidden directories, passed over"
_EMPTY = "directories without images, no classes"
_GIF = "GIF files, passed over (they may be films; save one frame as PNG)"
_OTHER = "files that are no images by their name, passed over"
_LOOP = "directories that contain themselves through a link, walked once"
_LOOSE = "images beside the class directories, passed over"
_BESIDE = "directories beside train, val and test, passed over"
_NESTED = "images in directories below their class directory, taken"


def scan_image_folder(root: Path) -> ImageFolder:
    """List the images of a directory.

    Args:
        root: A directory with one directory a class; or with ``train`` and perhaps
            ``val`` and ``test`` of that form.

    Returns:
        Files and classes.

    Raises:
        InputError: There are no classes, splits differ in them, or a directory cannot
            be listed.
    """
    scanned_ns = time.time_ns()
    root = root.absolute()
    passed = _PassedOver()
    splits: dict[str, ImageFiles] = {}
    classes: tuple[str, ...] = ()
    for split, folder in _split_directories(root, passed).items():
        found, names = _scan_split(root, folder, passed)
        if classes and names != classes:
            raise InputError(_classes_differ(folder, names, classes))
        if not names:
            passed_over = "; ".join(passed.notes())
            raise InputError(
                f"{str(folder)!r} must hold one directory a class with images in it "
                f"({', '.join(IMAGE_SUFFIXES)}); there is none"
                + (f" ({passed_over})" if passed_over else "")
            )
        classes = names
        splits[split] = found
    return ImageFolder(splits, classes, tuple(passed.notes()), scanned_ns)


def _classes_differ(
    folder: Path, names: tuple[str, ...], classes: tuple[str, ...]
) -> str:
    missing = [name for name in classes if name not in names]
    extra = [name for name in names if name not in classes]
    parts = [
        f"{what} {', '.join(map(printable, some[:5]))}{', ...' if some[5:] else ''}"
        for what, some in (("has no images of", missing), ("has besides", extra))
        if some
    ]
    return (
        "all splits must have the same classes; compared with train, "
        f"{str(folder)!r} {' and '.join(parts)}"
    )


def _split_directories(root: Path, passed: _PassedOver) -> dict[str, Path]:
    train = root / "train"
    if not train.is_dir() or not any(map(_is_directory, _entries(str(train)))):
        return {"train": root}
    folders = {}
    for split, names in SPLIT_DIRECTORIES.items():
        there = [name for name in names if (root / name).is_dir()]
        if there:
            folders[split] = root / there[0]
    taken = {folder.name for folder in folders.values()}
    for entry in _entries(str(root)):
        if entry.name not in taken and _is_directory(entry):
            hidden = entry.name.startswith(".")
            passed.add(_HIDDEN_DIRECTORIES if hidden else _BESIDE, entry.name)
    return folders


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"a directory of images must be readable: {printable(directory)}: "
            f"{error.strerror}"
        ) from error


def _scan_split(
    root: Path, folder: Path, passed: _PassedOver
) -> tuple[ImageFiles, tuple[str, ...]]:
    found: list[tuple[str, tuple[int, int, int]]] = []
    labels: list[int] = []
    classes: list[str] = []
    for entry in _entries(str(folder)):
        shown = os.path.relpath(entry.path, root)
        if not _is_directory(entry):
            if _suffix(entry.name) in IMAGE_SUFFIXES and entry.name[0] != ".":
                passed.add(_LOOSE, shown)
            continue
        if entry.name.startswith("."):
            passed.add(_HIDDEN_DIRECTORIES, shown)
            continue
        images = sorted(_walk(entry.path, str(root), passed))
        if not images:
            passed.add(_EMPTY, shown)
            continue
        for directory, name, state in images:
            if directory != entry.path:
                passed.add(_NESTED, os.path.relpath(f"{directory}/{name}", root))
            found.append((f"{directory}/{name}", state))
        labels += [len(classes)] * len(images)
        classes.append(entry.name)
    prefix = len(os.path.join(root, ""))
    files = ImageFiles(
        root,
        tuple(path[prefix:] for path, _ in found),
        np.array(labels, np.int64),
        np.array([state for _, state in found], np.int64).reshape(-1, 3),
    )
    return files, tuple(classes)


def _walk(
    top: str, root: str, passed: _PassedOver
) -> Iterable[tuple[str, str, tuple[int, int, int]]]:
    """Directory, name and state of every image below a class directory."""
    # all directories above: a link to any of them leads back here
    above_top = tuple(_identity(str(one)) for one in (Path(top), *Path(top).parents))
    waiting = [(top, above_top)]
    while waiting:  # no recursion: directories may be deeper than Python's stack
        directory, above = waiting.pop()
        for entry in _entries(directory):
            name = entry.name
            hidden = name.startswith(".")
            if _is_directory(entry):
                if hidden:
                    passed.add(_HIDDEN_DIRECTORIES, os.path.relpath(entry.path, root))
                    continue
                identity = _identity(entry.path)
                if identity in above:
                    passed.add(_LOOP, os.path.relpath(entry.path, root))
                    continue
                waiting.append((entry.path, (*above, identity)))
                continue
            suffix = _suffix(name)
            if hidden:
                passed.add(_HIDDEN_FILES, os.path.relpath(entry.path, root))
            elif suffix in IMAGE_SUFFIXES:
                yield directory, name, _state(entry)
            else:
                reason = _GIF if suffix == ".gif" else _OTHER
                passed.add(reason, os.path.relpath(entry.path, root))


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _identity(directory: str) -> tuple[int, int]:
    found = os.stat(directory)
    return found.st_dev, found.st_ino


def _state(entry: os.DirEntry[str]) -> tuple[int, int, int]:
    try:
        found = entry.stat()
    except OSError:  # a dangling link, or one without end
        return NO_STATE
    return file_state(found)


def file_state(found: os.stat_result) -> tuple[int, int, int]:
    """Size and times of a file, as ``ImageFiles.states`` keeps them."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def read_file(path: str, state: tuple[int, int, int]) -> bytes:
    """Read a file whole, if it still is what the scan has seen.

    Args:
        path: The file.
        state: Its state at the scan.

    Returns:
        The content.

    Raises:
        OSError: It cannot be read, is no regular file, or has changed.
    """
    # without O_NONBLOCK a named pipe called x.jpg would wait for a writer for ever
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is no regular file")
        if file_state(found) != state:
            raise OSError(errno.ESTALE, "changed while the images were read")
        return file.readall()
