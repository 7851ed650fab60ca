"""The program ``nas``: Ctrl-C ends it in one line from its first moment on.

While modules are imported, and while the interpreter goes down, a ``KeyboardInterrupt``
would be a traceback, or be swallowed by whoever is importing. Elsewhere the commands
see to it themselves.
"""

import signal

TYPE_CHECKING = False  # every import is time in which Ctrl-C is not ours yet
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

_INTERRUPTED = 130  # exit code of a shell for a process ended by Ctrl-C


def _end(signum: int, frame: "FrameType | None") -> "NoReturn":
    import os

    os.write(2, b"nas: interrupted\n")
    os._exit(_INTERRUPTED)


def _interrupt(signum: int, frame: "FrameType | None") -> None:
    inner = frame
    while inner is not None:
        if inner.f_code.co_filename == "<frozen importlib._bootstrap>":
            _end(signum, frame)
        inner = inner.f_back
    raise KeyboardInterrupt


def main() -> "NoReturn":
    """Import the command line, run it and exit."""
    # Else it is to be ignored, as that of `nas ... &` in a script.
    may_interrupt = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if may_interrupt:
        signal.signal(signal.SIGINT, _end)
    from nas.cli import main as run

    try:
        if may_interrupt:
            signal.signal(signal.SIGINT, _interrupt)
        run()
    finally:
        import gc

        gc.disable()  # a last look for cycles among all objects, which are to go anyway
        if may_interrupt:
            signal.signal(signal.SIGINT, _end)
