"""This computer as if it were remote: what tests put in the place of a phone or a board."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from hwbench.devices.arrival import Arrival
from hwbench.devices.processes import Collected, ProcessStream, converse
from hwbench.devices.transport import Finished, PushFile, quoted
from hwbench.errors import DataError, DeviceError, DeviceFull, DeviceRefused, RemoteFileMissing

_PIECE_BYTES = 1 << 20


class LocalTransport:
    """Runs commands in sessions of their own, and copies files. Everything of hwbench's lies below `folder`."""

    name = "local"

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    @property
    def folder(self) -> str:
        return str(self._folder)

    def run(self, command: Sequence[str], *, timeout_s: float = 30.0, stdin: bytes = b"") -> Finished:
        stdout = Collected(command[0])
        code, stderr = converse(
            _through_shell(command), feed=[stdin], take=stdout.take, what=command[0], timeout_s=timeout_s
        )
        return Finished(code, stdout.data, stderr)

    def open(self, command: Sequence[str]) -> ProcessStream:
        return ProcessStream(_through_shell(command, " 2>/dev/null"))

    def push(self, files: Sequence[PushFile]) -> None:
        for file in files:
            remote = Path(file.remote)
            temporary = remote.with_name(f".{remote.name[:200]}.{os.getpid()}.tmp")
            try:
                source = file.local.open("rb")
            except OSError as error:
                raise DataError(f"{file.local} cannot be read: {error.strerror}.") from error
            try:
                with source:
                    remote.parent.mkdir(parents=True, exist_ok=True)
                    with temporary.open("wb") as target:
                        shutil.copyfileobj(source, target, _PIECE_BYTES)
                    temporary.chmod(file.mode)
                    temporary.replace(remote)
            except OSError as error:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                raise _refused(file.remote, error) from error

    def pull(self, remote: str, local: Path, limit_bytes: int) -> None:
        try:
            with open(remote, "rb", opener=_opened) as source:
                if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                    raise DeviceError(f"{remote} on the device is not a file.")
                with Arrival(local, remote, limit_bytes) as arrival:
                    while piece := source.read(_PIECE_BYTES):
                        arrival.take(piece)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RemoteFileMissing(f"There is no {remote} on the device.") from error
        except IsADirectoryError as error:
            raise DeviceError(f"{remote} on the device is not a file.") from error
        except OSError as error:
            raise _refused(remote, error) from error

    def reconnect(self, timeout_s: float) -> None:
        """Returns at once: this computer does not go away."""

    def close(self) -> None:
        """Nothing is held between calls."""


def _through_shell(command: Sequence[str], redirection: str = "") -> list[str]:
    """A shell gives the codes of what is missing (127) or not executable (126), as it does on a device."""
    return ["/bin/sh", "-c", f"exec {quoted(command)}{redirection}"]


def _opened(path: str, flags: int) -> int:
    # A pipe must not be waited for.
    return os.open(path, flags | os.O_NONBLOCK)


def _refused(remote: str, error: OSError) -> DeviceError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DeviceFull(f"{remote} does not fit on the device: {error.strerror}.")
    return DeviceRefused(f"The device does not allow {remote}: {error.strerror}.")
