"""The directory in which a command was started, for the processes that work for it.

A process of a Ray cluster starts in a directory of the cluster's; what a config names
relatively (``data.root``, ``scoring.path``, ``parent.weights``) is meant from where the
user stands.
"""

import os
from contextlib import suppress
from pathlib import Path


def go_to(directory: Path) -> None:
    """Work in a directory from now on.

    Args:
        directory: Where the command was started. On a node that does not see it nothing
            is changed: names of files that every node sees are absolute there.
    """
    with suppress(OSError):
        os.chdir(directory)
