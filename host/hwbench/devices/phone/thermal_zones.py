"""Thermal zones of /sys/class/thermal, for phones without a thermal service."""

from __future__ import annotations

import re

import msgspec

from hwbench.devices.phone.sysfs import SysfsFiles
from hwbench.devices.phone.text import whole
from hwbench.errors import DataError

_ZONE = re.compile(r"(/sys/(?:class|devices/virtual)/thermal/thermal_zone([0-9]{1,4}))/temp")


class ThermalZone(msgspec.Struct, frozen=True):
    """A zone; `celsius` is None where the sensor shows nothing possible, `printed` what the file held."""

    zone: int
    type: str | None
    printed: str
    celsius: float | None


def thermal_zones(files: SysfsFiles) -> tuple[ThermalZone, ...]:
    """The zones by number. Raises DataError, with the phone's reason if it gave one, if none can be read."""
    zones = {}
    for path, body in files.contents.items():
        if match := _ZONE.fullmatch(path):
            number = int(match[2])
            zones[number] = ThermalZone(number, files.contents.get(f"{match[1]}/type") or None, body, _celsius(body))
    if not zones:
        reasons = [reason for path, reason in files.unreadable.items() if "thermal" in path]
        raise DataError(f"no thermal zone can be read: {reasons[0] if reasons else 'no such file in the text'}.")
    return tuple(zones[number] for number in sorted(zones))


def _celsius(body: str) -> float | None:
    """Degrees: the kernel prints thousandths, old ones whole degrees or tenths. 0 is a sensor that is not there."""
    value = whole(body)
    if not value:
        return None
    divisor = 1 if abs(value) < 200 else 10 if abs(value) < 1000 else 1000
    degrees = value / divisor
    return degrees if -50 < degrees < 200 else None
