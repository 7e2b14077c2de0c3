"""The file protocol of adb. That of adbutils sends pieces of 4 kB and loses the reason of a failed push."""

from __future__ import annotations

import socket
import stat
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from hwbench.devices.adb_service import failed, lost, receive, send
from hwbench.devices.arrival import Arrival
from hwbench.devices.phone.advice import error_advice
from hwbench.devices.transport import PushFile
from hwbench.errors import (
    DataError,
    DeviceError,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    RemoteFileMissing,
    TransferBroken,
)

_PIECE = 1 << 16
_LONGEST_REASON = 1 << 16
_HEADER = struct.Struct("<4sI")


def push_files(connection: socket.socket, files: Sequence[PushFile], serial: str, silence_s: float) -> None:
    """Writes files one after the other and asks for the answers at the end.

    Raises DeviceFull, DeviceRefused with the phone's reason, TransferBroken when the connection broke.
    """
    device = f"adb:{serial}"
    connection.settimeout(silence_s)
    try:
        for file in files:
            _send_file(connection, file, device)
    except (DeviceLost, DeviceTimeout) as error:
        # A phone that refuses a file may hang up before it has taken it; its reason then waits to be read.
        _answers(connection, files, serial, time.monotonic() + 1.0)
        raise TransferBroken(error.message, hint=error.hint) from error
    try:
        _answers(connection, files, serial, time.monotonic() + silence_s)
    except (DeviceLost, DeviceTimeout) as error:
        raise TransferBroken(error.message, hint=error.hint) from error


def pull_file(
    connection: socket.socket, remote: str, local: Path, limit_bytes: int, serial: str, silence_s: float
) -> None:
    """Reads one file. Raises RemoteFileMissing, TransferBroken, DeviceError for one that is too large."""
    device = f"adb:{serial}"
    name = remote.encode(errors="surrogateescape")
    connection.settimeout(silence_s)
    try:
        send(connection, _HEADER.pack(b"RECV", len(name)) + name, device)
        kind, size = _header(connection, device, silence_s)
        if kind == b"FAIL":
            raise _not_given(_reason(connection, size, device, silence_s), remote, serial)
        with Arrival(local, remote, limit_bytes) as arrival:
            while kind != b"DONE":
                if kind == b"FAIL":
                    raise failed(_reason(connection, size, device, silence_s), serial)
                if kind != b"DATA" or size > _PIECE:
                    raise DeviceError(f"{device} does not keep to adb's file protocol.", hint=error_advice(DeviceError))
                arrival.take(receive(connection, size, time.monotonic() + silence_s, device))
                kind, size = _header(connection, device, silence_s)
    except (DeviceLost, DeviceTimeout) as error:
        raise TransferBroken(error.message, hint=error.hint) from error


def _send_file(connection: socket.socket, file: PushFile, device: str) -> None:
    name = f"{file.remote},{stat.S_IFREG | file.mode}".encode(errors="surrogateescape")
    try:
        source = file.local.open("rb")
    except OSError as error:
        raise DataError(f"{file.local} cannot be read: {error.strerror}.") from error
    with source:
        modified = int(file.local.stat().st_mtime)
        send(connection, _HEADER.pack(b"SEND", len(name)) + name, device)
        while piece := source.read(_PIECE):
            send(connection, _HEADER.pack(b"DATA", len(piece)) + piece, device)
        send(connection, _HEADER.pack(b"DONE", modified & 0xFFFFFFFF), device)


def _answers(connection: socket.socket, files: Sequence[PushFile], serial: str, deadline: float) -> None:
    device = f"adb:{serial}"
    for file in files:
        kind, size = _HEADER.unpack(receive(connection, _HEADER.size, deadline, device))
        if kind == b"FAIL":
            reason = _reason(connection, size, device, max(deadline - time.monotonic(), 1.0))
            raise failed(f"{file.remote}: {reason}", serial)
        if kind != b"OKAY":
            raise DeviceError(f"{device} does not keep to adb's file protocol.", hint=error_advice(DeviceError))


def _not_given(reason: str, remote: str, serial: str) -> DeviceError:
    if "Not a directory" in reason:
        return RemoteFileMissing(f"There is no {remote} on adb:{serial}.", hint=error_advice(RemoteFileMissing))
    if "Is a directory" in reason:
        return DeviceRefused(f"{remote} on adb:{serial} is not a file.", hint=error_advice(DeviceError))
    return failed(reason, serial)


def _header(connection: socket.socket, device: str, silence_s: float) -> tuple[bytes, int]:
    kind, size = _HEADER.unpack(receive(connection, _HEADER.size, time.monotonic() + silence_s, device))
    return kind, size


def _reason(connection: socket.socket, size: int, device: str, timeout_s: float) -> str:
    if size > _LONGEST_REASON:
        raise lost(device)
    return receive(connection, size, time.monotonic() + timeout_s, device).decode(errors="replace")
