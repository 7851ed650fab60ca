"""Messages that reach Python and the command line alike name no command-line words."""

import ast
import re
from pathlib import Path

import pytest

from nas.cli import VERBS

ROOT = Path(__file__).parent.parent
WORDS = re.compile(rf"(?<![\w-])--[a-z]|\bnas ({'|'.join(VERBS)})\b")
ONLY_TYPED = {"commands", "serving", "cli.py"}
"""Started by the command line alone; the rest is called from Python as well."""


def messages(file):
    """(line, text) of each message given to InputError, hints left out."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "InputError":
            for argument in node.args:
                parts = [
                    part.value
                    for part in ast.walk(argument)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                ]
                yield node.lineno, "".join(parts)


def files():
    for package in ("search_spaces", "evaluators", "nas"):
        for file in sorted((ROOT / package).rglob("*.py")):
            where = file.relative_to(ROOT)
            if where.parts[0] != "nas" or where.parts[1] not in ONLY_TYPED:
                yield where


def test_words_of_the_command_line_are_hints():
    found = [
        f"{file}:{line}: {text}"
        for file in files()
        for line, text in messages(ROOT / file)
        if WORDS.search(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("code", "is_found"),
    [
        ('raise InputError(f"{path} is there; choose another --out")', True),
        ('raise InputError("resume it" + " with `nas resume`")', True),
        ('raise InputError(f"{path} is there", hint="choose another --out")', False),
        ('raise InputError("a rule -- of the nas package")', False),
    ],
)
def test_the_test_sees_them(code, is_found, tmp_path):
    (tmp_path / "a.py").write_text(code)
    ((_, text),) = messages(tmp_path / "a.py")
    assert bool(WORDS.search(text)) == is_found
