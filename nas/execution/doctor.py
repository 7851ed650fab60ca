"""What a machine needs for a search, and whether it has it.

Every check looks at one thing, changes nothing and never raises: a check that fails to
look says so.
"""

import importlib.util
import os
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from search_spaces.errors import InputError, one_line

FREE_GB = 2.0
"""Free disk below which a search is warned about (our choice: 100 small trials)."""

MIN_FILES = 1024
"""Open files below which Ray's workers run into the limit (our choice; Ray itself
warns below 1024)."""

MIN_SHARED_GB = 0.5
"""Shared memory below which Ray puts images on the disk (our choice)."""

SHOWN = 5
"""Broken images that are named (our choice: they fit into a few lines)."""

SLOW_SYNC_S = 0.1
"""Seconds of one fsync above which the ledger slows a search down (our choice: it
syncs once per trial)."""


class Level(StrEnum):
    """How bad a finding is."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        what: What was looked at.
        level: How bad it is.
        found: What is there.
        advice: What to do about it, or ``""``.
    """

    what: str
    level: Level
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        """The JSON form."""
        return {
            "what": self.what, "level": str(self.level), "found": self.found,
            "advice": self.advice,
        }  # fmt: skip


def examine(
    out: Path, config: str | None = None, changes: Sequence[str] = ()
) -> list[Finding]:
    """Look at everything.

    Args:
        out: Where studies will be written.
        config: A config whose images are wanted, or ``None``.
        changes: ``key.path=value`` texts.

    Raises:
        InputError: The config is wrong, or its images are not there.
    """
    first = (
        [] if config is None else [looked("images", lambda: images(config, changes))]
    )
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("packages", packages),
        *machine_checks(),
        ("local ports", ports),
        ("disk", lambda: disk(out)),
        ("study directory", lambda: study_directory(out)),
    ]
    return [*(looked(what, check) for what, check in checks), *first]


def machine_checks() -> list[tuple[str, Callable[[], Finding]]]:
    """Checks by name that mean the same on any machine that trains."""
    return [
        ("processor", processor),
        ("strided 1x1 convs", strided_convs),
        ("GPU", gpu),
        ("memory", memory),
        ("shared memory", shared_memory),
        ("file limit", file_limit),
    ]


def looked(what: str, check: Callable[[], Finding]) -> Finding:
    """What a check found, or that it could not look.

    Args:
        what: Its name.
        check: The check.

    Raises:
        InputError: The check says that an input is wrong.
    """
    try:
        return check()
    except InputError:
        raise
    except Exception as error:  # a check must not stop the others
        text = one_line(error)
        return Finding(what, Level.WARNING, f"could not be looked at: {text}")


def packages() -> Finding:
    """Whether what a search imports is installed."""
    wanted = ("torch", "torchvision", "ray", "optuna", "numpy", "pandas", "scipy")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        return Finding(
            "packages", Level.BAD, f"missing: {', '.join(missing)}", "make install"
        )
    found = [f"{name} {metadata.version(name)}" for name in ("torch", "ray", "optuna")]
    python = platform.python_version()
    return Finding("packages", Level.GOOD, f"Python {python}, {', '.join(found)}")


def processor() -> Finding:
    """CPUs, and the vector instructions that torch uses."""
    import torch

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    count = usable or os.cpu_count() or 1
    capability = torch.backends.cpu.get_cpu_capability()
    found = f"{count} CPUs, {capability}"
    if capability == "DEFAULT":
        return Finding(
            "processor", Level.WARNING, found,
            "torch finds no AVX2: training is several times slower than usual",
        )  # fmt: skip
    return Finding("processor", Level.GOOD, found)


def strided_convs() -> Finding:
    """The fault of oneDNN that corrupts memory, and whether it is kept away from."""
    import torch

    what = "strided 1x1 convs"
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return Finding(what, Level.GOOD, "torch has no oneDNN here")
    capability = torch.backends.cpu.get_cpu_capability()
    if capability == "AVX512":
        return Finding(what, Level.GOOD, "oneDNN with AVX-512: not seen to fail")
    return Finding(
        what, Level.GOOD,
        f"oneDNN with {capability} corrupts memory in their gradients; searches "
        "compute them without it",
        "in a training loop of your own, use "
        "search_spaces.blocks.strided_conv.safe_conv_gradients",
    )  # fmt: skip


def gpu() -> Finding:
    """GPUs that torch sees."""
    import torch

    if torch.cuda.is_available():
        names = [
            torch.cuda.get_device_name(index)
            for index in range(torch.cuda.device_count())
        ]
        return Finding(
            "GPU", Level.GOOD, ", ".join(names),
            "give trials a share: --set resources.gpus_per_trial=1",
        )  # fmt: skip
    if Path("/proc/driver/nvidia/version").exists():
        return Finding(
            "GPU", Level.WARNING, "a driver, but torch cannot use it",
            "install a torch built for CUDA: pytorch.org/get-started",
        )  # fmt: skip
    return Finding("GPU", Level.GOOD, "none: trials run on CPUs")


