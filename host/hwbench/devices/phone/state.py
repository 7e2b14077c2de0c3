"""How a phone is at this moment: charge, warmth, throttling, clocks and free space, from one run of state.sh."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from hwbench.devices.phone.battery import Battery, battery
from hwbench.devices.phone.cpufreq import clock_policies
from hwbench.devices.phone.df import filesystems, holding
from hwbench.devices.phone.sections import Sections
from hwbench.devices.phone.sysfs import SysfsFiles, sysfs_files
from hwbench.devices.phone.text import whole
from hwbench.devices.phone.thermal import ThermalState, thermal_state
from hwbench.devices.phone.thermal_zones import ThermalZone, thermal_zones
from hwbench.errors import DataError

T = TypeVar("T")

_SUPPLY = "/sys/class/power_supply/battery/"
# Sensors of the case and of the battery by the names that vendors give them; those of cores follow the load.
_OUTER_ZONE = re.compile(r"(?:.*[-_])?(?:skin|shell|case|batt|battery)(?:[-_].*)?", re.IGNORECASE)
_CHARGING = {"charging": True, "discharging": False, "not charging": False, "full": False}
_FROZEN = "updates of `dumpsys battery` are stopped, so its figures are old"


class Warmth(msgspec.Struct, frozen=True):
    """A temperature in degrees Celsius and where it was read, e.g. `skin (thermalservice)`."""

    celsius: float
    source: str


class Clock(msgspec.Struct, frozen=True):
    """Cores that share a clock; kHz now, and the most that the system allows now. None: not readable."""

    cores: tuple[int, ...]
    current_khz: int | None
    limit_khz: int | None


class PhoneState(msgspec.Struct, frozen=True):
    """None: not readable, or not to be believed; `unreadable` has the reason by the name of the field or section.

    `warmest` is of the case or the battery. `battery_frozen`: somebody stopped the updates of `dumpsys battery`.
    `throttling` names the cooling devices that slow a model down, which may be at work while the status is 0.
    """

    battery_percent: float | None
    charging: bool | None
    battery_warmth: Warmth | None
    battery_frozen: bool
    warmest: Warmth | None
    thermal_status: int | None
    throttling: tuple[str, ...]
    clocks: tuple[Clock, ...]
    free_bytes: int | None
    unreadable: dict[str, str]


def phone_state(sections: Sections, folder: str) -> PhoneState:
    """The state of a phone; `folder` is the one whose file system must have space. Never fails."""
    unreadable: dict[str, str] = {}

    def read(section: str, parse: Callable[[bytes], T]) -> T | None:
        if section not in sections.bodies:
            unreadable[section] = sections.reason(section)
            return None
        try:
            return parse(sections.bodies[section])
        except DataError as error:
            unreadable[section] = error.message
            return None

    thermal = read("thermalservice", thermal_state)
    charge = read("battery", battery)
    supply = read("power_supply", sysfs_files)
    zones = read("thermal_zones", lambda printed: thermal_zones(sysfs_files(printed))) or ()
    clocks = read("clocks", _clocks) or ()
    free = read("df", lambda printed: _free_bytes(printed, folder))
    frozen = charge is not None and charge.updates_stopped
    believed = None if frozen else charge
    if frozen:
        unreadable["battery"] = _FROZEN
    cell = _battery_warmth(thermal, believed, supply, zones)
    percent, charging, status = _percent(believed, supply), _charging(believed, supply), _status(thermal)
    warmest = _warmest(thermal, cell, zones)
    if thermal is not None and thermal.status_overridden:
        unreadable["thermal_status"] = "it was set by hand; `cmd thermalservice reset` undoes that"
    facts = {"battery_percent": percent, "charging": charging, "warmest": warmest, "thermal_status": status}
    for name, fact in facts.items():
        if fact is None:
            unreadable.setdefault(name, "nothing on this phone shows it")
    return PhoneState(
        battery_percent=percent,
        charging=charging,
        battery_warmth=cell,
        battery_frozen=frozen,
        warmest=warmest,
        thermal_status=status,
        throttling=tuple(d.name or "unnamed" for d in thermal.cooling_devices if d.slowing) if thermal else (),
        clocks=clocks,
        free_bytes=free,
        unreadable=unreadable,
    )


def limits_differ(before: PhoneState, after: PhoneState) -> bool | None:
    """Whether the system's limit of any clock changed in between; None where no clock can be read at both times.

    Fixed performance changes them, except on phones that accept it and do nothing.
    """
    limits = [{clock.cores: clock.limit_khz for clock in state.clocks if clock.limit_khz} for state in (before, after)]
    both = limits[0].keys() & limits[1].keys()
    return any(limits[0][cores] != limits[1][cores] for cores in both) if both else None


def _status(thermal: ThermalState | None) -> int | None:
    return None if thermal is None or thermal.status_overridden else thermal.status


def _percent(charge: Battery | None, supply: SysfsFiles | None) -> float | None:
    if charge is not None and charge.present is False:
        return None
    percents = [charge.level_percent if charge else None, whole(_supplied(supply, "capacity"))]
    return next((float(p) for p in percents if p is not None and 0 <= p <= 100), None)


def _charging(charge: Battery | None, supply: SysfsFiles | None) -> bool | None:
    """Whether the battery is being charged; a box without a battery is not."""
    if charge is not None:
        if charge.present is False:
            return False
        if charge.status in _CHARGING:
            return _CHARGING[charge.status]
        if charge.powered is False:
            return False
    return _CHARGING.get(_supplied(supply, "status").lower())


def _battery_warmth(
    thermal: ThermalState | None, charge: Battery | None, supply: SysfsFiles | None, zones: tuple[ThermalZone, ...]
) -> Warmth | None:
    """The first source that shows it: those below Android cannot be frozen."""
    tenths = whole(_supplied(supply, "temp"))
    named = [z.celsius for z in zones if z.celsius is not None and re.search("batt", z.type or "", re.IGNORECASE)]
    sources = (
        (thermal.warmest_c("battery") if thermal else None, "thermalservice"),
        (tenths / 10 if tenths and -500 < tenths < 1500 else None, "power_supply"),
        (charge.temperature_c if charge else None, "dumpsys battery"),
        (max(named, default=None), "thermal zone"),
    )
    return next((Warmth(c, f"battery ({source})") for c, source in sources if c is not None), None)


def _warmest(thermal: ThermalState | None, cell: Warmth | None, zones: tuple[ThermalZone, ...]) -> Warmth | None:
    """The warmer of case and battery. Chips are left out: they are as warm as their last load for seconds only."""
    found = [cell] if cell else []
    skin = thermal.warmest_c("skin") if thermal else None
    if skin is not None:
        found.append(Warmth(skin, "skin (thermalservice)"))
    else:
        outer = [zone for zone in zones if _OUTER_ZONE.fullmatch(zone.type or "")]
        found += [Warmth(zone.celsius, f"{zone.type} (thermal zone)") for zone in outer if zone.celsius is not None]
    return max(found, key=lambda warmth: warmth.celsius, default=None)


def _supplied(supply: SysfsFiles | None, name: str) -> str:
    return supply.contents.get(_SUPPLY + name, "") if supply else ""


def _clocks(printed: bytes) -> tuple[Clock, ...]:
    policies = clock_policies(sysfs_files(printed))
    if not policies:
        raise DataError("the phone shows no clock.")
    return tuple(Clock(policy.cores, policy.current_khz, policy.limit_khz) for policy in policies)


def _free_bytes(printed: bytes, folder: str) -> int:
    mounts = filesystems(printed)
    # Asked for one folder, df may show a mount point of another name.
    found = holding(mounts, folder) or (mounts[0] if len(mounts) == 1 else None)
    if found is None:
        raise DataError(f"df shows no file system that {folder} lies on.")
    return found.free_bytes
