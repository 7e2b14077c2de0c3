"""The record of a Linux machine: pure functions of what /proc and /sys say, and one reader."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

from hwbench.records import Cache, DeviceRecord

_UNLIMITED_BYTES = 1 << 60


def cpu_model(cpuinfo: str) -> str:
    """The processor's name from /proc/cpuinfo text; on Arm, its implementer and part numbers."""
    for field in ("model name", "Hardware", "Model"):
        if match := re.search(rf"^{field}\s*:\s*(.+)$", cpuinfo, re.MULTILINE):
            return match[1].strip()
    parts = re.findall(r"^CPU (?:implementer|part)\s*:\s*(\S+)$", cpuinfo, re.MULTILINE)
    return "Arm " + " ".join(dict.fromkeys(parts)) if parts else "unknown"


def parse_size(text: str) -> int:
    """Bytes of a size as sysfs prints it: `1024K`, `8M`, `512`."""
    match = re.fullmatch(r"(\d+)([KMG]?)", text.strip())
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
    """Processors granted by cgroup v2's cpu.max (`max 100000` is none)."""
    quota, _, period = cpu_max.partition(" ")
    return None if quota == "max" else int(quota) / int(period or 100_000)


def busy_jiffies(stat: str) -> dict[int, int]:
    """Per core, the time not spent idle, from /proc/stat text."""
    busy = {}
    for match in re.finditer(r"^cpu(\d+) (.+)$", stat, re.MULTILINE):
        fields = [int(n) for n in match[2].split()]
        busy[int(match[1])] = sum(fields[:8]) - fields[3] - fields[4]
    return busy


class LinuxMachine:
    """Reads this machine; what cannot be read is None, with the reason kept."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._unreadable: dict[str, str] = {}

    def record(self, kind: str) -> DeviceRecord:
        self._unreadable = {}
        cpuinfo = self._text("proc/cpuinfo") or ""
        model = cpu_model(cpuinfo)
        memory = re.search(r"MemTotal:\s+(\d+) kB", self._text("proc/meminfo") or "")
        cores = os.cpu_count() or 1
        frequencies = [
            self._number(f"sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_{edge}_freq") for edge in ("min", "max")
        ]
        machine = platform.machine()
        return DeviceRecord(
            id=device_id(model, machine, cores),
            kind=kind,
            cpu_model=model,
            architecture=machine,
            cores=cores,
            allowed_cores=tuple(sorted(os.sched_getaffinity(0))),
            caches=self._caches(),
            governor=self._text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            frequency_khz_min=frequencies[0],
            frequency_khz_max=frequencies[1],
            cgroup_cpus=self._cgroup_cpus(),
            cgroup_memory_bytes=self._cgroup_memory(),
            memory_bytes=int(memory[1]) * 1024 if memory else 0,
            page_bytes=os.sysconf("SC_PAGE_SIZE"),
            load_average=os.getloadavg()[0],
            virtualised=self._virtualised(cpuinfo),
            kernel=platform.release(),
            system=self._system(),
            boot_id=self._text("proc/sys/kernel/random/boot_id"),
            recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
            unreadable=dict(self._unreadable),
        )

    def busy(self) -> dict[int, int]:
        return busy_jiffies(self._text("proc/stat") or "")

    def available_memory_bytes(self) -> int:
        """What a launch may hope for: MemAvailable, within the cgroup's limit."""
        match = re.search(r"MemAvailable:\s+(\d+) kB", self._text("proc/meminfo") or "")
        available = int(match[1]) * 1024 if match else 1 << 30
        limit = self._cgroup_memory()
        return available if limit is None else min(available, limit)

    def _text(self, path: str) -> str | None:
        try:
            return (self._root / path).read_text(errors="replace").strip()
        except OSError as error:
            self._unreadable[path] = error.strerror or str(error)
            return None

    def _number(self, path: str) -> int | None:
        text = self._text(path)
        return int(text) if text is not None and text.isdigit() else None

    def _caches(self) -> tuple[Cache, ...]:
        caches = []
        for index in range(8):
            folder = f"sys/devices/system/cpu/cpu0/cache/index{index}"
            if not (self._root / folder).is_dir():
                break
            level, kind, size, shared = (
                self._text(f"{folder}/{name}") for name in ("level", "type", "size", "shared_cpu_list")
            )
            if level and kind and size:
                caches.append(Cache(int(level), kind.lower(), parse_size(size), shared or ""))
        return tuple(caches)

    def _cgroup_cpus(self) -> float | None:
        text = self._text("sys/fs/cgroup/cpu.max")
        return None if text is None else cpu_quota(text)

    def _cgroup_memory(self) -> int | None:
        limit = self._number("sys/fs/cgroup/memory.max")
        return None if limit is None or limit > _UNLIMITED_BYTES else limit

    def _virtualised(self, cpuinfo: str) -> str | None:
        if " hypervisor" in cpuinfo:
            return self._text("sys/class/dmi/id/sys_vendor") or "hypervisor"
        return None

    def _system(self) -> str:
        match = re.search(r'^PRETTY_NAME="?([^"\n]+)', self._text("etc/os-release") or "", re.MULTILINE)
        return match[1] if match else platform.system()


def device_id(model: str, machine: str, cores: int) -> str:
    """A name for folders: the model in plain letters, with a short hash that keeps machines of other sizes apart."""
    plain = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[:40] or "computer"
    return f"{plain}-{hashlib.sha256(f'{model}|{machine}|{cores}'.encode()).hexdigest()[:8]}"
