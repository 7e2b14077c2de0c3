"""A file from elsewhere, as bytes with a size limit, and the numbers in it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from hwbench import files
from hwbench.errors import DataError

LARGEST = 64 << 20

# Powers of ten that turn a unit of time into microseconds.
TIME_UNITS: Mapping[str, int] = {"ns": -3, "us": 0, "µs": 0, "ms": 3, "s": 6}
_LONGEST_NUMBER = 60


class Options(msgspec.Struct, frozen=True):
    """What a user says about a file that the file does not say itself."""

    target: str | None = None
    space: str | None = None
    unit: str | None = None
    licence: str | None = None
    source: str | None = None


class Document:
    """A file or, with empty `data`, a folder. `text` and `json` raise DataError naming it."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.data = data
        self.repeated: list[str] = []

    @classmethod
    def open(cls, path: Path) -> Document:
        if path.is_dir():
            return cls(path, b"")
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from error
        if not path.is_file():
            raise DataError(f"{path} is neither a file nor a folder.")
        if size > LARGEST:
            raise DataError(f"{path} has {size} bytes; files of up to {LARGEST} are imported.")
        return cls(path, files.read(path))

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()

    @cached_property
    def text(self) -> str:
        try:
            return self.data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path} is not UTF-8 text: {error.reason} at byte {error.start}.") from error

    @cached_property
    def json(self) -> Any:
        """The JSON value, numbers with a point as Decimal; keys that stand twice in an object go to `repeated`."""
        try:
            return json.loads(self.text, parse_float=_decimal, object_pairs_hook=self._object)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.path} is not readable JSON: {error}.") from error

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                self.repeated.append(key)
            else:
                found[key] = value
        return found


def _decimal(text: str) -> Decimal:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits")
    return Decimal(text)


def number(value: object, shift: int = 0) -> float:
    """A number, its decimal point moved by `shift`, exactly where it is text or decimal. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise ValueError(f"{str(value)[:40]!r} is no number")
    if isinstance(value, str):
        if len(value) > _LONGEST_NUMBER:
            raise ValueError(f"{value[:40]!r}... is no number")
        try:
            value = Decimal(value)
        except InvalidOperation as error:
            raise ValueError(f"{value!r} is no number") from error
    if isinstance(value, Decimal):
        if not value.is_finite():
            return float("nan") if value.is_nan() else math.copysign(math.inf, value)
        if abs(value.adjusted()) > 400:
            raise ValueError(f"{value} is out of range")
        return float(value.scaleb(shift))
    try:
        return float(value) * 10.0**shift if shift else float(value)
    except OverflowError as error:
        raise ValueError("a number out of range") from error


def time_shift(unit: str) -> int:
    """The power of ten between a unit and microseconds. Raises DataError for an unknown one."""
    if unit not in TIME_UNITS:
        raise DataError(f"{unit!r} is not a unit of time.", hint=f"Known are {', '.join(TIME_UNITS)}.")
    return TIME_UNITS[unit]


def moved(value: float, shift: int) -> str:
    """The shortest text of a number whose decimal point is moved by `shift`; `number` reads it back exactly."""
    return str(Decimal(repr(value)).scaleb(shift))
