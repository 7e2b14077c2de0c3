"""The device record of a phone, from what its commands printed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from hwbench.devices.linux import device_id
from hwbench.devices.phone.cpuinfo import CpuInfo, cpuinfo
from hwbench.devices.phone.getprop import Identity, identity, properties
from hwbench.devices.phone.meminfo import Memory, memory
from hwbench.devices.phone.process_status import allowed_cores
from hwbench.devices.phone.single_values import boot_id, load_average, page_bytes
from hwbench.devices.phone.sysfs import SysfsFiles, sysfs_files
from hwbench.devices.phone.text import Printed
from hwbench.devices.phone.topology import Topology, cpu_topology
from hwbench.devices.phone.uname import Uname, uname
from hwbench.errors import DataError
from hwbench.records import DeviceRecord, PhoneIdentity, PhoneRecord

T = TypeVar("T")


class PhoneOutputs(msgspec.Struct, frozen=True):
    """What each command printed; None: not asked, or it failed, with the reason in `refused` by the field's name."""

    getprop: Printed
    uname: Printed | None = None
    cpuinfo: Printed | None = None
    meminfo: Printed | None = None
    sysfs: Printed | None = None
    page_size: Printed | None = None
    loadavg: Printed | None = None
    process_status: Printed | None = None
    boot_id: Printed | None = None
    refused: dict[str, str] = {}


def phone_record(outputs: PhoneOutputs, *, salt: str, serial: str | None = None, kind: str = "adb") -> DeviceRecord:
    """The record of a phone. What cannot be read is None (numbers that must be there: 0) and named in `unreadable`.

    `serial` is adb's, used where the phone does not say its own; only a hash with `salt` is kept.
    `process_status` is /proc/self/status of a shell on the phone. Raises DataError if getprop is unusable.
    """
    unreadable: dict[str, str] = dict(outputs.refused)
    who = identity(properties(outputs.getprop))

    def read(name: str, printed: Printed | None, parse: Callable[[Printed], T]) -> T | None:
        if printed is None:
            unreadable.setdefault(name, "not asked")
            return None
        try:
            return parse(printed)
        except DataError as error:
            unreadable[name] = error.message
            return None

    kernel: Uname | None = read("uname", outputs.uname, uname)
    processors: CpuInfo | None = read("cpuinfo", outputs.cpuinfo, cpuinfo)
    ram: Memory | None = read("meminfo", outputs.meminfo, memory)
    files: SysfsFiles | None = read("sysfs", outputs.sysfs, sysfs_files)
    unreadable |= files.unreadable if files else {}
    cores = _topology(files, processors, unreadable)
    allowed = read("process_status", outputs.process_status, allowed_cores)
    page = read("page_size", outputs.page_size, page_bytes)
    load = read("loadavg", outputs.loadavg, load_average)
    boot = read("boot_id", outputs.boot_id, boot_id)
    fastest = max(cores.clusters, key=lambda c: (c.capacity or 0, c.max_khz or 0), default=None) if cores else None
    if fastest is not None and fastest.governor is None:
        unreadable.setdefault("governor", "no readable scaling_governor for the fastest cluster")
    if fastest is not None and fastest.max_khz is None:
        unreadable.setdefault("frequency_khz", "no readable clock limits for the fastest cluster")
    name = " ".join(filter(None, (who.manufacturer, who.model))) or "phone"
    machine = kernel.machine if kernel and kernel.machine else who.abis[0] if who.abis else "unknown"
    present = cores.present if cores else ()
    return DeviceRecord(
        id=device_id(name, who.soc or machine, len(present)),
        kind=kind,
        cpu_model=who.soc or (processors.hardware if processors else None) or "unknown",
        architecture=machine,
        cores=len(present),
        allowed_cores=allowed or (),
        caches=(),
        governor=fastest.governor if fastest else None,
        frequency_khz_min=fastest.min_khz if fastest else None,
        frequency_khz_max=fastest.max_khz if fastest else None,
        cgroup_cpus=None,
        cgroup_memory_bytes=None,
        memory_bytes=ram.total_bytes if ram else 0,
        page_bytes=page or 0,
        load_average=load or 0.0,
        virtualised="Android emulator" if who.emulated else None,
        kernel=kernel.release if kernel and kernel.release else "unknown",
        system=f"Android {who.android}" if who.android else "Android",
        boot_id=boot,
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        unreadable={name: _without(reason, who.serial, serial) for name, reason in unreadable.items()},
        phone=_phone(who, cores, who.serial or serial, salt),
    )


def serial_hash(serial: str, salt: str) -> str:
    """A name for a phone that does not give its serial away: 16 hex digits, the same for the same salt."""
    return hashlib.sha256(f"{len(salt)}:{salt}{serial}".encode(errors="replace")).hexdigest()[:16]


def _topology(files: SysfsFiles | None, processors: CpuInfo | None, unreadable: dict[str, str]) -> Topology | None:
    try:
        return cpu_topology(files or SysfsFiles({}, {}), processors)
    except DataError as error:
        unreadable["clusters"] = error.message
        return None


def _phone(who: Identity, cores: Topology | None, serial: str | None, salt: str) -> PhoneRecord:
    facts = {field: getattr(who, field) for field in PhoneIdentity.__struct_fields__}
    return PhoneRecord(
        **facts,
        serial_hash=None if serial is None else serial_hash(serial, salt),
        clusters=cores.clusters if cores else (),
        online_cores=cores.online if cores else (),
        offline_cores=cores.offline if cores else (),
        unplaced_cores=cores.unplaced if cores else (),
    )


def _without(reason: str, *serials: str | None) -> str:
    """A reason that does not name the phone: adb puts the serial into its errors."""
    for serial in filter(None, serials):
        reason = reason.replace(serial, "(serial)")
    return reason
