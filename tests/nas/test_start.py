"""Ctrl-C at any moment of the program's start, each made sure of by its import."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["nas", *{arguments!r}]
from nas.start import main
main()
"""


def run(module, arguments, **options):
    program = PROGRAM.format(module=module, arguments=arguments)
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, timeout=120, check=False, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("click", ["--help"]),
        ("nas.commands.status", ["status", "runs/nowhere"]),
        ("nas.config.loading", ["search", "quickstart"]),
        ("evaluators.registry", ["search", "quickstart"]),
    ],
)
def test_an_interrupted_import_ends_the_program_in_one_line(
    module, arguments, tmp_path
):
    done = run(module, arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (130, "nas: interrupted\n")
    assert done.stdout == ""


def test_what_was_started_to_run_on_is_not_ended():
    def ignore():
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    done = run("click", ["--help"], preexec_fn=ignore)
    assert done.returncode == 0 and "Usage: nas" in done.stdout


def test_an_interrupt_outside_imports_is_left_to_the_command(monkeypatch, capsys):
    import nas.start

    monkeypatch.setattr(sys, "argv", ["nas", "--help"])
    seen = []

    def command():
        seen.append(signal.getsignal(signal.SIGINT))
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("nas.cli.main", command)
    # A shell without job control has it ignored in what it puts in the background.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            nas.start.main()
        assert seen[0] is not signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
