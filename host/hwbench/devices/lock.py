"""One hwbench at a time on a device: a lock that the kernel drops with its holder."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwbench.errors import DeviceBusy, DeviceError


def lock_path(device_id: str) -> Path:
    """Shared by all users of the machine: they disturb one another."""
    return Path(tempfile.gettempdir()) / f"hwbench-{device_id}.lock"


@contextmanager
def exclusive(device_id: str, name: str) -> Iterator[None]:
    """Holds the lock of a device. Raises DeviceBusy naming the holder."""
    path = lock_path(device_id)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise DeviceError(f"The lock {path} cannot be opened: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DeviceBusy(
                f"Device {name} is being measured by {_holder(descriptor)}.",
                hint="Wait for it to end: two at once would disturb each other.",
            ) from error
        holder = {"pid": os.getpid(), "since": time.strftime("%H:%M:%S")}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {int(holder['pid'])} since {str(holder['since'])[:8]}"
    except (ValueError, KeyError, TypeError):
        return "another process"
