import ast
import io
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from nas.terminal import make_console, printable, say, write_what_can_be_written

NAS = Path(__file__).parents[2] / "nas"


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text):
    safe = printable(text)
    for char in safe:
        assert char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs")
        assert unicodedata.bidirectional(char) not in ("LRO", "RLO", "RLI", "PDI")
    assert printable(safe) == safe
    safe.encode()


def test_escapes_are_readable():
    assert printable("a\x1b[31mb\x9b\u202e\ud800\tc\n") == (
        "a\\x1b[31mb\\x9b\\u202e\\ud800\tc\n"
    )


def test_lines_and_tables_are_made_printable(capsys):
    say("\x1b]0;title\x07", err=True)
    assert capsys.readouterr().err == "\\x1b]0;title\\x07\n"
    grid = Table(title="\x1b[2J")
    grid.add_column("[red]metric\x1b")
    grid.add_row("[/bold] :smile: \x1b[0m")
    console = make_console()
    console.print(grid)
    console.print("[link=x]\x1b")
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    for text in (
        "\\x1b[2J",
        "[red]metric\\x1b",
        "[/bold] :smile: \\x1b[0m",
        "[link=x]",
    ):
        assert text in printed


def test_a_table_keeps_its_columns_aligned(capsys):
    grid = Table()
    grid.add_column("a")
    grid.add_column("b")
    grid.add_row("\x1b\x1b", "1")
    grid.add_row("x", "2")
    make_console().print(grid)
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1, lines


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def test_nothing_in_nas_writes_to_the_terminal_past_it():
    """Exceptions: a page printed for a file, and a worker's own stderr."""
    allowed = {"terminal.py", "api_reference.py", "trial_worker.py"}
    found = [
        f"{path.relative_to(NAS)}:{line} {name}"
        for path in NAS.rglob("*.py")
        if path.name not in allowed
        for name, line in calls(ast.parse(path.read_text(encoding="utf-8")))
        if name in ("print", "click.echo", "click.secho", "Console", "sys.stdout.write")
        or name.startswith("traceback.print")
    ]
    assert not found


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_without_these_characters_shows_the_nearest(encoding, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    write_what_can_be_written()
    if encoding != "ascii":  # click takes that for UTF-8 that was set up wrongly
        say("a ↑ b")
    grid = Table()
    grid.add_column("░ M ↓")
    make_console().print(grid)
    sys.stdout.flush()
    text = written.getvalue().decode(encoding)
    assert encoding == "ascii" or ("a ↑ b", "a ^ b")[encoding != "utf-8"] in text
    assert ("░ M ↓" if encoding == "utf-8" else ". M v") in text


def test_a_reader_that_has_gone_is_no_failure():
    reading, writing = os.pipe()
    os.close(reading)
    code = (
        "from nas.cli import main; from nas.terminal import make_console\n"
        "import nas.cli; nas.cli.nas.main = lambda **_: [\n"
        "    make_console().print('x' * 5000) for _ in range(100)]\n"
        "main(['pareto'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(NAS.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE,
        env=environment,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_table_in_ascii_stays_aligned(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    write_what_can_be_written()
    grid = Table()
    grid.add_column("a ± b")
    grid.add_column("c")
    grid.add_row("▓▓ ░░ ▁█ 日", "1 ± 2")
    make_console().print(grid)
    sys.stdout.flush()
    lines = written.getvalue().decode("ascii").splitlines()
    assert "## .. _# ?" in lines[3] and "1 +- 2" in lines[3]
    assert len(set(map(len, lines))) == 1


@pytest.mark.parametrize("err", [False, True])
def test_a_pipe_has_80_columns(monkeypatch, err):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert make_console(err=err).width == 80
