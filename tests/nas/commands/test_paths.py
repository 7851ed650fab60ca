import subprocess
import sys

import pytest

CODE = """
import sys
from nas.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    print("torch" in sys.modules, end.code)
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "/nope"], "a target is .*; got '/nope'"),
        (["space", "/nope"], "a config is .* there is no '/nope'"),
        (["search", "/nope"], "a config is .* there is no '/nope'"),
        (["train", "/nope", "--config", "quickstart"], "architecture file .* /nope"),
    ],
)
def test_a_wrong_path_is_told_before_torch_is_imported(arguments, message):
    import re

    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], capture_output=True, text=True
    )
    assert done.stdout.split() == ["False", "2"], done.stderr
    assert re.search(message, done.stderr)
