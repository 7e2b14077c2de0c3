"""The record of a Linux machine: pure functions of what /proc and /sys say, here or behind a transport."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from hwbench.devices.linux_files import BOARD_MODEL, CPU, DMI_VENDOR, MACHINE, PAGE_BYTES, files_here, files_there
from hwbench.devices.phone.cpuinfo import CpuInfo, cpuinfo
from hwbench.devices.phone.meminfo import memory
from hwbench.devices.phone.process_status import allowed_cores
from hwbench.devices.phone.single_values import boot_id, load_average, page_bytes
from hwbench.devices.phone.sysfs import SysfsFiles
from hwbench.devices.phone.text import whole
from hwbench.devices.phone.topology import Topology, cpu_topology
from hwbench.devices.transport import Transport
from hwbench.errors import DataError
from hwbench.records import Cache, Cluster, DeviceRecord

T = TypeVar("T")
_UNLIMITED_BYTES = 1 << 60
_MODEST_BYTES = 1 << 30
_MOST_CACHES = 8
_LONGEST = 200


def cpu_model(cpuinfo: str) -> str:
    """The processor's name from /proc/cpuinfo text; on Arm, its implementer and part numbers."""
    for field in ("model name", "Hardware", "Model"):
        if match := re.search(rf"^{field}\s*:\s*(.+)$", cpuinfo, re.MULTILINE):
            return match[1].strip()
    parts = re.findall(r"^CPU (?:implementer|part)\s*:\s*(\S+)$", cpuinfo, re.MULTILINE)
    return "Arm " + " ".join(dict.fromkeys(parts)) if parts else "unknown"


def parse_size(text: str) -> int:
    """Bytes of a size as sysfs prints it: `1024K`, `8M`, `512`."""
    match = re.fullmatch(r"([0-9]{1,9})([KMG]?)", text.strip())
    if match is None:
        raise ValueError(f"not a size: {text!r}")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]]


def parse_core_list(text: str) -> tuple[int, ...]:
    """Core numbers of a kernel list such as `0-3,7`."""
    cores: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        cores += range(int(first), int(last or first) + 1)
    return tuple(cores)


def cpu_quota(cpu_max: str) -> float | None:
    """Processors granted by cgroup v2's cpu.max (`max 100000` is none). Raises ValueError or ArithmeticError."""
    quota, _, period = cpu_max.partition(" ")
    return None if quota == "max" else int(quota) / int(period or 100_000)


def busy_jiffies(stat: str) -> dict[int, int]:
    """Per core, the time not spent idle, from /proc/stat text."""
    busy = {}
    for match in re.finditer(r"^cpu(\d+) (.+)$", stat, re.MULTILINE):
        fields = [int(n) for n in match[2].split()]
        busy[int(match[1])] = sum(fields[:8]) - fields[3] - fields[4]
    return busy


def linux_record(files: SysfsFiles, kind: str) -> DeviceRecord:
    """The record of the machine that has these files.

    What cannot be read is None (numbers that must be there: 0) and named in `unreadable`. Names of hosts and users,
    and serial numbers, are not looked at.
    """
    unreadable = {path.lstrip("/"): why for path, why in files.unreadable.items()}

    def read(path: str, parse: Callable[[str], T]) -> T | None:
        if path not in files.contents:
            return None
        try:
            return parse(files.contents[path])
        except (DataError, ValueError, ArithmeticError) as error:
            unreadable[path.lstrip("/")] = str(error)[:_LONGEST]
            return None

    cpuinfo_text = files.contents.get("/proc/cpuinfo", "")
    topology = _topology(files, read("/proc/cpuinfo", cpuinfo))
    cores = len(topology.online) if topology else 1
    model = _model(cpuinfo_text, _line(files, BOARD_MODEL))
    machine = _line(files, MACHINE) or "unknown"
    fastest = (
        max(topology.clusters, key=lambda c: (c.capacity or 0, c.max_khz or 0), default=None) if topology else None
    )
    memory_found = read("/proc/meminfo", memory)
    allowed = read("/proc/self/status", allowed_cores) or ()
    system = re.search(r'^PRETTY_NAME="?([^"\n]{1,200})', files.contents.get("/etc/os-release", ""), re.MULTILINE)
    return DeviceRecord(
        id=device_id(model, machine, cores),
        kind=kind,
        cpu_model=model,
        architecture=machine,
        cores=cores,
        allowed_cores=tuple(core for core in allowed if topology is None or core in topology.online),
        caches=_caches(files, read),
        governor=fastest.governor if fastest else None,
        frequency_khz_min=fastest.min_khz if fastest else None,
        frequency_khz_max=fastest.max_khz if fastest else None,
        cgroup_cpus=read("/sys/fs/cgroup/cpu.max", cpu_quota),
        cgroup_memory_bytes=_cgroup_memory(files),
        memory_bytes=memory_found.total_bytes if memory_found else 0,
        page_bytes=read(PAGE_BYTES, page_bytes) or 0,
        load_average=read("/proc/loadavg", load_average) or 0.0,
        virtualised=(_line(files, DMI_VENDOR) or "hypervisor") if " hypervisor" in cpuinfo_text else None,
        kernel=_line(files, "/proc/sys/kernel/osrelease") or "unknown",
        system=system[1] if system else "Linux",
        boot_id=read("/proc/sys/kernel/random/boot_id", boot_id),
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        unreadable=unreadable,
        clusters=_kinds_of_cores(topology, machine),
    )


