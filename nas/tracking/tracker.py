"""One tracker, fed from a thread of its own so that it cannot hold the search up.

A server that does not answer, a full disk or a slow database costs the tracker its
results, and the user one line on stderr; the search goes on.
"""

import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from nas.terminal import say
from search_spaces.errors import one_line

MakeLogger = Callable[[], AbstractContextManager[Any]]
"""Makes a logger and tidies up behind it: Tune's own for TensorBoard, else one of this
package with the same methods (``setup``, ``log_trial_start``, ``log_trial_result``,
``log_trial_end``, ``on_experiment_end``)."""


class Tracker:
    """Passes calls on to a logger, in their order.

    Args:
        name: How messages name it.
        where: Where a user finds what it shows.
        make: Makes the logger; called in the thread.
        patience_s: How long the end of a search waits for it.
    """

    def __init__(
        self, name: str, where: str, make: MakeLogger, patience_s: float = 30.0
    ) -> None:
        self.name = name
        self._where = where
        self._make = make
        self._patience_s = patience_s
        self._calls: queue.SimpleQueue[tuple[str, tuple[Any, ...]] | None]
        self._calls = queue.SimpleQueue()
        self._failed = threading.Event()
        self._thread = threading.Thread(
            target=self._work, name=f"tracking to {name}", daemon=True
        )

    def __str__(self) -> str:
        return f"{self.name}: {self._where}"

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def call(self, method: str, *args: Any) -> None:
        """Call a method of the logger soon; returns at once."""
        if not self._failed.is_set():
            self._calls.put((method, args))

    def close(self) -> None:
        """Wait until everything is written, or patience runs out."""
        self._calls.put(None)
        self._thread.join(self._patience_s)
        if self._thread.is_alive():
            self._say(f"is not done after {self._patience_s:g} s; what is left is lost")

    def _work(self) -> None:
        try:
            with self._make() as logger:
                logger.setup()
                while (call := self._calls.get()) is not None:
                    method, args = call
                    getattr(logger, method)(*args)
                logger.on_experiment_end(trials=[])
        except Exception as error:
            self._failed.set()
            reason = one_line(error, 300)
            self._say(f"failed and is off now: {type(error).__name__}: {reason}")

    def _say(self, problem: str) -> None:
        text = f"tracking to {self.name} {problem} (the search is not affected)"
        say(text, err=True)
