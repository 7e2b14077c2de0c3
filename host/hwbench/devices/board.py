"""A Linux board as a platform: measured as it is found, nothing on it is changed."""

from __future__ import annotations

from collections.abc import Callable

from hwbench.devices.base import LaunchReport, Pulse
from hwbench.devices.bundle import TARGETS, BundleTarget
from hwbench.devices.linux import available_memory_bytes, linux_record
from hwbench.devices.linux_files import files_there
from hwbench.devices.phone.cores import choose_cores, listed
from hwbench.devices.phone.sysfs import SysfsFiles
from hwbench.devices.platform import Watched
from hwbench.devices.transport import Transport
from hwbench.errors import DeviceError
from hwbench.records import DeviceRecord

_BUNDLES = {"aarch64": "linux-arm64", "x86_64": "linux-x86_64"}


class Board:
    """The board behind a transport."""

    regime = "as_shipped"
    notes: tuple[str, ...] = ()

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._files: SysfsFiles | None = None

    def record(self) -> DeviceRecord:
        return linux_record(self._read(), "ssh")

    def bundle_target(self) -> BundleTarget:
        architecture = self.record().architecture
        if architecture not in _BUNDLES:
            raise DeviceError(
                f"{self._transport.name} is {architecture}; hwbench's runner is for {' and '.join(_BUNDLES)}."
            )
        return TARGETS[_BUNDLES[architecture]]

    def available_memory_bytes(self) -> int:
        return available_memory_bytes(self._read())

    def choose_cores(self, threads: int, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """Of the largest cluster, or the last of cores that are alike: core 0 often serves interrupts."""
        record = self.record()
        if wanted or record.clusters:
            return choose_cores(record, threads, wanted).cores
        return record.allowed_cores[-threads:]

    def describe_cores(self, threads: int, wanted: tuple[int, ...]) -> str:
        record = self.record()
        if wanted or record.clusters:
            return choose_cores(record, threads, wanted).described
        return f"{threads} of {listed(record.allowed_cores)}"

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

    def _read(self) -> SysfsFiles:
        """The files of the board as they were at first contact."""
        if self._files is None:
            self._files = files_there(self._transport)
        return self._files
