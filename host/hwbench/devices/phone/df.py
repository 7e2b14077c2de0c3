"""`df`: free space, as toolbox and toybox print it."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from hwbench.devices.phone.text import Printed, decode, shown
from hwbench.errors import DataError

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([KMGTkmgt]?)i?B?")
_OLDEST = re.compile(r"\s*(/\S{0,200}): (\S{1,20}) total, (\S{1,20}) used, (\S{1,20}) available.*")
_SHIFT = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


class Filesystem(msgspec.Struct, frozen=True):
    """Bytes, as exact as the unit that was printed. `mount` is where it is mounted."""

    name: str
    size_bytes: int
    used_bytes: int
    free_bytes: int
    mount: str


def filesystems(printed: Printed) -> tuple[Filesystem, ...]:
    """The rows of `df`, refused ones left out. Raises DataError if there is none."""
    text = decode(printed)
    unit = 1
    found = []
    for line in text.split("\n"):
        words = line.split()
        if "Filesystem" in words or "1K-blocks" in line:
            unit = 1024 if "1K-blocks" in line or "1024-blocks" in line else 1
            continue
        oldest = _OLDEST.fullmatch(line[:400])
        sizes = [_bytes(word, 1) for word in oldest.groups()[1:]] if oldest else []
        row = _filesystem(oldest[1], sizes, oldest[1]) if oldest else _row(words, unit)
        if row is not None:
            found.append(row)
    if not found:
        raise DataError(f"df shows no file system: {shown(text)}.")
    return tuple(found)


def holding(mounts: tuple[Filesystem, ...], path: str) -> Filesystem | None:
    """The file system that a path lies on, by the longest mount point; None if no row covers it."""
    covering = [m for m in mounts if m.mount in ("/", path) or path.startswith(m.mount + "/")]
    return max(covering, key=lambda m: len(m.mount), default=None)


def _row(words: list[str], unit: int) -> Filesystem | None:
    """Toybox: name, size, used, free, share, mount; toolbox: mount, size, used, free, block size."""
    for share in range(4, len(words)):
        if re.fullmatch(r"[0-9]{1,3}%|-", words[share]) and len(words) > share + 1:
            sizes = [_bytes(word, unit) for word in words[share - 3 : share]]
            mount = " ".join(words[share + 1 :])
            return _filesystem(" ".join(words[: share - 3]), sizes, mount)
    if len(words) == 5 and words[0].startswith("/") and re.fullmatch(r"[0-9]{1,9}", words[4]):
        return _filesystem(words[0], [_bytes(word, unit) for word in words[1:4]], words[0])
    return None


def _filesystem(name: str, sizes: list[int | None], mount: str) -> Filesystem | None:
    size, used, free = sizes
    if size is None or used is None or free is None:
        return None
    return Filesystem(name, size, used, free, mount)


def _bytes(word: str, unit: int) -> int | None:
    match = _SIZE.fullmatch(word)
    if match is None:
        return None
    return int(Decimal(match[1]) * ((1 << _SHIFT[match[2].upper()]) if match[2] else unit))
