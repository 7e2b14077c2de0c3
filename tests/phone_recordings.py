"""Recorded outputs of phones in the published data, and every parser with what it is tried on."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hwbench.devices.phone.getprop import identity, properties
from hwbench.devices.phone.kinds import PARSERS
from hwbench.devices.phone.record import PhoneOutputs, phone_record
from hwbench.devices.phone.sysfs import sysfs_files
from hwbench.devices.phone.thermal_zones import thermal_zones

MADE_UP_ZONES = b"".join(
    b"==> /sys/class/thermal/thermal_zone%d/type <==\nzone-%d\n==> /sys/class/thermal/thermal_zone%d/temp <==\n%s\n"
    % (number, number, number, value)
    for number, value in enumerate([b"41200", b"36", b"285", b"0", b"-274000"])
)


class Recording(NamedTuple):
    """A row of the index."""

    file: str
    kind: str
    device: str
    soc: str
    android: str


class Subject(NamedTuple):
    """A parser and outputs that it reads."""

    parse: Callable[[bytes], object]
    outputs: list[bytes]


def recordings(data: Path) -> list[Recording]:
    """The index of the recorded outputs, in its order."""
    with (data / "phones" / "index.csv").open(newline="") as lines:
        return [Recording(*(row[name] for name in Recording._fields)) for row in csv.DictReader(lines)]


def subjects(data: Path) -> dict[str, Subject]:
    """Every parser by name, with all recorded outputs of its kind."""
    by_kind: dict[str, list[bytes]] = {}
    for recording in recordings(data):
        by_kind.setdefault(recording.kind, []).append((data / "phones" / recording.file).read_bytes())
    found = {kind: Subject(parse, by_kind[kind]) for kind, parse in PARSERS.items()}
    found["identity"] = Subject(lambda text: identity(properties(text)), by_kind["getprop"])
    found["thermal zones"] = Subject(lambda text: thermal_zones(sysfs_files(text)), [MADE_UP_ZONES])
    found["record"] = Subject(_record, [b"\x1d".join(outputs) for outputs in _sets(by_kind)])
    return found


def _sets(by_kind: dict[str, list[bytes]]) -> list[tuple[bytes, ...]]:
    """One output of each kind that makes up a record, for as many records as there are clocks."""
    kinds = ("getprop", "uname", "cpuinfo", "meminfo", "cpufreq", "procstatus")
    return [
        tuple(by_kind[kind][number % len(by_kind[kind])] for kind in kinds) for number in range(len(by_kind["cpufreq"]))
    ]


def _record(joined: bytes) -> object:
    parts = [*joined.split(b"\x1d"), *[b""] * 6]
    outputs = PhoneOutputs(
        getprop=parts[0], uname=parts[1], cpuinfo=parts[2], meminfo=parts[3], sysfs=parts[4], process_status=parts[5],
        page_size=parts[1], loadavg=parts[3],
    )  # fmt: skip
    return phone_record(outputs, salt="salt", serial="0")
