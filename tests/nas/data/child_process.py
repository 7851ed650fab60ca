"""Run a function in a child process that has imported everything already.

A fresh interpreter would spend seconds on importing torch.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path


class ChildProcess:
    """A fork of this process that runs one function and ends.

    Args:
        function: Runs in the child.
        output: File that gets the child's stdout and stderr.
    """

    def __init__(self, function: Callable[[], object], output: Path) -> None:
        self._output = output
        with warnings.catch_warnings():
            # Python 3.12 warns of forks beside threads; none holds a lock here.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if self._pid == 0:
            self._run(function)

    def _run(self, function: Callable[[], object]) -> None:
        code = 1
        try:
            file = self._output.open("w", encoding="utf-8")
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            sys.stdout = sys.stderr = file
            function()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def wait(self) -> int:
        """Its exit code; minus the signal's number if a signal ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    @property
    def output(self) -> str:
        """What it has written by now."""
        return self._output.read_text(encoding="utf-8")
