"""Where models run. A device gives its record, a lock, and a way to execute one launch."""

from __future__ import annotations

from pathlib import Path

from hwbench.devices.base import Device, LaunchReport, LaunchRequest, Pulse
from hwbench.devices.local import LocalDevice
from hwbench.devices.local_runner import choose
from hwbench.errors import DeviceError

__all__ = ["Device", "LaunchReport", "LaunchRequest", "LocalDevice", "Pulse", "find"]


def find(name: str | None = None, python: Path | None = None) -> Device:
    """The device of that name; None: this computer. With `python`, its Python runner is used.

    Raises DeviceError for a device that is not there.
    """
    if name in (None, "local"):
        return LocalDevice(choose(python))
    raise DeviceError(f"There is no device {name!r}.", hint="`hwbench devices` lists what is attached.")
