"""A file that arrives from a device: whole under its name, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from hwbench.errors import DeviceError


class Arrival:
    """Writes `local` piece by piece under a temporary name, which it loses when the `with` block ends well.

    Raises DeviceError when more than `limit_bytes` come, or the disk of this computer refuses.
    """

    def __init__(self, local: Path, remote: str, limit_bytes: int) -> None:
        self._local = local
        self._remote = remote
        self._limit_bytes = limit_bytes
        self._size = 0
        self._temporary = local.with_name(f".{local.name}.{os.getpid()}.tmp")

    def __enter__(self) -> Arrival:
        try:
            self._local.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("wb")
        except OSError as error:
            raise self._refused(error) from error
        return self

    def take(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit_bytes:
            raise DeviceError(f"{self._remote} on the device is larger than the {self._limit_bytes} bytes expected.")
        try:
            self._file.write(piece)
        except OSError as error:
            raise self._refused(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            if error is None:
                self._temporary.replace(self._local)
        except OSError as refusal:
            raise self._refused(refusal) from refusal
        finally:
            self._temporary.unlink(missing_ok=True)

    def _refused(self, error: OSError) -> DeviceError:
        return DeviceError(
            f"{self._local} cannot be written: {error.strerror}.", hint="Free some space or choose another folder."
        )
