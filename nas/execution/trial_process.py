"""The operating system's side of a trial: its children, its stderr, its last words.

A trial may fork, start programs, write to stderr, close files that are not its own and
die in native code. What it leaves behind must neither keep its death a secret nor
outlive it.
"""

import ctypes
import faulthandler
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas.study.layout import TrialLayout

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_DESCRIPTORS = Path("/proc/self/fd")

_PATIENCE_S = 3.0
"""How long children may take to end when asked to; our choice: saving takes less."""

_SHARED = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
"""Python's helpers that serve all trials of a process, and end with it."""

_CLOSED = (
    "NAS: the trial closed file descriptors that are not its own "
    "(os.closerange?); its process cannot go on\n"
)

_guarded: set[str] = set()
"""Ray's sockets while a trial runs: what its forked children must not keep open."""

_hooked = False
_parent = 0


class TrialProcess:
    """What the trials of one process share; one trial at a time.

    Made before the first trial: what is open then belongs to Ray.
    """

    def __init__(self) -> None:
        self._polls = _open_files("anon_inode:[eventpoll]")
        self._stderr: Path | None = None
        self._saved_stderr = -1
        self._others: list[Any] = []
        _hook_forks()

    def begin(self, files: TrialLayout) -> None:
        """Prepare for a trial: its stderr goes to a file, its children are guarded.

        Args:
            files: Where its files go; the directory exists.

        Raises:
            OSError: The file of its stderr cannot be made.
        """
        self.end()
        file = os.open(
            files.stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666
        )
        self._saved_stderr = os.dup(2)
        os.dup2(file, 2)
        os.close(file)
        self._stderr = files.stderr
        # Again, so that it comes before the handlers that native code has installed.
        # It writes to whatever descriptor 2 is in that moment.
        faulthandler.disable()
        faulthandler.enable(file=2)
        self._others = _descendants()
        for descriptor, link in _open_files("socket:").items():
            _guarded.add(link)
            with suppress(OSError):  # programs that it starts do not get it, either
                os.set_inheritable(int(descriptor), False)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # orphans of its children stay to be found

    def last_words(self) -> str:
        """What the trial has written to stderr: its end."""
        return "" if self._stderr is None else read_tail(self._stderr)

    def has_lost_its_files(self) -> bool:
        """Whether all that Ray's event loops wait on was closed: they spin for ever."""
        return bool(self._polls) and not any(
            _link(descriptor) == link for descriptor, link in self._polls.items()
        )

    def give_up(self) -> None:
        """End this process at once, with a line about it."""
        os.write(2, _CLOSED.encode())
        os._exit(1)

    def end(self) -> None:
        """End what the trial has left, and take stderr back."""
        if self._stderr is None:
            return
        _end([p for p in _descendants() if p not in self._others])
        _prctl(_PR_SET_CHILD_SUBREAPER, 0)
        _guarded.clear()
        with suppress(ValueError, OSError):
            sys.stderr.flush()
        with suppress(OSError):  # the trial closed it
            os.dup2(self._saved_stderr, 2)
            os.close(self._saved_stderr)
        self._stderr.unlink(missing_ok=True)
        self._stderr = None


_TAIL_BYTES = 65_536
"""How much of a stderr is kept; our choice: some hundred lines."""


def read_tail(path: Path) -> str:
    """The end of a text file, ``""`` if there is none.

    Args:
        path: The file.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            content = file.read()
    except OSError:
        return ""
    return content.decode(errors="backslashreplace").strip()


def _link(descriptor: str) -> str:
    try:
        return os.readlink(_DESCRIPTORS / descriptor)
    except OSError:
        return ""


def _open_files(start: str) -> dict[str, str]:
    """Open descriptors whose file's name begins in a way; none but on Linux."""
    try:
        descriptors = os.listdir(_DESCRIPTORS)
    except OSError:
        return {}
    links = {descriptor: _link(descriptor) for descriptor in descriptors}
    return {d: link for d, link in links.items() if link.startswith(start)}


def _prctl(option: int, value: int) -> None:
    if _libc is not None:
        _libc.prctl(option, value, 0, 0, 0)


def _load_libc() -> Any:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


_libc = _load_libc()


def _hook_forks() -> None:
    global _hooked
    if not _hooked:
        os.register_at_fork(before=_before_fork, after_in_child=_in_child)
        _hooked = True


def _before_fork() -> None:
    global _parent
    _parent = os.getpid()


def _in_child() -> None:
    """Let go of the sockets by which Ray notices that the parent has died.

    They become /dev/null rather than being closed: native code in this process knows
    their numbers, and a file that the trial opens must not get one of them.
    """
    if not _guarded:
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _parent:  # it died before it was asked
        os._exit(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor, link in _open_files("socket:").items():
        if link in _guarded:
            os.dup2(null, int(descriptor), inheritable=False)
    os.close(null)


def _has_children() -> bool:
    """Whether psutil has to look through all processes of the machine (2 ms)."""
    if not hasattr(os, "waitid"):
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _descendants() -> list[Any]:
    # A child's orphans are this process's own: without children there are none.
    if not _has_children():
        return []
    import psutil  # Ray brings it, and puts it on the path

    found: list[Any] = psutil.Process().children(recursive=True)
    return found


def _end(processes: list[Any]) -> None:
    """SIGTERM, and SIGKILL for those who do not mind it."""
    import psutil

    ours = []
    for process in processes:
        with suppress(psutil.Error):
            if not any(name in " ".join(process.cmdline()) for name in _SHARED):
                process.terminate()
                ours.append(process)
    _, left = psutil.wait_procs(ours, timeout=_PATIENCE_S)
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=_PATIENCE_S)
