"""A Linux board as a platform: measured as it is found, nothing on it is changed."""

from __future__ import annotations

from collections.abc import Callable

from hwbench.devices.base import LaunchReport, Pulse
from hwbench.devices.bundle import TARGETS, BundleTarget
from hwbench.devices.platform import Watched
from hwbench.devices.transport import Transport
from hwbench.errors import DeviceError, UsageError
from hwbench.records import DeviceRecord

_BUNDLES = {"aarch64": "linux-arm64", "x86_64": "linux-x86_64"}


class Board:
    """The board behind a transport."""

    regime = "as_shipped"
    notes: tuple[str, ...] = ()

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def record(self) -> DeviceRecord:
        raise UsageError(f"{self._transport.name} cannot be described yet.")

    def bundle_target(self) -> BundleTarget:
        architecture = self.record().architecture
        if architecture not in _BUNDLES:
            raise DeviceError(
                f"{self._transport.name} is {architecture}; hwbench's runner is for {' and '.join(_BUNDLES)}."
            )
        return TARGETS[_BUNDLES[architecture]]

    def available_memory_bytes(self) -> int:
        return self.record().memory_bytes // 2

    def choose_cores(self, threads: int, wanted: tuple[int, ...]) -> tuple[int, ...]:
        return wanted or self.record().allowed_cores[-threads:]

    def describe_cores(self, threads: int, wanted: tuple[int, ...]) -> str:
        return ",".join(map(str, self.choose_cores(threads, wanted)))

    def watched(self, cores: tuple[int, ...]) -> Watched:
        clock = f"/sys/devices/system/cpu/cpu{max(cores)}/cpufreq/scaling_cur_freq" if cores else None
        return Watched(clock, "/sys/class/thermal/thermal_zone0/temp")

    def prepare(self) -> tuple[str, ...]:
        return ()

    def gate(self, progress: Callable[[Pulse], None]) -> tuple[str, ...]:
        return ()

    def after(self) -> LaunchReport:
        return LaunchReport()

    def restore(self) -> None:
        """Nothing was changed."""
