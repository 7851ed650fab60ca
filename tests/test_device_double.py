"""Runs the cases of ``device_cases.py`` in a process of their own."""

import subprocess
import sys
from pathlib import Path


def test_everything_works_on_a_device_that_is_not_the_cpu():
    cases = Path(__file__).with_name("device_cases.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cases],
        capture_output=True,
        text=True,
        cwd=cases.parents[1],
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
