"""Phones that adb lists, asked for without side effects where there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

from hwbench.devices.adb_server import AdbServer
from hwbench.devices.phone.adb_listing import AdbDevice
from hwbench.devices.usb import usb_devices

_USB = Path("/sys/bus/usb/devices")


def listed_phones(server: AdbServer, usb: Path = _USB) -> tuple[AdbDevice, ...]:
    """What adb lists, in any state; empty without asking where nothing hints at a phone.

    A server is started only where a phone with USB debugging is plugged in, or, on systems that do not show that, where
    the user has installed adb. Raises AdbUnavailable when there is a phone and no adb that works.
    """
    if not server.running() and not _expected(usb):
        return ()
    return tuple(device for device in server.devices() if device.state != "host")


def _expected(usb: Path) -> bool:
    plugged = usb_devices(usb)
    return shutil.which("adb") is not None if plugged is None else any(device.adb for device in plugged)
