import errno

import pytest

from nas.execution.full_disk import is_full_disk


def raised(error, *, while_handling=None, cause=None):
    try:
        try:
            if while_handling is not None:
                raise while_handling
        finally:
            raise error from cause
    except BaseException as found:
        return found


FULL = OSError(errno.ENOSPC, "No space left on device", "weights.safetensors")


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        raised(RuntimeError("unexpected pos 64 vs 0"), while_handling=FULL),  # torch
        raised(ValueError("cannot be written"), cause=FULL),
        RuntimeError("I/O error: No space left on device (os error 28)"),  # safetensors
    ],
)
def test_a_full_disk_is_seen_through_other_errors(error):
    assert is_full_disk(error)


def test_other_errors_are_not_one():
    assert not is_full_disk(None)
    assert not is_full_disk(OSError(errno.EACCES, "Permission denied"))
    circular = ValueError("a")
    circular.__cause__ = RuntimeError("b")
    circular.__cause__.__cause__ = circular
    assert not is_full_disk(circular)
