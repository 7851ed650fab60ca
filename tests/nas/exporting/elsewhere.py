"""Run code in a process that has none of this project's packages."""

import os
import subprocess
import sys

FORBID = """import sys
for name in ("nas", "search_spaces", "evaluators"):
    sys.modules[name] = None  # what `import` of it then raises is ImportError
"""


def run_elsewhere(code, directory):
    """What the code prints, run in a directory, our packages forbidden."""
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "-c", FORBID + code],
        cwd=directory,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
