"""Where Tune keeps its own state while a search runs; nobody reads it."""

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def tune_directory() -> Iterator[str]:
    """A temporary directory; those that killed drivers of this host left are removed.

    Its name has the host and the process, ``nas-tune-HOST-PID-...``, because the
    directory for temporary files may be shared.
    """
    host = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())
    pattern = re.compile(rf"nas-tune-{re.escape(host)}-(\d+)-[^-]+")
    for found in Path(tempfile.gettempdir()).glob("nas-tune-*"):
        match = pattern.fullmatch(found.name)
        if match and _is_ours(found) and not _runs(int(match[1])):
            shutil.rmtree(found, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"nas-tune-{host}-{os.getpid()}-") as made:
        yield made


def _is_ours(path: Path) -> bool:
    with suppress(OSError):
        return path.lstat().st_uid == os.getuid()
    return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
