"""Every kind of output that is known, and the parser that reads it."""

from __future__ import annotations

from collections.abc import Callable

from hwbench.devices.phone.adb_listing import AdbDevice, adb_devices
from hwbench.devices.phone.adb_messages import AdbFailure, adb_failure
from hwbench.devices.phone.battery import battery
from hwbench.devices.phone.cpufreq import available_frequencies
from hwbench.devices.phone.cpuinfo import cpuinfo
from hwbench.devices.phone.df import filesystems
from hwbench.devices.phone.getprop import properties
from hwbench.devices.phone.meminfo import memory
from hwbench.devices.phone.process_status import allowed_cores
from hwbench.devices.phone.ps import processes
from hwbench.devices.phone.sysfs import refusals, sysfs_files
from hwbench.devices.phone.text import Printed, decode, shown
from hwbench.devices.phone.thermal import thermal_state
from hwbench.devices.phone.topology import cpu_topology
from hwbench.devices.phone.uname import uname
from hwbench.errors import DataError

_NOT_READ = {
    "benchmark_model": "times come from hwbench's own runner alone",
    "executorch": "times come from hwbench's own runner alone",
    "gles": "no measurement uses the name of the graphics driver",
    "lscpu": "phones have no lscpu; /sys and /proc/cpuinfo say the same",
}


def read_output(kind: str, printed: Printed) -> object:
    """What the parser of a kind makes of an output.

    Raises DataError for an output that cannot be read, and for a kind that hwbench does not read, with the reason.
    """
    if kind in _NOT_READ:
        raise DataError(f"hwbench does not read {kind}: {_NOT_READ[kind]}.")
    if kind not in PARSERS:
        raise DataError(f"hwbench knows no output of the kind {kind!r}.")
    return PARSERS[kind](printed)


def _adb(printed: Printed) -> tuple[AdbDevice, ...] | AdbFailure:
    """A listing, or the reason that adb gives in its place."""
    try:
        return adb_devices(printed)
    except DataError:
        return adb_failure(printed)


def _cpufreq(printed: Printed) -> object:
    """Cores and clusters of files of /sys, or the frequencies of a lone file."""
    try:
        return available_frequencies(printed)
    except DataError:
        return cpu_topology(sysfs_files(printed))


def _denials(printed: Printed) -> dict[str, str]:
    """The reason by path, for what the phone refused."""
    found = refusals(printed)
    if not found:
        raise DataError(f"no path that was refused: {shown(decode(printed))}.")
    return found


PARSERS: dict[str, Callable[[Printed], object]] = {
    "adb": _adb,
    "battery": battery,
    "cpufreq": _cpufreq,
    "cpuinfo": cpuinfo,
    "denials": _denials,
    "df": filesystems,
    "getprop": properties,
    "meminfo": memory,
    "procstatus": allowed_cores,
    "ps": processes,
    "thermalservice": thermal_state,
    "uname": uname,
}
