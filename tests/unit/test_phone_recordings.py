"""The parsers on recorded outputs of real phones: every file, values read by hand, and damaged copies."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hwbench.devices.phone.adb_messages import AdbFailure
from hwbench.devices.phone.battery import battery
from hwbench.devices.phone.cpuinfo import cpuinfo
from hwbench.devices.phone.df import filesystems, holding
from hwbench.devices.phone.getprop import identity, properties
from hwbench.devices.phone.kinds import PARSERS, read_output
from hwbench.devices.phone.meminfo import memory
from hwbench.devices.phone.sysfs import sysfs_files
from hwbench.devices.phone.text import core_list
from hwbench.devices.phone.thermal import thermal_state
from hwbench.devices.phone.topology import cpu_topology
from hwbench.devices.phone.uname import uname
from hwbench.errors import DataError
from tests.phone_recordings import recordings, subjects
from tests.table_files import mutate
from tests.unit import phone_values as by_hand

TRIES = 300
NAMES = [*PARSERS, "identity", "thermal zones", "record"]
# What is refused on purpose, and words of the reason.
REFUSED = {
    "adb/fastboot-no-permissions.txt": "fastboot, not of adb",
    "benchmark_model": "hwbench's own runner alone",
    "executorch": "hwbench's own runner alone",
    "gles": "graphics driver",
    "lscpu": "phones have no lscpu",
}


def test_every_recording_is_parsed_or_refused_with_the_reason(published: Path) -> None:
    rows = recordings(published)
    assert len(rows) > 250
    for row in rows:
        data = (published / "phones" / row.file).read_bytes()
        reason = REFUSED.get(row.file) or REFUSED.get(row.kind)
        if reason is None:
            assert read_output(row.kind, data), row.file
        else:
            with pytest.raises(DataError, match=reason):
                read_output(row.kind, data)


def test_what_the_index_says_of_the_phones(published: Path) -> None:
    for row in recordings(published):
        if row.kind != "getprop" or not row.soc:
            continue
        who = identity(properties((published / "phones" / row.file).read_bytes()))
        assert (who.soc or "").lower() == row.soc.lower(), row.file
        assert who.android == row.android
        assert who.model is not None
        assert who.model in row.device


def text_of(data: Path, kind: str, name: str) -> bytes:
    return (data / "phones" / kind / f"{name}.txt").read_bytes()


@pytest.mark.parametrize("name", by_hand.THERMAL)
def test_temperatures_by_hand(published: Path, name: str) -> None:
    found = thermal_state(text_of(published, "thermalservice", name))
    warmest = [found.warmest_c(kind) for kind in ("cpu", "gpu", "skin", "battery")]
    assert (found.status, found.throttled, *warmest, len(found.temperatures)) == by_hand.THERMAL[name]
    assert found.cut == ("truncated" in name)


@pytest.mark.parametrize("name", by_hand.BATTERY)
def test_batteries_by_hand(published: Path, name: str) -> None:
    found = battery(text_of(published, "battery", name))
    assert (
        found.level_percent, found.temperature_c, found.voltage_mv, found.status, found.powered, found.updates_stopped,
    ) == by_hand.BATTERY[name]  # fmt: skip


@pytest.mark.parametrize("name", by_hand.PHONES)
def test_phones_by_hand(published: Path, name: str) -> None:
    who = identity(properties(text_of(published, "getprop", name)))
    assert (
        who.manufacturer, who.model, who.soc, who.board, who.android, who.sdk, who.security_patch, who.abis,
    ) == by_hand.PHONES[name]  # fmt: skip


@pytest.mark.parametrize("name", by_hand.CLUSTERS)
def test_clusters_by_hand(published: Path, name: str) -> None:
    found = cpu_topology(sysfs_files(text_of(published, "cpufreq", name)))
    clusters, offline = by_hand.CLUSTERS[name]
    assert tuple((len(cluster.cores), cluster.max_khz) for cluster in found.clusters) == clusters
    assert found.offline == core_list(offline)


@pytest.mark.parametrize("name", by_hand.CORES)
def test_cores_by_hand(published: Path, name: str) -> None:
    found = cpuinfo(text_of(published, "cpuinfo", name)).processors
    groups = [(len(list(cores)), kind) for kind, cores in itertools.groupby(core.name for core in found)]
    said = ", ".join(f"{count} {kind}" for count, kind in groups)
    assert f"{found[0].core}-{found[-1].core}: {said}" == by_hand.CORES[name]


@pytest.mark.parametrize("name", by_hand.ADB)
def test_adb_by_hand(published: Path, name: str) -> None:
    found: Any = read_output("adb", text_of(published, "adb", name))
    if isinstance(found, AdbFailure):
        assert found.kind == by_hand.ADB[name]
    else:
        assert tuple((device.serial, device.state) for device in found) == by_hand.ADB[name]


def test_memory_space_and_kernels_by_hand(published: Path) -> None:
    for name, (total, available) in by_hand.MEMORY.items():
        ram = memory(text_of(published, "meminfo", name))
        assert ram.total_bytes >> 20 == total
        assert (None if ram.available_is_estimate else (ram.available_bytes or 0) >> 20) == available
    for name, free in by_hand.FREE.items():
        mount = holding(filesystems(text_of(published, "df", name)), "/data/local/tmp")
        assert mount is not None
        assert mount.free_bytes / 2**30 == pytest.approx(free, abs=1e-3)
    for name, expected in by_hand.KERNELS.items():
        kernel = uname(text_of(published, "uname", name))
        assert (kernel.release, kernel.machine) == expected


def test_enough_was_checked_by_hand() -> None:
    leaves = [len(row) for table in (by_hand.THERMAL, by_hand.BATTERY, by_hand.PHONES) for row in table.values()]
    rows = [by_hand.CLUSTERS, by_hand.CORES, by_hand.ADB, by_hand.MEMORY, by_hand.FREE, by_hand.KERNELS]
    assert sum(leaves) + sum(len(table) for table in rows) >= 60


@pytest.mark.parametrize("name", NAMES)
def test_damaged_outputs(published: Path, name: str) -> None:
    subject = subjects(published)[name]
    rng = random.Random(name)
    read = 0
    for _ in range(TRIES):
        damaged = mutate(rng.choice(subject.outputs), rng)
        begin = time.process_time()
        refusal = None
        try:
            msgspec.json.encode(subject.parse(damaged))
        except DataError as error:
            refusal = error.message
        assert time.process_time() - begin < 1
        read += refusal is None
        assert refusal is None or (refusal.endswith(".") and "\n" not in refusal)
    assert read > TRIES / 4
