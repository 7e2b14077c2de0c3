"""The shell protocol of adb, version 2: packets that keep output, errors, input and the exit code apart."""

from __future__ import annotations

import select
import socket
import struct
import time
from types import TracebackType

from hwbench.devices.adb_service import lost
from hwbench.devices.phone.advice import error_advice
from hwbench.errors import DeviceError, DeviceLost, DeviceTimeout

STDIN, STDOUT, STDERR, EXIT, END_INPUT = range(5)
_HEADER = struct.Struct("<BI")
_LARGEST = 4 << 20
_PIECE = 1 << 16
_LONGEST_LINE = 1 << 20


class AdbShell:
    """A command that runs on the phone, over a socket to its `shell,v2` service. `code` is None until it has ended."""

    def __init__(self, connection: socket.socket, device: str) -> None:
        self._connection = connection
        self._device = device
        self._received = bytearray()
        self._to_send = bytearray()
        self.code: int | None = None
        connection.setblocking(False)

    def send(self, data: bytes) -> None:
        """Queues standard input."""
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            self._to_send += _HEADER.pack(STDIN, len(piece)) + piece

    def end_input(self) -> None:
        self._to_send += _HEADER.pack(END_INPUT, 0)

    def step(self, deadline: float) -> list[tuple[int, bytes]]:
        """Sends and receives what can be, and returns the packets of output that came, at least one unless it ended.

        Raises DeviceTimeout at the deadline, DeviceLost when the connection ends without an exit code.
        """
        while True:
            packets = self._packets()
            if packets or self.code is not None:
                return packets
            left = deadline - time.monotonic()
            writers = [self._connection] if self._to_send else []
            readable, writable, _ = select.select([self._connection], writers, [], max(left, 0))
            if writable:
                self._write()
            if readable:
                self._read()
            if left <= 0 and not (packets := self._packets()) and self.code is None:
                raise DeviceTimeout(f"{self._device} did not answer in time.", hint=error_advice(DeviceTimeout))
            if packets:
                return packets

    def close(self) -> None:
        self._connection.close()

    def _write(self) -> None:
        try:
            del self._to_send[: self._connection.send(self._to_send[:_PIECE])]
        except BlockingIOError:
            pass
        except OSError:
            # It no longer reads; what it still has to say may be there to be read.
            self._to_send.clear()

    def _read(self) -> None:
        try:
            piece = self._connection.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError as error:
            raise lost(self._device) from error
        if not piece:
            raise lost(self._device)
        self._received += piece

    def _packets(self) -> list[tuple[int, bytes]]:
        """What has arrived whole, up to the exit code."""
        found: list[tuple[int, bytes]] = []
        while self.code is None and len(self._received) >= _HEADER.size:
            kind, size = _HEADER.unpack_from(self._received)
            if size > _LARGEST or kind > END_INPUT + 1:
                raise DeviceError(
                    f"{self._device} does not keep to the protocol of adb's shell.", hint=error_advice(DeviceError)
                )
            if len(self._received) < _HEADER.size + size:
                break
            data = bytes(self._received[_HEADER.size : _HEADER.size + size])
            del self._received[: _HEADER.size + size]
            if kind == EXIT and size == 1:
                self.code = data[0]
            elif kind in (STDOUT, STDERR) and data:
                found.append((kind, data))
        return found


class AdbStream:
    """The `Stream` of a transport over a shell."""

    def __init__(self, shell: AdbShell, device: str) -> None:
        self._shell = shell
        self._device = device
        self._line = bytearray()
        self._lines: list[bytes] = []
        self._closed = False

    def read_line(self, timeout_s: float) -> bytes | None:
        deadline = time.monotonic() + timeout_s
        while not self._lines:
            if self._shell.code is not None:
                rest, self._line = bytes(self._line), bytearray()
                return rest or None
            packets = self._shell.step(deadline)
            if time.monotonic() > deadline and all(kind == STDERR for kind, _ in packets):
                raise DeviceTimeout(f"{self._device} did not answer in time.", hint=error_advice(DeviceTimeout))
            for kind, data in packets:
                if kind == STDOUT:
                    *whole, rest = (bytes(self._line) + data).split(b"\n")
                    self._lines += whole
                    self._line = bytearray(rest)
            if len(self._line) > _LONGEST_LINE:
                raise DeviceError(f"{self._device} sent a line without an end.", hint=error_advice(DeviceError))
        return self._lines.pop(0)

    @property
    def code(self) -> int | None:
        return self._shell.code

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if self._shell.code is None:
                self._shell.end_input()
                self._shell.step(time.monotonic() + 0.2)
        except (DeviceLost, DeviceTimeout, DeviceError):
            pass
        finally:
            self._shell.close()

    def __enter__(self) -> AdbStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