def available_memory_bytes(files: SysfsFiles) -> int:
    """What a launch may hope for: MemAvailable, within the cgroup's limit."""
    try:
        available = memory(files.contents.get("/proc/meminfo", "")).available_bytes
    except DataError:
        available = None
    limit = _cgroup_memory(files)
    return min(_MODEST_BYTES if available is None else available, limit or _UNLIMITED_BYTES)


def remote_linux_record(transport: Transport, kind: str = "ssh") -> DeviceRecord:
    """The record of a machine behind a transport. Raises DeviceError."""
    return linux_record(files_there(transport), kind)


class LinuxMachine:
    """This machine, or a copy of its folders below `root`; what cannot be read is None, with the reason kept."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def record(self, kind: str) -> DeviceRecord:
        return linux_record(files_here(self._root), kind)

    def busy(self) -> dict[int, int]:
        try:
            return busy_jiffies((self._root / "proc/stat").read_text())
        except OSError:
            return {}

    def available_memory_bytes(self) -> int:
        return available_memory_bytes(files_here(self._root))


def _line(files: SysfsFiles, path: str) -> str:
    """The first line of a file; nothing if it is not there."""
    return files.contents.get(path, "").partition("\n")[0][:_LONGEST]


def _topology(files: SysfsFiles, processors: CpuInfo | None) -> Topology | None:
    try:
        return cpu_topology(files, processors)
    except DataError:
        return None


def _kinds_of_cores(topology: Topology | None, machine: str) -> tuple[Cluster, ...]:
    """The clusters, if there is more than one kind. Cores of a PC differ in their highest clock by chance."""
    if topology is None:
        return ()
    by_clock = machine.startswith(("aarch64", "arm"))
    kinds = {(c.capacity, c.core_name, c.max_khz if by_clock else None) for c in topology.clusters}
    return topology.clusters if len(kinds) > 1 else ()


def _model(cpuinfo_text: str, board: str) -> str:
    """The processor's name, or that of the board where the processor has only numbers."""
    model = cpu_model(cpuinfo_text)[:_LONGEST]
    return board if board and re.match(r"unknown$|Arm |ARMv|AArch64", model) else model


def _caches(files: SysfsFiles, read: Callable[[str, Callable[[str], int]], int | None]) -> tuple[Cache, ...]:
    caches = []
    for index in range(_MOST_CACHES):
        folder = f"{CPU}/cpu0/cache/index{index}"
        level, size = whole(files.contents.get(f"{folder}/level")), read(f"{folder}/size", parse_size)
        kind = _line(files, f"{folder}/type")
        if level is not None and size is not None and kind:
            caches.append(Cache(level, kind.lower(), size, _line(files, f"{folder}/shared_cpu_list")))
    return tuple(caches)


def _cgroup_memory(files: SysfsFiles) -> int | None:
    limit = whole(files.contents.get("/sys/fs/cgroup/memory.max"))
    return None if limit is None or not 0 < limit < _UNLIMITED_BYTES else limit


def device_id(model: str, machine: str, cores: int) -> str:
    """A name for folders: the model in plain letters, with a short hash that keeps machines of other sizes apart."""
    plain = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[:40] or "computer"
    return f"{plain}-{hashlib.sha256(f'{model}|{machine}|{cores}'.encode()).hexdigest()[:8]}"
