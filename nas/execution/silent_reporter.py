"""Keeps Tune's own reports out of a search, which has its own."""

from typing import Any

from ray.tune import ProgressReporter


class SilentReporter(ProgressReporter):
    """Reports nothing.

    Tune's own reporter puts an empty cell of HTML into a notebook even at
    ``verbose=0``.
    """

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        """Never.

        Args:
            trials: Tune's trials.
            done: Whether the search has ended.
        """
        return False

    def report(self, trials: list[Any], done: bool, *sys_info: Any) -> None:
        """Nothing.

        Args:
            trials: Tune's trials.
            done: Whether the search has ended.
            *sys_info: Tune's lines about the machine.
        """
