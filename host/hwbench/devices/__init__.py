"""Where models run. A device gives its record, a lock, and a way to execute one launch."""

from __future__ import annotations

from hwbench.devices.base import Device, LaunchReport, LaunchRequest, Pulse
from hwbench.devices.finding import default_name, find, names_of
from hwbench.devices.local import LocalDevice

__all__ = ["Device", "LaunchReport", "LaunchRequest", "LocalDevice", "Pulse", "default_name", "find", "names_of"]
