"""One line of the journal: a JSON object that carries its own checksum.

Each record ends with ``"crc"``, the CRC-32 of the bytes before it. Optuna and
optuna-dashboard do not look at the key. A line that has none (of an older version, or
written by another Optuna process) is taken as it is. A line that does not agree with
its checksum is damaged. If one flipped bit explains the damage, that bit is turned
back: CRC-32 tells single flips apart in lines of up to 11 kB and nearly so beyond.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_KEY = b',"crc":"'
_SEAL = len(_KEY) + 8 + 2  # the key, eight digits, the closing quote and brace

_MOST_REPAIRED = 50_000
"""Bytes of the longest line whose flipped bit is searched for: about two seconds."""


@dataclass(frozen=True)
class RecordLine:
    """What a line of a journal says.

    Attributes:
        number: Number of the line in the file, from 1.
        log: The operation, ``None`` if it cannot be told any more.
        problem: What is wrong with the line, or ``""``.
    """

    number: int
    log: dict[str, Any] | None
    problem: str = ""


def sealed(log: Mapping[str, Any]) -> bytes:
    """A record as it is written, with its checksum and the end of the line."""
    text = json.dumps(log, separators=(",", ":")).encode()[:-1]
    return text + b'%s%08x"}\n' % (_KEY, zlib.crc32(text))


def is_whole(line: bytes) -> bool:
    """Whether a line, without its end, has a checksum and agrees with it."""
    return line[-_SEAL:] == b'%s%08x"}' % (_KEY, zlib.crc32(line[:-_SEAL]))


def read_whole(lines: Sequence[bytes]) -> list[dict[str, Any]] | None:
    """Read many lines at once: three times as fast as one by one.

    Args:
        lines: Lines without their ends.

    Returns:
        The operations; ``None`` if the lines have to be read one by one, because some
        have no checksum, do not agree with it or are no operation.
    """
    if not all(map(is_whole, lines)):
        return None
    try:
        logs: list[dict[str, Any]] = json.loads(b"[%s]" % b",".join(lines))
    except (ValueError, RecursionError):
        return None
    if len(logs) != len(lines):
        return None
    for log in logs:
        if type(log.get("op_code")) is not int:
            return None
        del log["crc"]
    return logs


def read_lines(lines: Sequence[bytes], first: int = 1) -> Iterator[RecordLine]:
    """Read lines one by one, damaged or not.

    Args:
        lines: Lines without their ends.
        first: Number of the first one in the file.

    Yields:
        One record a line; one for two lines where a line end has come in by a flipped
        bit, two for one where it has gone.
    """
    index = 0
    while index < len(lines):
        number, line = first + index, lines[index]
        index += 1
        record = read_line(line, number)
        if record.log is not None:
            yield record
            continue
        following = lines[index] if index < len(lines) else b""
        if (log := _log(_joined(line, following))) is not None:
            yield RecordLine(number, log, _turned_back(number))
            index += 1
        elif parts := _parts(line):
            for part in parts:
                yield RecordLine(number, _log(part), _turned_back(number))
        else:
            yield record


def read_line(line: bytes, number: int) -> RecordLine:
    """Read one line by itself.

    Args:
        line: The line without its end.
        number: Its number in the file.
    """
    if is_whole(line) or _KEY not in line[-_SEAL - 8 :]:
        log = _log(line)
        if log is not None:
            return RecordLine(number, log)
    if (log := _log(_repaired(line))) is not None:
        return RecordLine(number, log, _turned_back(number))
    if _KEY in line[-_SEAL - 8 :]:
        words = "it does not agree with its checksum"
    else:
        words = "it is no JSON object with an op_code"
    return RecordLine(number, None, f"line {number} is damaged ({words})")


def _turned_back(number: int) -> str:
    return f"line {number} had a flipped bit, which its checksum has turned back"


def _log(line: bytes | None) -> dict[str, Any] | None:
    """The operation in a line, ``None`` if there is none in it."""
    if line is None:
        return None
    try:
        log = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(log, dict) or type(log.get("op_code")) is not int:
        return None
    log.pop("crc", None)
    return log


def _repaired(line: bytes) -> bytes | None:
    """The line with the one bit turned back that makes it whole, if there is one."""
    if len(line) > _MOST_REPAIRED or len(line) <= _SEAL:
        return None
    if line[-_SEAL : 8 - _SEAL] != _KEY or not line.endswith(b'"}'):
        places = range(len(line) - _SEAL, len(line))
        return next((one for one in _flips(line, places) if is_whole(one)), None)
    wanted = b"%08x" % zlib.crc32(line[:-_SEAL])
    if sum((a ^ b).bit_count() for a, b in zip(line[-10:-2], wanted, strict=True)) == 1:
        return line[:-10] + wanted + line[-2:]
    try:
        checksum = int(line[-10:-2], 16)
    except ValueError:
        return None
    body = bytearray(line[:-_SEAL])
    for place in range(len(body)):
        for bit in range(8):
            body[place] ^= 1 << bit
            if zlib.crc32(body) == checksum:
                return bytes(body) + line[-_SEAL:]
            body[place] ^= 1 << bit
    return None


def _flips(line: bytes, places: range) -> Iterator[bytes]:
    """The line with each bit of some of its bytes turned, one after the other."""
    for place in places:
        for bit in range(8):
            flipped = bytearray(line)
            flipped[place] ^= 1 << bit
            yield bytes(flipped)


def _joined(line: bytes, following: bytes) -> bytes | None:
    """Two lines as the one that they were before a byte became a line end."""
    if not is_sealed(following) or is_whole(following):
        return None
    places = range(len(line), len(line) + 1)
    both = line + b"\n" + following
    return next((one for one in _flips(both, places) if is_whole(one)), None)


def is_sealed(line: bytes) -> bool:
    """Whether a line ends in a checksum, right or wrong."""
    return line[-_SEAL : 8 - _SEAL] == _KEY


def _parts(line: bytes) -> tuple[bytes, bytes] | None:
    """The two records of a line whose line end in the middle has gone."""
    start = 0
    while (start := line.find(_KEY, start)) >= 0:
        end = start + _SEAL
        first, second = line[:end], line[end + 1 :]
        if is_whole(first) and is_whole(second):
            return first, second
        start = end
    return None
