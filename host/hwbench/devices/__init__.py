"""Where models run. A device gives its record, a lock, and a way to execute one launch."""

from __future__ import annotations

from hwbench.devices.base import Device, LaunchRequest
from hwbench.devices.local import LocalDevice

__all__ = ["Device", "LaunchRequest", "LocalDevice", "find"]


def find(name: str | None = None) -> Device:
    """The device of that name; None: this computer. Raises DeviceError for one that is not there."""
    from hwbench.errors import DeviceError

    if name in (None, "local"):
        return LocalDevice()
    raise DeviceError(f"There is no device {name!r}.", hint="`hwbench devices` lists what is attached.")
