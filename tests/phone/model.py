"""What kind of phone a virtual phone is: its name, its cores, and what it denies."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace


class Cores(msgspec.Struct, frozen=True):
    """Cores of one kind. `part` is the CPU part of /proc/cpuinfo, `capacity` that of the scheduler, out of 1024."""

    numbers: tuple[int, ...]
    part: int
    capacity: int
    min_khz: int
    max_khz: int


def _three_kinds(small: tuple[int, ...], big: tuple[int, ...], prime: tuple[int, ...]) -> tuple[Cores, ...]:
    return (
        Cores(small, 0xD05, 160, 300_000, 1_803_000),
        Cores(big, 0xD0B, 498, 400_000, 2_253_000),
        Cores(prime, 0xD44, 1024, 500_000, 2_802_000),
    )


class PhoneModel(msgspec.Struct, frozen=True):
    """A phone as it leaves the factory, and how its maker and owner have set it up.

    Cores 0 and 1 are real, on any computer with two: the default phone has one small core and its prime core there,
    and its other cores are offline. Pinning to a core that this computer lacks fails with EINVAL, as it does on a phone
    whose kernel has taken the core away.
    """

    manufacturer: str = "Google"
    model: str = "Pixel 6"
    device: str = "oriole"
    serial: str = "1A051FDF6000AA"
    soc_manufacturer: str = "Google"
    soc_model: str = "GS101"
    android: str = "13"
    sdk: int = 33
    emulator: bool = False
    clusters: tuple[Cores, ...] = _three_kinds((0, 2, 3, 4), (5, 6, 7), (1,))
    online: tuple[int, ...] = (0, 1)
    governor: str = "sched_pixel"
    readable_thermal: bool = True
    readable_cpufreq: bool = True
    thermal_service: bool = True
    cooling_level: int = 0
    taskset: bool = True
    denied: tuple[str, ...] = ()
    clock_skew_s: int = 0
    writable: bool = True
    executable: bool = True
    shell_v2: bool = True
    abis: tuple[str, ...] = ("arm64-v8a", "armeabi-v7a", "armeabi")
    battery_percent: int = 87
    charging: bool = True
    updates_stopped: bool = False
    storage_bytes: int = 2 << 30

    @property
    def cores(self) -> tuple[int, ...]:
        """Every core that the phone was made with."""
        return tuple(sorted(number for kind in self.clusters for number in kind.numbers))

    def properties(self) -> dict[str, str]:
        """What `getprop` knows."""
        maker = self.manufacturer.lower()
        build = f"{maker}/{self.device}/{self.device}:{self.android}/TP1A.220624.021/8877034:user/release-keys"
        plain = {
            "persist.sys.boot.reason.history": "reboot,ota,1660000000\nreboot,1659990000",
            "ro.board.platform": "gs101",
            "ro.boot.hardware": self.device,
            "ro.build.fingerprint": build,
            "ro.build.type": "user",
            "ro.build.version.release": self.android,
            "ro.build.version.sdk": str(self.sdk),
            "ro.build.version.security_patch": "2022-08-05",
            "ro.debuggable": "0",
            "ro.hardware": self.device,
            "ro.product.brand": maker,
            "ro.product.cpu.abi": self.abis[0],
            "ro.product.cpu.abilist": ",".join(self.abis),
            "ro.product.cpu.abilist64": ",".join(abi for abi in self.abis if "64" in abi),
            "ro.product.device": self.device,
            "ro.product.manufacturer": self.manufacturer,
            "ro.product.model": self.model,
            "ro.product.name": self.device,
            "ro.serialno": self.serial,
            "ro.soc.manufacturer": self.soc_manufacturer,
            "ro.soc.model": self.soc_model,
            "sys.boot_completed": "1",
        }
        emulated = {"ro.boot.qemu": "1", "ro.hardware": "ranchu", "ro.kernel.qemu": "1"}
        return dict(sorted((plain | (emulated if self.emulator else {})).items()))


PIXEL = PhoneModel()

VARIANTS = {
    "plain": PIXEL,
    "no taskset": replace(PIXEL, taskset=False),
    "denied": replace(PIXEL, manufacturer="Xiaomi", model="2201123G", device="cupid", denied=("input", "settings")),
    "unreadable thermal": replace(PIXEL, readable_thermal=False),
    "unreadable cpufreq": replace(PIXEL, readable_cpufreq=False),
    "no thermal service": replace(PIXEL, thermal_service=False, android="9", sdk=28),
    "all cores": replace(PIXEL, clusters=_three_kinds((0, 1, 2, 3), (4, 5, 6), (7,)), online=tuple(range(8))),
    "clock skew": replace(PIXEL, clock_skew_s=-86_400 * 400),
    "read-only": replace(PIXEL, writable=False),
    "odd names": replace(PIXEL, serial="A 'B' \"C\" $(reboot)", model="Phone's \"$(id)\" `x` 5 G; #1"),
    "emulator": replace(PIXEL, emulator=True, model="sdk_gphone64_arm64", device="emu64a"),
    "low battery": replace(PIXEL, battery_percent=9, charging=False),
    "updates stopped": replace(PIXEL, updates_stopped=True),
    "Samsung": replace(PIXEL, manufacturer="samsung", model="SM-S921B", device="e1s", cooling_level=3),
}  # fmt: skip
"""Phones to test with, by what is special about each."""
