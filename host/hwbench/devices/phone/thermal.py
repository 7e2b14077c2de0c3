"""`dumpsys thermalservice`: how warm the phone is now, and whether it is being slowed down for it."""

from __future__ import annotations

import re
from itertools import zip_longest

import msgspec

from hwbench.devices.phone.text import Printed, decode, real, shown, truth, whole
from hwbench.errors import DataError

STATUS_NAMES = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")

_KINDS = {-1: "unknown", 0: "cpu", 1: "gpu", 2: "battery", 3: "skin", 4: "usb_port", 5: "power_amplifier",
          6: "bcl_voltage", 7: "bcl_current", 8: "bcl_percentage", 9: "npu", 10: "tpu"}  # fmt: skip
_UNITS = {"unknown": "unknown", "bcl_voltage": "voltage", "bcl_current": "current", "bcl_percentage": "percent"}
_SAMSUNG = {"AP": "cpu", "CPU": "cpu", "GPU": "gpu", "BAT": "battery", "BATTERY": "battery", "SUBBAT": "battery",
            "SKIN": "skin", "LRB": "skin", "LRF": "skin", "LRP": "skin", "USB": "usb_port",
            "PA": "power_amplifier", "NPU": "npu"}  # fmt: skip
# A fan, or a slower charge, takes no time away from a model.
_HARMLESS_COOLING = {0, 1}

_HEADING = re.compile(
    r"(Cached temperatures|HAL connection|Current temperatures from HAL|Current cooling devices from HAL|"
    r"Temperature static thresholds from HAL|Temperature headroom thresholds|Temperature throttling thresholds)[^\n]*:"
)
_RECORD = re.compile(r"\b(Temperature|CoolingDevice)\s*\{([^{}]{0,400})\}")
_BEGUN = re.compile(r"\b(?:Temperature|CoolingDevice)\s*\{")


class Temperature(msgspec.Struct, frozen=True):
    """A sensor. `celsius` is None where the value is no temperature, is not finite, or the sensor is not fitted."""

    name: str
    kind: str
    unit: str
    printed: str
    celsius: float | None
    status: int | None


class CoolingDevice(msgspec.Struct, frozen=True):
    """Something that slows the phone down to cool it; `level` 0 is off."""

    name: str
    type_id: int
    level: int

    @property
    def slowing(self) -> bool:
        """Whether it is at work and takes time away from a model."""
        return self.level > 0 and self.type_id not in _HARMLESS_COOLING


class ThermalState(msgspec.Struct, frozen=True):
    """The phone's own view. `temperatures` are current ones; `cached` are of the last change, and may be hours old.

    `status` is 0 (none) to 6 (shutdown); `throttled` is True too where the status is 0 and a cooling device is at work.
    `cut` says that a record has no end in the text. None: not printed.
    """

    status: int | None
    status_overridden: bool | None
    hal_ready: bool | None
    connection: str | None
    temperatures: tuple[Temperature, ...]
    cached: tuple[Temperature, ...]
    cooling_devices: tuple[CoolingDevice, ...]
    throttled: bool
    cut: bool

    def warmest_c(self, kind: str) -> float | None:
        """The highest current temperature of a kind, in degrees Celsius; None if no sensor shows one."""
        return max((t.celsius for t in self.temperatures if t.kind == kind and t.celsius is not None), default=None)


def thermal_state(printed: Printed) -> ThermalState:
    """What `dumpsys thermalservice` says. Raises DataError if it has neither a status nor a current temperature."""
    text = decode(printed)
    bodies, ends = _sections(text)
    status = whole(_value(text, "Thermal Status"))
    status = status if status is not None and 0 <= status < len(STATUS_NAMES) else None
    connection = " ".join(bodies.get("HAL connection", "").split()) or None
    shifted = "sdhms" in (connection or "").lower()
    current, cooling = (
        bodies.get("Current temperatures from HAL", ""),
        bodies.get("Current cooling devices from HAL", ""),
    )
    temperatures = _temperatures(current, shifted)
    hal_ready = truth(_value(text, "HAL Ready"))
    if status is None and not temperatures and hal_ready is None:
        raise DataError(f"dumpsys thermalservice shows neither a status nor a temperature: {shown(text)}.")
    devices = tuple(
        CoolingDevice(_name(fields), whole(fields.get("mType")) or 0, level)
        for fields in _records(cooling, "CoolingDevice")
        if (level := whole(fields.get("mValue"))) is not None
    )
    return ThermalState(
        status=status,
        status_overridden=truth(_value(text, "IsStatusOverride")),
        hal_ready=hal_ready,
        connection=connection,
        temperatures=temperatures,
        cached=_temperatures(bodies.get("Cached temperatures", ""), shifted),
        cooling_devices=devices,
        throttled=bool(status) or any(t.status for t in temperatures) or any(d.slowing for d in devices),
        cut=any(len(_BEGUN.findall(body)) > len(_RECORD.findall(body)) for body in ends),
    )


def _sections(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """The first body of each section by its heading, and all bodies that hold records."""
    headings = list(_HEADING.finditer(text))
    bodies: dict[str, str] = {}
    for heading, following in zip_longest(headings, headings[1:]):
        body = text[heading.end() : following.start() if following else len(text)]
        bodies.setdefault(heading[1], body)
    if "HAL connection" in bodies:
        bodies["HAL connection"] = bodies["HAL connection"].strip().partition("\n")[0]
    return bodies, tuple(bodies.values())


def _value(text: str, key: str) -> str | None:
    match = re.search(rf"^[ \t]*{key}:[ \t]*([^\n]*)", text, re.MULTILINE)
    return match[1] if match else None


def _records(body: str, kind: str) -> list[dict[str, str]]:
    """Fields of each record of a kind; a record may run over several lines."""
    found = []
    for match in _RECORD.finditer(body):
        if match[1] == kind:
            pieces = re.split(r",\s*(?=m[A-Z]\w{2,20}\s*=)", match[2])
            pairs = (piece.partition("=") for piece in pieces)
            found.append({key.strip(): " ".join(value.split()) for key, _, value in pairs})
    return found


def _temperatures(body: str, shifted: bool) -> tuple[Temperature, ...]:
    return tuple(_temperature(fields, shifted) for fields in _records(body, "Temperature"))


def _temperature(fields: dict[str, str], shifted: bool) -> Temperature:
    name, type_id = _name(fields), whole(fields.get("mType"))
    kind = _KINDS.get(-1 if type_id is None else type_id, "unknown")
    if shifted:
        # Samsung's own service counts types from 0 where Android counts from -1; names say what a sensor is.
        kind = _SAMSUNG.get(name.upper()) or _KINDS.get((type_id or 0) - 1, "unknown")
    unit = _UNITS.get(kind, "celsius")
    printed = fields.get("mValue", "")
    return Temperature(name, kind, unit, printed, celsius_of(real(printed), unit), whole(fields.get("mStatus")))


def celsius_of(value: float | None, unit: str = "celsius") -> float | None:
    """Degrees of a printed value: thousands are thousandths of one, exactly 0 and the impossible are no reading."""
    if value is None or unit != "celsius" or value == 0:
        return None
    degrees = value / 1000 if abs(value) >= 1000 else value
    return round(degrees, 3) if -50 < degrees < 200 else None


def _name(fields: dict[str, str]) -> str:
    return fields.get("mName", "")
