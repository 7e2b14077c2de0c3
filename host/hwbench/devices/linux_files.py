"""The files that say what a Linux machine is: read on this one, or printed by one command on another."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from hwbench.devices.phone.sysfs import SysfsFiles, sysfs_files
from hwbench.devices.phone.text import decode
from hwbench.devices.transport import Transport
from hwbench.errors import DataError, DeviceError

CPU = "/sys/devices/system/cpu"
DMI_VENDOR = "/sys/class/dmi/id/sys_vendor"
BOARD_MODEL = "/proc/device-tree/model"
# What is no file: facts that a process is told by other means.
MACHINE, PAGE_BYTES = "uname-m", "page-size"

# Without one of these the record says why; the rest is there on some machines.
_EXPECTED = (
    "/proc/cpuinfo", "/proc/meminfo", "/proc/loadavg", "/proc/self/status", "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/random/boot_id", "/etc/os-release", "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/memory.max",
    f"{CPU}/cpu0/cpufreq/cpuinfo_min_freq", f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq",
    f"{CPU}/cpu0/cpufreq/scaling_governor",
)  # fmt: skip
_CLOCKS = (
    "related_cpus",
    "affected_cpus",
    "cpuinfo_min_freq",
    "cpuinfo_max_freq",
    "scaling_max_freq",
    "scaling_governor",
)
_PATTERNS = (
    DMI_VENDOR, BOARD_MODEL, f"{CPU}/possible", f"{CPU}/present", f"{CPU}/online", f"{CPU}/cpu*/cpu_capacity",
    f"{CPU}/cpu0/cpufreq/related_cpus", *(f"{CPU}/cpufreq/policy*/{name}" for name in _CLOCKS),
    *(f"{CPU}/cpu0/cache/index*/{name}" for name in ("level", "type", "size", "shared_cpu_list")),
)  # fmt: skip

# The patterns are expanded by the shell, which leaves one that matches nothing as it is.
_SCRIPT = f"""
show() {{ echo "==> $1 <=="; cat "$1" 2>&1; echo; }}
for file in {" ".join(_EXPECTED)}; do show "$file"; done
for file in {" ".join(_PATTERNS)}; do if [ -e "$file" ]; then show "$file"; fi; done
echo "==> {MACHINE} <=="; uname -m
echo "==> {PAGE_BYTES} <=="; getconf PAGESIZE
"""
_TIMEOUT_S = 60.0


def files_here(root: Path = Path("/")) -> SysfsFiles:
    """Those of this computer, or of a copy of its folders below `root`."""
    contents = {MACHINE: platform.machine(), PAGE_BYTES: str(os.sysconf("SC_PAGE_SIZE"))}
    unreadable: dict[str, str] = {}
    found = (path for pattern in _PATTERNS for path in sorted(root.glob(pattern.lstrip("/"))))
    for path in (*(root / name.lstrip("/") for name in _EXPECTED), *found):
        name = f"/{path.relative_to(root)}"
        try:
            contents[name] = decode(path.read_bytes()).strip()
        except OSError as error:
            unreadable[name] = error.strerror or str(error)
    return SysfsFiles(contents, unreadable)


def files_there(transport: Transport) -> SysfsFiles:
    """Those of a machine behind a transport, in one round trip. Raises DeviceError if it prints none of them."""
    done = transport.run(["sh", "-c", _SCRIPT], timeout_s=_TIMEOUT_S)
    try:
        return sysfs_files(done.stdout)
    except DataError as error:
        raise DeviceError(f"{transport.name} does not print what it is: {error.message}") from error
