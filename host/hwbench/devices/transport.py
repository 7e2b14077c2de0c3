"""How commands and files reach a device: what ADB, SSH and this computer's own shell have in common."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import msgspec

OUTPUT_LIMIT_BYTES = 8 << 20


class Finished(msgspec.Struct, frozen=True):
    """How a command ended. `code` is that of the device's shell: 128 and the signal for one that was killed."""

    code: int
    stdout: bytes
    stderr: bytes


class PushFile(msgspec.Struct, frozen=True):
    """A local file and the absolute path it gets on the device; folders on the way are made."""

    local: Path
    remote: str
    mode: int = 0o644


class Stream(Protocol):
    """A command that is running on the device, its standard output line by line, its standard input held open."""

    def read_line(self, timeout_s: float) -> bytes | None:
        """The next line without its end, the last one even if it has none; None when the command has ended.

        Raises DeviceTimeout if none comes in time (the stream can be read on), DeviceLost when the connection broke.
        """

    @property
    def code(self) -> int | None:
        """How the command ended; None while it has not."""

    def close(self) -> None:
        """Closes the command's standard input and lets go of it; what it has started may live on."""

    def __enter__(self) -> Stream: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Transport(Protocol):
    """A way to one device. Every call is one round trip, and raises a DeviceError that says what became of it:

    DeviceLost when the connection broke or the device went away, DeviceTimeout when it did not answer in time,
    DeviceUnauthorized, DeviceOffline, DeviceNotFound when it cannot be reached at all.
    """

    @property
    def name(self) -> str:
        """How the command line calls the device, e.g. `adb:R58M`."""

    @property
    def folder(self) -> str:
        """The absolute path on the device below which everything of hwbench's lies."""

    def run(self, command: Sequence[str], *, timeout_s: float = 30.0, stdin: bytes = b"") -> Finished:
        """Runs a command whose words reach the program as they are: nothing in them is read by a shell.

        Raises DeviceError when it prints more than OUTPUT_LIMIT_BYTES.
        """

    def open(self, command: Sequence[str]) -> Stream:
        """Starts a command and leaves it running."""

    def push(self, files: Sequence[PushFile]) -> None:
        """Writes files, all in one round trip. Raises DeviceFull, DeviceRefused with the device's reason."""

    def pull(self, remote: str, local: Path, limit_bytes: int) -> None:
        """Writes a remote file to `local`, which appears whole or not at all.

        Raises RemoteFileMissing, or DeviceError when the file has more than `limit_bytes`.
        """

    def reconnect(self, timeout_s: float) -> None:
        """Returns when the device answers again. Raises DeviceLost when it does not."""

    def close(self) -> None:
        """Lets go of the connection."""


def quoted(command: Sequence[str]) -> str:
    """The words as one line for a POSIX shell, each of them quoted. Raises ValueError for a word with a zero byte."""
    for word in command:
        if "\0" in word:
            raise ValueError("a word of a command holds a zero byte")
    return shlex.join(command)
