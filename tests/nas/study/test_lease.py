import os
import subprocess
import sys
import time

import pytest

from nas.study.lease import Lease, is_driven, read_owner
from search_spaces.errors import InputError

HOLD = """
import sys, time
from pathlib import Path
from nas.study.lease import Lease
with Lease(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_driver_is_refused_until_the_first_is_dead(tmp_path):
    process = holder(tmp_path)
    try:
        assert is_driven(tmp_path)
        with pytest.raises(InputError, match=f"searched by process {process.pid} on"):
            Lease(tmp_path).__enter__()
    finally:
        process.kill()
        process.communicate()
    assert not is_driven(tmp_path)
    with Lease(tmp_path):
        assert read_owner(tmp_path)["pid"] == os.getpid()
        assert is_driven(tmp_path)
    assert not is_driven(tmp_path)
    assert read_owner(tmp_path) == {}


def test_looking_does_not_disturb(tmp_path):
    assert not is_driven(tmp_path)
    assert not (tmp_path / "driver.lock").exists()


def test_without_locks_a_silent_driver_counts_as_dead(tmp_path):
    with Lease(tmp_path, use_locks=False):
        with pytest.raises(InputError, match="one study has one driver"):
            Lease(tmp_path, use_locks=False).__enter__()
        long_ago = time.time() - 3600
        os.utime(tmp_path / "driver.lock", (long_ago, long_ago))
        with Lease(tmp_path, use_locks=False):
            pass


def test_a_missing_directory_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="must be writable to run a search"):
        Lease(tmp_path / "missing").__enter__()
