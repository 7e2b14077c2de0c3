"""`dumpsys battery`: charge, temperature, and whether the figures are the phone's own."""

from __future__ import annotations

import re

import msgspec

from hwbench.devices.phone.text import Printed, decode, shown, truth, whole
from hwbench.errors import DataError

_STATUSES = {1: "unknown", 2: "charging", 3: "discharging", 4: "not charging", 5: "full"}
_KEYS = ("AC powered", "USB powered", "Wireless powered", "Dock powered", "Max charging current",
         "Max charging voltage", "Charge counter", "status", "health", "present", "level", "scale", "voltage",
         "temperature", "technology", "Charging state", "Charging policy", "Capacity level")  # fmt: skip
_LINE = re.compile(r"[ \t]*([A-Za-z][A-Za-z ]{0,30}):[ \t]*(.{0,200})")
_HEADING = "Battery Service state:"


class Battery(msgspec.Struct, frozen=True):
    """None: not printed, or not to be believed.

    `temperature_c` is None too where updates were stopped (the figures are then what somebody set, or old), and where
    the voltage is none that a phone has, as on boxes without a battery. `temperature_tenths` is what was printed.
    """

    level_percent: float | None
    temperature_c: float | None
    temperature_tenths: int | None
    voltage_mv: int | None
    status: str | None
    present: bool | None
    ac_powered: bool | None
    usb_powered: bool | None
    wireless_powered: bool | None
    dock_powered: bool | None
    technology: str | None
    updates_stopped: bool

    @property
    def powered(self) -> bool | None:
        """Whether any cable or dock feeds it, None if updates were stopped: the fields are then set by hand."""
        known = [
            p for p in (self.ac_powered, self.usb_powered, self.wireless_powered, self.dock_powered) if p is not None
        ]
        return None if self.updates_stopped or not known else any(known)


def battery(printed: Printed) -> Battery:
    """What `dumpsys battery` says. Raises DataError if it has none of the fields."""
    text = decode(printed)
    values = _values(text)
    if not values:
        raise DataError(f"dumpsys battery shows no field: {shown(text)}.")
    stopped = "UPDATES STOPPED" in text
    level, scale = whole(values.get("level")), whole(values.get("scale"))
    tenths, voltage = whole(values.get("temperature")), whole(values.get("voltage"))
    real = not stopped and (voltage is None or 1000 <= voltage <= 30_000)
    possible = tenths is not None and real and -500 < tenths < 1500
    return Battery(
        level_percent=None if level is None or level < 0 else 100 * level / (scale or 100),
        temperature_c=tenths / 10 if tenths is not None and possible else None,
        temperature_tenths=tenths,
        voltage_mv=voltage,
        status=_STATUSES.get(whole(values.get("status")) or 0),
        present=truth(values.get("present")),
        ac_powered=truth(values.get("AC powered")),
        usb_powered=truth(values.get("USB powered")),
        wireless_powered=truth(values.get("Wireless powered")),
        dock_powered=truth(values.get("Dock powered")),
        technology=values.get("technology") or None,
        updates_stopped=stopped,
    )


def _values(text: str) -> dict[str, str]:
    """The first value of each field, names exact: vendors add others that differ by case or by a word."""
    heading = text.find(_HEADING)
    body = text[heading + len(_HEADING) :] if heading >= 0 else text
    if body.partition("\n")[0].strip():
        # A page lost the line ends.
        body = re.sub(rf"({'|'.join(_KEYS)}):", r"\n\1:", body)
    values: dict[str, str] = {}
    for line in body.split("\n"):
        match = _LINE.match(line)
        if match and match[1] in _KEYS:
            values.setdefault(match[1], match[2].strip())
    return values
