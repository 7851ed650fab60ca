"""Why a worker was lost: what Ray says of it, and what its trial's files say."""

import re
from contextlib import suppress
from dataclasses import dataclass

from nas.execution.trial_process import read_tail
from nas.ledger.cause import Cause
from nas.scoring.trial_run import FAILED_BY_TRIAL
from nas.study.layout import TrialLayout

OUT_OF_MEMORY = "out of memory"
"""Stands in the place of the signal where memory ran out."""

_SIGNALS = {
    "Aborted": "SIGABRT",
    "Segmentation fault": "SIGSEGV",
    "Bus error": "SIGBUS",
    "Floating point exception": "SIGFPE",
    "Floating-point exception": "SIGFPE",
    "Illegal instruction": "SIGILL",
}
"""The signals that faulthandler reports, by its words for them; whatever else it calls
a fatal error is Python's own, which then aborts."""

_DUMP = re.compile(r"^Fatal Python error: (.*)$", re.MULTILINE)
_FRAME = re.compile(r'^  File (".*", line \d+ in .*)$')
_USED = re.compile(r"was ([\d.]+) ?GB used / ([\d.]+) ?GB limit")
"""Out of the page of text with which Ray's memory monitor ends a process."""


@dataclass(frozen=True)
class Loss:
    """Why a worker was lost.

    Attributes:
        reason: In words.
        cause: As a fact.
        signal: What its process died of, e.g. ``"SIGABRT"``, or ``"out of memory"``.
            ``"SIGKILL"`` also if it just vanished: a process that leaves by ``_exit``
            cannot be told from a killed one. ``""`` if it is not its own death.
        place: Where in the program it died, ``""`` if that is unknown.
    """

    reason: str
    cause: Cause
    signal: str = ""
    place: str = ""


def diagnose(files: TrialLayout, text: str) -> Loss:
    """Say why a worker was lost, and keep its trial's last words in ``error.txt``.

    Args:
        files: Those of the trial that it ran.
        text: Ray's error text.
    """
    stack = files.time_limit
    if stack.is_file() and "Timeout" in (words := stack.read_text()):
        files.stderr.unlink(missing_ok=True)
        return Loss(
            f"ran longer than its time limit; stopped in {_top(words)}",
            Cause.TIME_LIMIT,
        )
    if FAILED_BY_TRIAL in text:
        reason = text.split(FAILED_BY_TRIAL, 1)[1].splitlines()[0].strip()
        return Loss(reason, Cause.TRIAL)
    words = read_tail(files.stderr)
    loss = _loss(text, words)
    if files.directory.is_dir():
        with suppress(OSError):  # a full disk: the ledger has the reason
            files.error.write_text(
                f"{loss.reason}\n\n{words}".rstrip() + "\n",
                encoding="utf-8",
                errors="backslashreplace",
            )
            files.stderr.unlink(missing_ok=True)
    return loss


def _loss(text: str, words: str) -> Loss:
    summary, cause = _summary(text)
    signal, place = _death(words)
    if cause is Cause.KILLED and signal:
        summary = f"its process died of {signal} in {place}"
    elif cause is Cause.KILLED:
        signal = "SIGKILL"
        last = words.rpartition("\n")[2]
        if last.startswith("NAS: "):  # its own reason to give up
            summary, signal = last.removeprefix("NAS: "), ""
    elif cause is Cause.MEMORY:
        signal, place = OUT_OF_MEMORY, ""
    else:
        signal = place = ""
    return Loss(f"lost with its worker: {summary}", cause, signal, place)


def _death(words: str) -> tuple[str, str]:
    """Signal and place out of the last dump of faulthandler, ``""`` without one."""
    dumps = list(_DUMP.finditer(words))
    if not dumps:
        return "", ""
    signal = _SIGNALS.get(dumps[-1][1].strip(), "SIGABRT")
    lines = words[dumps[-1].end() :].splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith("Current thread")]
    if heads:
        top = _FRAME.match("".join(lines[heads[0] + 1 : heads[0] + 2]))
        if top:
            return signal, top[1]
    return signal, signal


def _top(stack: str) -> str:
    """The innermost frame of our own thread in a faulthandler dump."""
    frames = [line.strip() for line in stack.splitlines() if line.startswith("  File")]
    frames = [f for f in frames if "threading.py" not in f and "queue.py" not in f]
    return frames[0].removeprefix("File ") if frames else "an unknown place"


_SIGNS = (
    ("node has died", "its node died", Cause.NODE),
    ("node failed", "its node died", Cause.NODE),
    ("node was terminated", "its node died", Cause.NODE),
    ("is unavailable", "its node, or the way to it, was lost", Cause.NODE),
    ("OutOfMemory", "memory ran out and Ray ended the process", Cause.MEMORY),
    ("running low on memory", "memory ran out and Ray ended the process", Cause.MEMORY),
    (
        "connection error code 2",
        "its process died (killed, or out of memory)",
        Cause.KILLED,
    ),
    ("SIGKILL", "its process was killed (or memory ran out)", Cause.KILLED),
)


def _summary(text: str) -> tuple[str, Cause]:
    """One line of Ray's page of text about a dead actor, and who is to blame."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if "creation task" in text:
        return f"its process could not start: {lines[-1][:300]}", Cause.START
    for sign, words, cause in _SIGNS:
        if sign.lower() in text.lower():
            if cause is Cause.MEMORY and (used := _USED.search(text)):
                words += f" ({used[1]} of {used[2]} GB of its node were in use)"
            return words, cause
    return " ".join(lines[1:4])[:300] or "the process ended", Cause.KILLED
