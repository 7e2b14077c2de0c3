"""Phones that are attached, found without side effects where there is none."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from hwbench.devices.adb_server import AdbServer
from hwbench.devices.phone.adb_listing import AdbDevice

# Class, subclass and protocol of the USB interface that a phone with USB debugging shows.
_ADB_INTERFACE = ("ff", "42", "01")
_USB = Path("/sys/bus/usb/devices")
_HIDDEN = ("host",)


def attached_phones(server: AdbServer | None = None, usb: Path = _USB) -> tuple[AdbDevice, ...]:
    """What adb lists, in any state; empty without asking adb when nothing hints at a phone.

    A server is started only where one of the USB interfaces of this computer is that of a phone, or, on systems that
    do not show them, where the user has adb. Raises AdbUnavailable when there is a phone and no adb that works.
    """
    server = server or AdbServer()
    if not server.running() and not _expected(usb):
        return ()
    return tuple(device for device in server.devices() if device.state not in _HIDDEN)


def _expected(usb: Path) -> bool:
    if sys.platform == "linux":
        return any(_interface(folder) == _ADB_INTERFACE for folder in usb.glob("*:*"))
    return shutil.which("adb") is not None


def _interface(folder: Path) -> tuple[str, ...]:
    try:
        return tuple((folder / f"bInterface{part}").read_text().strip() for part in ("Class", "SubClass", "Protocol"))
    except OSError:
        return ()
