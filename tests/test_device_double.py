"""Runs the cases of ``device_cases.py`` in a process of their own."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "cases", ["not slow", pytest.param("slow", marks=pytest.mark.slow)]
)
def test_everything_works_on_a_device_that_is_not_the_cpu(cases):
    file = Path(__file__).with_name("device_cases.py")
    words = ["-q", "-p", "no:cacheprovider", "-m", cases, file]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        capture_output=True,
        text=True,
        cwd=file.parents[1],
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
