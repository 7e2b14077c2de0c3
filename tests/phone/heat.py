"""How hot a virtual phone is: the same in its thermal zones, in its thermal service and in its clocks."""

from __future__ import annotations

from pathlib import Path

from tests.phone.faults import Heat
from tests.phone.files import write_file
from tests.phone.model import PhoneModel

COOL = Heat(0, 41.0)
_STALE_C = 84.0
# Name, type of the thermal service, degrees above or below what the phone's heat says.
_SENSORS = (
    ("BIG", 0, 0.0), ("MID", 0, -2.0), ("LITTLE", 0, -3.0), ("G3D", 1, -4.0), ("VIRTUAL-SKIN", 3, -6.0),
    ("battery", 2, -9.0), ("vdroop1", 6, 1009.0),
)  # fmt: skip
_ZONES = tuple(sensor for sensor in _SENSORS if sensor[1] != 6)


def set_heat(root: Path, model: PhoneModel, heat: Heat) -> None:
    """Writes what the phone shows from now on."""
    for number, (name, _, above) in enumerate(_ZONES):
        zone = root / f"sys/class/thermal/thermal_zone{number}"
        write_file(zone / "type", f"{name}\n", 0o444)
        write_file(zone / "temp", f"{round((heat.celsius + above) * 1000)}\n", 0o444 if model.readable_thermal else 0)
    for kind in model.clusters:
        for core in set(kind.numbers) & set(model.online):
            clocks = root / f"sys/devices/system/cpu/cpu{core}/cpufreq"
            now_khz = max(kind.min_khz, round(kind.max_khz * heat.frequency_share))
            write_file(clocks / "scaling_cur_freq", f"{now_khz}\n", 0o444 if model.readable_cpufreq else 0)
    write_file(root / "system/etc/thermalservice", _thermal_service(model, heat), 0o444)


def _thermal_service(model: PhoneModel, heat: Heat) -> str:
    """What `dumpsys thermalservice` prints; its cached temperatures are old ones, as on phones."""
    now = [_temperature(heat.celsius + above, kind, name, heat.status) for name, kind, above in _SENSORS]
    cached = [_temperature(_STALE_C + above, kind, name, 0) for name, kind, above in _SENSORS]
    lines = [
        "IsStatusOverride: false",
        "ThermalEventListeners:",
        "\tcallbacks: 2",
        "\tkilled: false",
        "\tbroadcasts count: -1",
        f"Thermal Status: {heat.status}",
        "Cached temperatures:",
        *cached,
        "HAL Ready: true",
        "HAL connection:",
        "\tThermalHAL 2.0 connected: yes",
        "Current temperatures from HAL:",
        *now,
        "Current cooling devices from HAL:",
        f"\tCoolingDevice{{mValue={model.cooling_level}, mType=2, mName=thermal-cpufreq-0}}",
        "\tCoolingDevice{mValue=0, mType=3, mName=thermal-gpufreq-0}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _temperature(celsius: float, kind: int, name: str, status: int) -> str:
    return (
        f"\tTemperature{{mValue={celsius:.3f}, mType={kind}, mName={name}, mStatus={status if kind in (0, 3) else 0}}}"
    )
