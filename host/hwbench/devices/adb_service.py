"""A service of one phone through the adb server: a socket to it, or the error that says why there is none."""

from __future__ import annotations

import socket
import time

from adbutils import AdbError

from hwbench.devices.adb_server import AdbServer, state_error
from hwbench.devices.phone.adb_listing import AdbDevice
from hwbench.devices.phone.adb_messages import adb_failure
from hwbench.devices.phone.advice import error_advice, refusal_advice
from hwbench.devices.phone.text import printable
from hwbench.errors import (
    AdbUnavailable,
    DataError,
    DeviceError,
    DeviceFull,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    RemoteFileMissing,
)

# The server's own protocol gives the length of a request in four hexadecimal digits.
_LONGEST = 0xFFFF
_STATES = {"unauthorized": "unauthorized", "no_permissions": "no permissions"}


def open_service(server: AdbServer, serial: str, service: str, timeout_s: float) -> socket.socket:
    """A connection to a service of the phone, e.g. `sync:`. Raises DeviceLost and its kin, DeviceTimeout."""
    device = f"adb:{serial}"
    deadline = time.monotonic() + timeout_s
    try:
        connection = server.client.make_connection(min(timeout_s, server.timeout_s)).conn
    except (AdbError, OSError) as error:
        raise DeviceLost(
            f"The adb server, and {device} with it, cannot be reached: {error}.", hint=error_advice(AdbUnavailable)
        ) from error
    try:
        for request in (f"host:transport:{serial}", service):
            data = request.encode(errors="surrogateescape")
            if len(data) > _LONGEST:
                raise DeviceError(f"A request of {len(data)} bytes is more than adb takes.")
            send(connection, b"%04x%s" % (len(data), data), device)
            status = receive(connection, 4, deadline, device)
            if status != b"OKAY":
                raise failed(_reason(connection, deadline, device), serial)
    except BaseException:
        connection.close()
        raise
    return connection


def send(connection: socket.socket, data: bytes, device: str) -> None:
    try:
        connection.sendall(data)
    except TimeoutError as error:
        raise DeviceTimeout(f"{device} takes no data any more.", hint=error_advice(DeviceTimeout)) from error
    except OSError as error:
        raise lost(device) from error


def receive(connection: socket.socket, size: int, deadline: float, device: str) -> bytes:
    """Exactly so many bytes. Raises DeviceLost when the connection ends before, DeviceTimeout at the deadline."""
    received = bytearray()
    while len(received) < size:
        connection.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            piece = connection.recv(min(size - len(received), 1 << 20))
        except TimeoutError as error:
            raise DeviceTimeout(f"{device} did not answer in time.", hint=error_advice(DeviceTimeout)) from error
        except OSError as error:
            raise lost(device) from error
        if not piece:
            raise lost(device)
        received += piece
    return bytes(received)


def lost(device: str) -> DeviceLost:
    return DeviceLost(f"The connection to {device} broke.", hint="Check the cable, then continue with --resume.")


def failed(reason: str, serial: str) -> DeviceError:
    """The error for what adb or the phone gave as its reason."""
    device = f"adb:{serial}"
    try:
        kind = adb_failure(reason).kind
    except DataError:
        kind = "unknown"
    shown = printable(reason[:300])
    if kind in _STATES:
        return state_error(AdbDevice(serial, _STATES[kind], None, None, None, None, None, (), None))
    if kind in ("not_found", "offline", "connection_lost", "no_devices", "protocol_fault"):
        return DeviceLost(f"{device} is gone: {shown}.", hint="Check the cable, then continue with --resume.")
    if kind == "no_space":
        return DeviceFull(f"{device} has no space left: {shown}.", hint="Free some space there and try again.")
    if "No such file" in reason:
        return RemoteFileMissing(f"{device} has no such file: {shown}.", hint=error_advice(RemoteFileMissing))
    return DeviceRefused(f"{device} does not allow that: {shown}.", hint=refusal_advice(reason))


def _reason(connection: socket.socket, deadline: float, device: str) -> str:
    size = receive(connection, 4, deadline, device)
    try:
        return receive(connection, int(size, 16), deadline, device).decode(errors="replace")
    except ValueError:
        return "what it says makes no sense"
