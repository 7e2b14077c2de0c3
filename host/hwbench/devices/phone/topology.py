"""Which cores a phone has, which are online, and its clusters."""

from __future__ import annotations

import re

import msgspec

from hwbench.devices.phone.cpufreq import ClockPolicy, clock_policies
from hwbench.devices.phone.cpuinfo import CpuInfo
from hwbench.devices.phone.sysfs import SysfsFiles
from hwbench.devices.phone.text import core_list, whole
from hwbench.errors import DataError
from hwbench.records import Cluster

_CPU = "/sys/devices/system/cpu/"
_CAPACITY = re.compile(re.escape(_CPU) + r"cpu([0-9]{1,4})/cpu_capacity")


class Topology(msgspec.Struct, frozen=True):
    """Cores by number. `clusters` are in the order of their first core, `unplaced` are cores of no known cluster."""

    possible: tuple[int, ...]
    present: tuple[int, ...]
    online: tuple[int, ...]
    offline: tuple[int, ...]
    clusters: tuple[Cluster, ...]
    unplaced: tuple[int, ...]


def cpu_topology(files: SysfsFiles, processors: CpuInfo | None = None) -> Topology:
    """The cores and clusters, by capacity and clock where the phone shows them, else by the part of each core.

    Raises DataError if neither /sys nor /proc/cpuinfo says which cores there are.
    """
    named = {found.core: found.name for found in processors.processors} if processors else {}
    policies = clock_policies(files)
    clocked = {core for policy in policies for core in policy.cores}
    listed = {name: _listed(files, name) for name in ("possible", "present", "online")}
    possible = listed["possible"] or listed["present"] or tuple(sorted(clocked | set(named)))
    if not possible:
        raise DataError("neither /sys/devices/system/cpu nor /proc/cpuinfo says which cores there are.")
    present = listed["present"] or possible
    online = listed["online"] or tuple(sorted(named)) or present
    capacities = {
        int(match[1]): capacity
        for path, body in files.contents.items()
        if (match := _CAPACITY.fullmatch(path)) and (capacity := whole(body)) is not None and capacity > 0
    }
    groups = _groups(policies, capacities, named, present, processors is not None and processors.one_part_for_all)
    clusters = tuple(_cluster(cores, policies, capacities, named, online) for cores in sorted(groups))
    placed = {core for cores in groups for core in cores}
    return Topology(
        possible=possible,
        present=present,
        online=online,
        offline=tuple(core for core in present if core not in online),
        clusters=clusters,
        unplaced=tuple(core for core in present if core not in placed),
    )


def _listed(files: SysfsFiles, name: str) -> tuple[int, ...]:
    try:
        return core_list(files.contents.get(_CPU + name, ""))
    except DataError:
        return ()


def _groups(
    policies: tuple[ClockPolicy, ...],
    capacities: dict[int, int],
    named: dict[int, str | None],
    present: tuple[int, ...],
    one_part_for_all: bool,
) -> list[tuple[int, ...]]:
    """The cores of each cluster."""
    groups: list[tuple[int, ...]] = []
    alone: dict[tuple[int | None, int | None], list[int]] = {}
    placed: set[int] = set()
    for policy in policies:
        cores = tuple(core for core in policy.cores if core in present and core not in placed)
        placed.update(cores)
        if len(cores) > 1:
            groups.append(cores)
        elif cores:
            # Some chips clock each core by itself: equal ones belong together.
            alone.setdefault((capacities.get(cores[0]), policy.max_khz), []).append(cores[0])
    groups += [tuple(cores) for cores in alone.values()]
    rest = [core for core in present if core not in placed]
    by_kind: dict[tuple[int | None, str | None], list[int]] = {}
    for core in rest:
        kind = capacities.get(core), None if one_part_for_all or policies else named.get(core)
        if kind != (None, None):
            by_kind.setdefault(kind, []).append(core)
    return groups + [tuple(cores) for cores in by_kind.values()]


def _cluster(
    cores: tuple[int, ...],
    policies: tuple[ClockPolicy, ...],
    capacities: dict[int, int],
    named: dict[int, str | None],
    online: tuple[int, ...],
) -> Cluster:
    clocks = [policy for policy in policies if set(policy.cores) & set(cores)]
    names = [name for core in cores if (name := named.get(core))]
    return Cluster(
        cores=cores,
        online=tuple(core for core in cores if core in online),
        core_name=names[0] if len(set(names)) == 1 else None,
        capacity=max((capacities[core] for core in cores if core in capacities), default=None),
        min_khz=min((clock.min_khz for clock in clocks if clock.min_khz), default=None),
        max_khz=max((clock.max_khz for clock in clocks if clock.max_khz), default=None),
        limit_khz=max((clock.limit_khz for clock in clocks if clock.limit_khz), default=None),
        governor=next((clock.governor for clock in clocks if clock.governor), None),
    )
