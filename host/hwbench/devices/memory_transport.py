"""A device in memory, for tests of what is built on a transport: files in a dictionary, answers from functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from hwbench.devices.arrival import Arrival
from hwbench.devices.processes import Collected
from hwbench.devices.transport import Finished, PushFile, quoted
from hwbench.errors import (
    DataError,
    DeviceError,
    DeviceFull,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    RemoteFileMissing,
    TransferBroken,
)


class Request(msgspec.Struct, frozen=True):
    """A command as it reached the device; `stdin` is None where it is held open, as for a stream."""

    words: tuple[str, ...]
    stdin: bytes | None


class Running(msgspec.Struct, frozen=True):
    """What a command has printed that does not end before its standard input does."""

    stdout: bytes = b""


Answer = Finished | Running


class InMemoryTransport:
    """A device that is not there.

    `files` holds contents by absolute path, `modes` their permissions, `requests` every command in order. A program
    answers by the function that `answer` gave it; any other is not found. `capacity_bytes` is what all files may take
    together, and nothing is written below a folder of `read_only`. `lose` and `fail` make calls go wrong.
    """

    def __init__(
        self, files: Mapping[str, bytes] | None = None, *, name: str = "memory", folder: str = "/data/local/tmp/hwbench"
    ) -> None:
        self.name = name
        self.folder = folder
        self.files = dict(files or {})
        self.modes: dict[str, int] = dict.fromkeys(self.files, 0o644)
        self.requests: list[Request] = []
        self.capacity_bytes: int | None = None
        self.read_only: tuple[str, ...] = ()
        self._programs: dict[str, Callable[[Request], Answer]] = {}
        self._faults: dict[int, DeviceError] = {}
        self._operations = 0
        self._lost: DeviceLost | None = None
        self._comes_back = True
        self._connection = 0

    def answer(self, program: str, function: Callable[[Request], Answer]) -> None:
        """Commands whose first word is `program` are answered by `function`, which may raise a DeviceError."""
        self._programs[program] = function

    def fail(self, error: DeviceError, after: int = 0) -> None:
        """One operation raises `error`, the one that follows `after` more of them.

        Operations are commands, lines of streams, pulls, and each single file of a push. After a DeviceLost all
        others fail as well, until `reconnect`.
        """
        self._faults[self._operations + after] = error

    def lose(self, after: int = 0, *, comes_back: bool = True) -> None:
        """The device goes away after so many more operations; unless it `comes_back`, `reconnect` fails."""
        self._comes_back = comes_back
        self.fail(DeviceLost(f"{self.name} went away."), after)

    def run(self, command: Sequence[str], *, timeout_s: float = 30.0, stdin: bytes = b"") -> Finished:
        answer = self._answered(Request(tuple(command), stdin))
        stdout = Collected(command[0])
        stdout.take(answer.stdout)
        if isinstance(answer, Running):
            raise DeviceTimeout(f"{command[0]} did not end within {timeout_s:g} s, and was ended.")
        return answer

    def open(self, command: Sequence[str]) -> InMemoryStream:
        return InMemoryStream(self._answered(Request(tuple(command), None)), self._checkpoint())

    def push(self, files: Sequence[PushFile]) -> None:
        for file in files:
            try:
                data = file.local.read_bytes()
            except OSError as error:
                raise DataError(f"{file.local} cannot be read: {error.strerror}.") from error
            try:
                self._operation()
            except DeviceLost as error:
                raise TransferBroken(f"{self.name} went away while {file.remote} was copied.") from error
            if reason := self._refusal(file.remote):
                raise DeviceRefused(f"The device does not allow {file.remote}: {reason}.")
            others = sum(len(content) for path, content in self.files.items() if path != file.remote)
            if self.capacity_bytes is not None and others + len(data) > self.capacity_bytes:
                raise DeviceFull(f"{file.remote} does not fit on the device: No space left on device.")
            self.files[file.remote] = data
            self.modes[file.remote] = file.mode

    def pull(self, remote: str, local: Path, limit_bytes: int) -> None:
        self._operation()
        if self._is_folder(remote):
            raise DeviceError(f"{remote} on the device is not a file.")
        if remote not in self.files:
            raise RemoteFileMissing(f"There is no {remote} on the device.")
        with Arrival(local, remote, limit_bytes) as arrival:
            arrival.take(self.files[remote])

    def reconnect(self, timeout_s: float) -> None:
        if self._lost is not None and not self._comes_back:
            raise DeviceLost(f"{self.name} did not come back within {timeout_s:g} s.")
        self._lost = None
        self._connection += 1

    def close(self) -> None:
        """Nothing is held."""

    def _operation(self) -> None:
        if self._lost is not None:
            raise self._lost
        fault = self._faults.pop(self._operations, None)
        self._operations += 1
        if isinstance(fault, DeviceLost):
            self._lost = fault
        if fault is not None:
            raise fault

    def _checkpoint(self) -> Callable[[], None]:
        """What each line of a stream goes through: a connection that was lost stays lost for it."""
        connection = self._connection

        def check() -> None:
            self._operation()
            if self._connection != connection:
                raise DeviceLost(f"The connection to {self.name} was lost since.")

        return check

    def _answered(self, request: Request) -> Answer:
        quoted(request.words)  # Refuses what no device takes.
        self._operation()
        self.requests.append(request)
        program = request.words[0]
        if function := self._programs.get(program):
            return function(request)
        if program in self.files and not self.modes[program] & 0o111:
            return Finished(126, b"", f"{program}: Permission denied\n".encode())
        return Finished(127, b"", f"{program}: not found\n".encode())

    def _refusal(self, remote: str) -> str | None:
        if any(remote.startswith(folder.rstrip("/") + "/") for folder in self.read_only):
            return "Read-only file system"
        if self._is_folder(remote):
            return "Is a directory"
        if any(remote.startswith(path + "/") for path in self.files):
            return "Not a directory"
        return None

    def _is_folder(self, remote: str) -> bool:
        return any(path.startswith(remote.rstrip("/") + "/") for path in self.files)


class InMemoryStream:
    """The lines of an answer, one by one."""

    def __init__(self, answer: Answer, check: Callable[[], None]) -> None:
        self._left = answer.stdout
        self._answer = answer
        self._check = check
        self._closed = False

    def read_line(self, timeout_s: float) -> bytes | None:
        self._check()
        if self._left:
            line, _, self._left = self._left.partition(b"\n")
            return line
        if isinstance(self._answer, Running) and not self._closed:
            raise DeviceTimeout(f"No line came within {timeout_s:g} s.")
        return None

    @property
    def code(self) -> int | None:
        if isinstance(self._answer, Finished):
            return None if self._left else self._answer.code
        return 0 if self._closed else None

    def close(self) -> None:
        self._closed = True

    def __enter__(self) -> InMemoryStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
