import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
STUDY = str(ROOT / "results" / "cifar10-placement")

CASES = [
    (["evaluate", "/nope"], "a target is .*; got '/nope'"),
    (["space", "/nope"], "a config is .* there is no '/nope'"),
    (["search", "/nope"], "a config is .* there is no '/nope'"),
    (["train", "/nope", "--config", "quickstart"], "architecture file .* /nope"),
    (["export", "/nope", "--to", "out"], "/nope is not a study: it does not exist"),
    # A figure that cannot be drawn is told before what it shows is computed.
    (["pareto", "/nope", "--plot", "x.txt"], "a figure file ends in one of .png"),
    (["rule", "/nope", "--plot", "x.txt"], "a figure file ends in one of .png"),
    (["predict", "/nope", "--plot", "/nope/x.png"], "a directory that is there"),
    (["show", "/nope", "--plot", "x.txt"], "a figure file ends in one of .png"),
    (["train", "a", "--config", "b", "--plot", "x.txt"], "a figure file ends in"),
    (["doctor", "/nope"], "a config is .* there is no '/nope'"),
    (["search", str(ROOT / "tests")], "is another directory .of images. nas init"),
    (["init", "/nope"], "there is no /nope"),
    (["init", __file__], "test_paths.py is a file"),
    (["search", "--from", STUDY], "of --from holds an AlterNet: .* has no architec"),
    (["probe", "quickstart", "--to", "/nope/a.safetensors"], "a directory that is th"),
    (["evaluate", f"{STUDY}/trials/999"], "no trial 999; numbers: 0 to"),
    (["status", STUDY, "--every", "1"], "--every is for --watch"),
    (["doctor", "--set", "a=b"], "a setting of a config; none was named"),
    (["search", "images", "--set", "data.root=nope"], "there is no 'nope' in '/"),
    (["search", "images", "--set", f"data.root={__file__}"], "test_paths.py' is a fi"),
    (["search", "quickstart", "--out", STUDY], "a new study needs a new directory"),
    (["search", "quickstart", "--address", "127.0.0.1:9"], "nothing answers there"),
    (["resume", STUDY, "--trials", "3"], "must be at least 160 here, got 3"),
    (["resume", STUDY, "--address", "127.0.0.1:9"], "nothing answers there"),
    (["export", STUDY, "--to", "out", "--formats", "x"], "formats are yaml, "),
]

CODE = f"""
import sys
from nas.cli import main
for arguments, _ in {CASES!r}:
    try:
        main(arguments)
    except SystemExit as end:
        assert (end.code, "torch" in sys.modules) == (2, False), arguments
"""


def test_a_wrong_path_is_told_before_torch_is_imported(tmp_path):
    """All in one process: what one of them imported, the next would be blamed for."""
    # Not in this directory: whoever has run the quickstart has runs/quickstart here.
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    for line, (_, message) in zip(lines, CASES, strict=True):
        assert re.search(message, line)
