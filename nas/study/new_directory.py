"""The directory of a study that is to be made: free before, gone if it is refused."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nas.ledger.atomic_file import DRAFT_SUFFIX
from nas.ledger.output_directory import output_directory
from nas.study.layout import StudyLayout
from nas.study.lease import Lease
from nas.study.study import Study
from nas.study_path import RUNS
from search_spaces.errors import InputError


def free_directory(name: str, out: str | os.PathLike[str] | None) -> Path:
    """Where a new study goes.

    Args:
        name: Of the study.
        out: Where the user wants it; ``runs/<name>`` if ``None``.

    Raises:
        InputError: There is something already.
    """
    directory = RUNS / name if out is None else Path(out)
    if directory.exists() and (not directory.is_dir() or _is_taken(directory)):
        raise _taken(directory)
    return directory


def _taken(directory: Path) -> InputError:
    is_study = StudyLayout(directory).exists()
    return InputError(
        f"a new study needs a new directory, but {directory} is there; "
        f"{'resume it, or ' if is_study else ''}choose another one",
        hint=f"{f'nas resume {directory}, or ' if is_study else ''}--out DIR",
    )


@contextmanager
def new_directory(directory: Path) -> Iterator[None]:
    """Make it and hold its lease, and take back what a refused search has written.

    Args:
        directory: A free one.

    Raises:
        InputError: It cannot be made, or another search was quicker.
    """
    made = not directory.exists()
    output_directory(directory, "the study directory")
    # Two searches may have seen the directory free. Who has the lease looks again, and
    # only that one may take back what is there.
    with Lease(directory):
        if _is_taken(directory):
            raise _taken(directory)
        try:
            yield
        except BaseException as error:
            files = list(directory.iterdir())
            # What has been trained already stays, and can be resumed.
            is_refused = isinstance(error, InputError) and not _has_trials(directory)
            if not _is_taken(directory) or (
                is_refused and all(one.is_file() for one in files)
            ):
                for one in files:
                    one.unlink()
            if made:
                with suppress(OSError):  # it is not empty
                    directory.rmdir()
            raise


def _is_taken(directory: Path) -> bool:
    """Whether there is more than what a driver leaves that was killed at its start."""
    return any(
        path != StudyLayout(directory).lease and not path.name.endswith(DRAFT_SUFFIX)
        for path in directory.iterdir()
    )


def _has_trials(directory: Path) -> bool:
    try:
        return bool(Study.open(directory).trials())
    except InputError:
        return False
