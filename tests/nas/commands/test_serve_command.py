import os
import signal
import subprocess
import sys
import urllib.request

import pytest


def test_without_a_token_nothing_listens_elsewhere(published_copy):
    found = subprocess.run(
        [sys.executable, "-m", "nas.cli", "serve", published_copy, "--host", "0.0.0.0"],
        capture_output=True, text=True, timeout=200, env={**os.environ},
    )  # fmt: skip
    assert found.returncode == 2
    assert "needs --token" in found.stderr and found.stdout == ""


@pytest.mark.slow
def test_it_serves_until_it_is_interrupted(published_copy):
    process = subprocess.Popen(
        [sys.executable, "-m", "nas.cli", "serve", published_copy, "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{url}0/status.json", timeout=100) as answer:
            assert answer.status == 200
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=100)
    assert process.returncode == 130