def memory() -> Finding:
    """Memory that is free now, per CPU."""
    pages, size = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    free = pages * size / 1e9
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024 / 1e9
    level = Level.GOOD if free >= 2 else Level.WARNING
    advice = "" if free >= 2 else "a trial takes about 1 GB: resources.max_concurrent"
    return Finding("memory", level, f"{free:.1f} GB available", advice)


def shared_memory() -> Finding:
    """Ray's store of images that all trials of a machine share."""
    path = Path("/dev/shm")
    if not path.is_dir():
        return Finding("shared memory", Level.GOOD, "this system has no /dev/shm")
    free = shutil.disk_usage(path).free / 1e9
    if free >= MIN_SHARED_GB:
        return Finding("shared memory", Level.GOOD, f"{free:.1f} GB free in {path}")
    return Finding(
        "shared memory", Level.WARNING, f"{free:.2f} GB free in {path}",
        "Ray then keeps images on the disk; in Docker: --shm-size=2g",
    )  # fmt: skip


def file_limit() -> Finding:
    """Files that a process may open."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < MIN_FILES:
        return Finding(
            "file limit", Level.WARNING, f"{soft} open files (at most {hard})",
            f"ulimit -n {min(hard, 65536) if hard > 0 else 65536}",
        )  # fmt: skip
    return Finding("file limit", Level.GOOD, f"{soft} open files")


def ports() -> Finding:
    """Whether a process may listen on this machine and be reached on it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
    return Finding("local ports", Level.GOOD, f"can listen and connect ({port} tried)")


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.is_dir():
        path = path.parent
    return path


def disk(out: Path) -> Finding:
    """Free space for studies, and for Ray's session files."""
    places = {str(_existing(out)): out, tempfile.gettempdir(): Path("Ray's sessions")}
    parts, least = [], float("inf")
    for place, what in places.items():
        free = shutil.disk_usage(place).free / 1e9
        least = min(least, free)
        parts.append(f"{free:.1f} GB for {what}")
    if least >= FREE_GB:
        return Finding("disk", Level.GOOD, ", ".join(parts))
    level = Level.BAD if least < 0.1 else Level.WARNING
    return Finding("disk", level, ", ".join(parts), "Ray's sessions follow RAY_TMPDIR")


def study_directory(out: Path) -> Finding:
    """Whether studies can be written, renamed whole and synced there."""
    place = _existing(out)
    with tempfile.TemporaryDirectory(dir=place, prefix=".nas-doctor-") as name:
        first, second = Path(name, "a"), Path(name, "b")
        started = time.perf_counter()
        with first.open("wb") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
        seconds = time.perf_counter() - started
        first.replace(second)
        if second.read_bytes() != b"x":
            return Finding("study directory", Level.BAD, "files get lost")
    found = f"{place}, on the disk after {1000 * seconds:.0f} ms"
    if seconds > SLOW_SYNC_S:
        return Finding(
            "study directory",
            Level.WARNING,
            found,
            "the ledger syncs each trial",
        )
    advice = ""
    if place.is_relative_to(tempfile.gettempdir()):
        advice = "a cluster's machines do not share it"
    return Finding("study directory", Level.GOOD, found, advice)


def images(config: str, changes: Sequence[str] = ()) -> Finding:
    """Whether a config is right, and its images are there and whole.

    Of a directory some are decoded, and start and end of the others are read.

    Args:
        config: Name of a preset, or path of a YAML file or of a study.
        changes: ``key.path=value`` texts.
    """
    from nas.config import load_config, with_plugins
    from nas.data.datasets import image_shape
    from nas.scoring.parent_space import space_of

    settings = with_plugins(load_config(config, changes))
    classes, channels, size = image_shape(settings.data)
    space_of(settings, (classes, channels, size))
    found = f"{settings.data.name}: {classes} classes, {channels} x {size} x {size}"
    if settings.data.name != "imagefolder":
        return Finding("images", Level.GOOD, found)
    from nas.data.image_check import check_images
    from nas.data.image_files import scan_image_folder

    folder = scan_image_folder(settings.data.find_root())
    check = check_images(folder, size)
    found += f"; {check.text()}"
    if not check.broken:
        return Finding("images", Level.GOOD, found, "; ".join(folder.notes))
    names = ", ".join(f"{name} ({why})" for name, why in check.broken[:SHOWN])
    more = ", ..." if check.broken[SHOWN:] else ""
    found += f"; {len(check.broken)} cannot be read: {names}{more}"
    if settings.data.on_error == "skip":
        return Finding("images", Level.WARNING, found, "they will be left out")
    advice = "mend or remove them, or leave them out: --set data.on_error=skip"
    return Finding("images", Level.BAD, found, advice)
