"""A board over SSH: the system's OpenSSH, one connection for everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType

from hwbench.devices.arrival import Arrival
from hwbench.devices.processes import Collected, ProcessStream, converse
from hwbench.devices.ssh_address import parse_address
from hwbench.devices.ssh_connection import COMMAND, STREAM, Connection, Headed
from hwbench.devices.ssh_messages import push_error, reason
from hwbench.devices.tar_stream import tar_stream
from hwbench.devices.transport import Finished, PushFile
from hwbench.errors import (
    ConnectionRefused,
    DeviceError,
    DeviceLost,
    DeviceNotFound,
    DeviceOffline,
    DeviceRefused,
    DeviceTimeout,
    RemoteFileMissing,
    TransferBroken,
)

_UNPACK = "LC_ALL=C exec tar -C / -x -p -f -"
_MISSING, _NO_FILE = 81, 82
_PRINT = f'[ -e "$1" ] || exit {_MISSING}; [ -f "$1" ] || exit {_NO_FILE}; LC_ALL=C exec cat "$1"'

_SILENCE_S = 120.0
_START_S = 20.0
_RETRY_S = 0.5
_NOT_YET = (ConnectionRefused, DeviceNotFound, DeviceOffline, DeviceTimeout, DeviceLost)


class SshTransport:
    """A Linux machine at `ssh://user@host:port`, by key or agent.

    The user's OpenSSH configuration holds, or that of the file `config`; host keys are checked as it says, and an
    unknown one is refused where it says nothing. Connects at once. Raises UsageError for an address that is none,
    SshUnavailable, and a DeviceError for each way in which a connection fails.
    """

    def __init__(self, address: str, *, config: Path | None = None, connect_timeout_s: float = 10.0) -> None:
        self._address = parse_address(address)
        self._config = config
        self._connect_timeout_s = connect_timeout_s
        self._connection: Connection | None = self._connected(connect_timeout_s)
        self._folder = f"{self._connection.home.rstrip('/')}/.cache/hwbench"

    @property
    def name(self) -> str:
        return str(self._address)

    @property
    def folder(self) -> str:
        return self._folder

    def run(self, command: Sequence[str], *, timeout_s: float = 30.0, stdin: bytes = b"") -> Finished:
        what = f"{command[0]} on {self.name}"
        stdout = Collected(what)
        code, stderr = self._converse(command, [stdin], stdout.take, what, timeout_s=timeout_s)
        return Finished(code, stdout.data, stderr)

    def open(self, command: Sequence[str]) -> SshStream:
        connection = self._alive()
        return SshStream(connection, connection.client(STREAM, command), self.name)

    def push(self, files: Sequence[PushFile]) -> None:
        if not files:
            return
        what = f"Copying files to {self.name}"
        command = ["sh", "-c", _UNPACK]
        try:
            code, stderr = self._converse(command, tar_stream(files), Collected(what).take, what, silence_s=_SILENCE_S)
        except DeviceLost as error:
            raise TransferBroken(
                f"The connection to {self.name} broke while files were copied.", hint=error.hint
            ) from error
        if code != 0:
            raise push_error(self._address, code, stderr)

    def pull(self, remote: str, local: Path, limit_bytes: int) -> None:
        with Arrival(local, remote, limit_bytes) as arrival:
            command = ["sh", "-c", _PRINT, "sh", remote]
            what = f"Copying {remote} from {self.name}"
            try:
                code, stderr = self._converse(command, [], arrival.take, what, silence_s=_SILENCE_S)
            except DeviceLost as error:
                raise TransferBroken(
                    f"The connection to {self.name} broke while {remote} was copied.", hint=error.hint
                ) from error
            if code == _MISSING:
                raise RemoteFileMissing(f"There is no {remote} on {self.name}.")
            if code == _NO_FILE:
                raise DeviceError(f"{remote} on {self.name} is not a file.")
            if code != 0:
                raise DeviceRefused(f"{self.name} does not give {remote}: {reason(stderr.decode(errors='replace'))}.")

    def reconnect(self, timeout_s: float) -> None:
        """Returns when the board answers again. Raises DeviceLost when it does not, DeviceUnauthorized at once."""
        self.close()
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = deadline - time.monotonic()
            try:
                self._connection = self._connected(min(max(left_s, 1.0), self._connect_timeout_s))
                return
            except _NOT_YET as error:
                if left_s <= _RETRY_S:
                    raise DeviceLost(
                        f"{self.name} did not come back within {timeout_s:g} s: {error.message}", hint=error.hint
                    ) from error
            time.sleep(_RETRY_S)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connected(self, timeout_s: float) -> Connection:
        return Connection(self._address, self._config, timeout_s)

    def _alive(self) -> Connection:
        if self._connection is None:
            raise DeviceLost(f"{self.name} is not connected.")
        return self._connection

    def _converse(
        self,
        command: Sequence[str],
        feed: Iterable[bytes],
        take: Callable[[bytes], None],
        what: str,
        *,
        timeout_s: float = float("inf"),
        silence_s: float = float("inf"),
    ) -> tuple[int, bytes]:
        """Runs a command to its end. Raises DeviceLost when the connection breaks; what ends early is killed."""
        connection = self._alive()
        client = connection.client(COMMAND, command)
        output = Headed(connection.token, take)
        try:
            code, stderr = converse(
                client, feed=feed, take=output.take, what=what, timeout_s=timeout_s, silence_s=silence_s
            )
        except BaseException:
            if output.process is not None:
                connection.kill(output.process)
            raise
        return connection.checked(code, stderr, started=output.process is not None)


class SshStream:
    """A command that runs on the board, line by line."""

    def __init__(self, connection: Connection, client: Sequence[str], name: str) -> None:
        self._connection = connection
        self._lines = ProcessStream(client)
        self._started = False
        deadline = time.monotonic() + _START_S
        header = Headed(connection.token, lambda _: None)
        try:
            while header.process is None:
                line = self._lines.read_line(max(deadline - time.monotonic(), 0.0))
                if line is None:
                    self._ended()
                    raise DeviceLost(f"The connection to {name} broke.")
                header.take(line + b"\n")
            self._started = True
        except BaseException:
            self._lines.kill()
            raise

    def read_line(self, timeout_s: float) -> bytes | None:
        line = self._lines.read_line(timeout_s)
        if line is None:
            self._ended()
        return line

    @property
    def code(self) -> int | None:
        return self._lines.code

    def close(self) -> None:
        self._lines.close()

    def _ended(self) -> None:
        """Raises DeviceLost unless it was the command that ended."""
        code = self._lines.code
        if code is not None:
            self._connection.checked(code, self._lines.errors, started=self._started)

    def __enter__(self) -> SshStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
