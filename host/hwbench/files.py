"""Own files: schema and content hash in one JSON object, replaced atomically, refused when torn or too new.

    {"schema": "hwbench.table/1", "sha256": "...", "content": {...}}

The hash covers the exact bytes of `content`, and the rest of the file must be exactly what hwbench writes,
so a flipped byte anywhere is found.
"""

from __future__ import annotations

import gc
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec

from hwbench.errors import CorruptFile, DataError, DeviceError, SchemaTooNew

T = TypeVar("T")
Upgrade: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]

_CONTENT = b'"content": '
_SUFFIX = b"}\n"
_NAME = re.compile(rb'^\{"schema": "hwbench\.([a-z]{1,40})/')
_LONGEST_NAME = 100


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces `path` by `data` or leaves it as it was. Raises DeviceError when the disk refuses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DeviceError(
            f"{path} cannot be written: {error.strerror}.", hint="Free some space or choose another folder."
        ) from error


def save(path: Path, kind: str, version: int, content: object) -> None:
    """Writes `content` (anything msgspec encodes) as a file of `kind` and `version`."""
    encoded = msgspec.json.encode(content)
    write_atomically(path, _prefix(kind, version, encoded) + encoded + _SUFFIX)


def load(path: Path, kind: str, version: int, content: type[T], upgrades: Mapping[int, Upgrade] | None = None) -> T:
    """The content of an own file; `upgrades[n]` turns version n into n + 1.

    Raises DataError (missing), CorruptFile or SchemaTooNew, each naming the file.
    """
    data = read(path)
    found, body = _verified(path, data, kind)
    if found > version:
        raise SchemaTooNew(
            f"{path} has schema hwbench.{kind}/{found}; this hwbench reads up to {version}.", hint="Upgrade hwbench."
        )
    try:
        with _collector_paused():
            if found == version:
                return msgspec.json.decode(body, type=content)
            loose = msgspec.json.decode(body)
            for step in range(found, version):
                loose = (upgrades or {})[step](loose)
            return msgspec.json.decode(msgspec.json.encode(loose), type=content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError) as error:
        raise CorruptFile(f"{path} is not a readable {kind}: {error}.") from error


def read(path: Path) -> bytes:
    """The bytes of a file. Raises DataError naming it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def kind_of(path: Path) -> str | None:
    """The kind of an own file as its first bytes say, or None for a file of another origin. Raises DataError."""
    try:
        with path.open("rb") as file:
            head = file.read(_LONGEST_NAME)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    match = _NAME.match(head)
    return match[1].decode() if match else None


def sha256(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def cache_folder() -> Path:
    """Where hwbench remembers things between runs, per user."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("hwbench"))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Decoding makes millions of objects and no cycles; looking for cycles meanwhile doubles the time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _prefix(kind: str, version: int, body: bytes | memoryview) -> bytes:
    return f'{{"schema": "hwbench.{kind}/{version}",\n"sha256": "{sha256(body)}",\n"content": '.encode()


def _verified(path: Path, data: bytes, kind: str) -> tuple[int, memoryview]:
    """The version and content bytes of a file whose every byte is as it was written."""
    head = data[: data.find(_CONTENT) + len(_CONTENT)]
    name, _, number = head.partition(b'"')[2].partition(b'": "')[2].partition(b'"')[0].partition(b"/")
    if name != f"hwbench.{kind}".encode() or not number.isdigit() or len(number) > 6:
        found = _NAME.match(data[:_LONGEST_NAME])
        but = f" but a hwbench {found[1].decode()}" if found and found[1] != kind.encode() else ""
        raise CorruptFile(
            f"{path} is not a hwbench {kind}{but}.", hint=f"Expected a file that starts with hwbench.{kind}/."
        )
    # Views, not copies: a large table is hundreds of megabytes.
    body = memoryview(data)[len(head) : max(len(data) - len(_SUFFIX), len(head))]
    if head != _prefix(kind, int(number), body) or data[len(head) + len(body) :] != _SUFFIX:
        raise CorruptFile(
            f"{path} is damaged: its content does not match its hash.", hint="Restore it or measure again."
        )
    return int(number), body
