"""A full disk: no fault of a trial, and nothing that the next one would be spared."""

import errno

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_WORDS = ("No space left on device", "Disk quota exceeded")
"""What libraries that are not written in Python put into errors of their own."""


def is_full_disk(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, says that a disk is full.

    Args:
        error: Of a trial or of the driver.
    """
    for _ in range(20):  # chains of errors may be circular
        if error is None:
            return False
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        if any(words in str(error) for words in _WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False
