"""Raw output of a phone as plain text, and the numbers in it."""

from __future__ import annotations

import codecs
import math
import re

from hwbench.errors import DataError

Printed = str | bytes

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_UNSEEN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00\ufeff]")
_MOST_CORES = 1024


def decode(printed: Printed) -> str:
    """Text with plain line ends, whatever the encoding: UTF-8, UTF-16 of a redirect in PowerShell, CRLF of old adb.

    Bytes that are no text become U+FFFD; byte order marks, NULs and terminal colours are dropped. Never fails.
    """
    text = printed if isinstance(printed, str) else _characters(printed)
    return re.sub(r"\r+\n?", "\n", _UNSEEN.sub("", text))


def _characters(data: bytes) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    sample = data[:400]
    # Without its mark, UTF-16 of plain text shows as a NUL in every other byte.
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(sample) >= 8 and sample[first::2].count(0) > 0.4 * len(sample):
            return data.decode(encoding, errors="replace")
    return data.decode("utf-8", errors="replace")


def whole(text: str | None) -> int | None:
    """The integer that a text is, up to 15 digits; None for anything else."""
    text = (text or "").strip()
    return int(text) if re.fullmatch(r"[-+]?[0-9]{1,15}", text) else None


def real(text: str | None) -> float | None:
    """The finite number that a text is, exponent included; None for NaN, infinities and anything else."""
    text = (text or "").strip()
    if not re.fullmatch(r"[-+]?[0-9]{1,40}(?:\.[0-9]{0,40})?(?:[eE][-+]?[0-9]{1,3})?", text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def truth(text: str | None) -> bool | None:
    """`true` or `false`, also as `[false]`; None for anything else."""
    return {"true": True, "false": False}.get((text or "").strip().strip("[]").lower())


def core_list(text: str) -> tuple[int, ...]:
    """Core numbers of a kernel list (`0-3,7`) or of one with blanks (`0 1 2 3`), ascending.

    Raises DataError for anything else, and for numbers of 1024 and more.
    """
    cores: set[int] = set()
    if len(text) > 8 * _MOST_CORES:
        raise DataError(f"too long for a list of cores: {shown(text)}.")
    for part in re.split(r"[,\s]+", text.strip()):
        if not part:
            continue
        match = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < _MOST_CORES:
            raise DataError(f"not a list of cores: {shown(text)}.")
        cores.update(range(first, last + 1))
    return tuple(sorted(cores))


def shown(text: str) -> str:
    """The beginning of a text on one line, quoted, for an error's sentence."""
    line = " ".join(text[:200].split())
    return repr(line if len(line) <= 60 else line[:57] + "...")


def printable(text: str) -> str:
    """The text as a terminal may show it: control characters and what steers the writing direction become `?`."""
    return "".join(character if character.isprintable() else "?" for character in text)
