"""Spoil a text or a command line at random, as accidents and malice do."""

import random

ODD = (
    "", "\0", "\x1b[2J", "\u202e", "\ud800", "é", "-", "--", "=", "'", '"', "[", "]",
    "{", "}", "&a", "*a", "!!timestamp x", "!!int ''", "<<", "~", "null", "on", "off",
    "nan", ".inf", "-1", "0", "1e308", "-1e309", "9" * 25, "9" * 5000, "99999999999",
    "2026-11-24", "=1+1", "C" * 3000, "X", "CM-", "../..", "/", "\n", "\r\n", "\t",
    ": ", ",", "%", "#",
)  # fmt: skip


def spoil(text: str, rng: random.Random) -> str:
    """One or two changes of a text."""
    for _ in range(rng.randint(1, 2)):
        at, other = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        other = min(other, at + 30)
        match rng.randrange(6):
            case 0:
                text = text[:at] + text[other:]
            case 1:
                text = text[:at] + rng.choice(ODD) + text[at:]
            case 2:
                text = text[:at] + rng.choice(ODD) + text[other:]
            case 3:
                text = text[:other] + text[at:]
            case 4:
                text = text[:at]
            case _:
                lines = text.splitlines(keepends=True)
                rng.shuffle(lines)
                text = "".join(lines)
    return text


def spoil_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flip bits, cut, repeat."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        if not data:
            break
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.randrange(256)
            case 2:
                del data[at : at + rng.randrange(1, 40)]
            case _:
                data[at:at] = data[at : at + rng.randrange(1, 40)]
    return bytes(data)
