"""/proc/cpuinfo of a phone: its cores by number, and what each is."""

from __future__ import annotations

import re

import msgspec

from hwbench.devices.phone.core_names import core_name
from hwbench.devices.phone.text import Printed, decode, shown, whole
from hwbench.errors import DataError

_FIELD = re.compile(r"\s*([A-Za-z][A-Za-z0-9_ ]{0,30}?)\s*:(.*)")
_OF_A_CORE = ("CPU implementer", "CPU part", "CPU variant", "CPU revision", "model name")


class Processor(msgspec.Struct, frozen=True):
    """A core that was online; `name` as Cortex-A55, or as an x86 processor names itself. None: not printed."""

    core: int
    implementer: int | None
    part: int | None
    variant: int | None
    revision: int | None
    name: str | None


class CpuInfo(msgspec.Struct, frozen=True):
    """`one_part_for_all`: the kernel printed a single part for several cores, so they need not all be of that part."""

    processors: tuple[Processor, ...]
    hardware: str | None
    title: str | None
    one_part_for_all: bool


def cpuinfo(printed: Printed) -> CpuInfo:
    """The cores in /proc/cpuinfo, by number; offline ones are not there. Raises DataError if it names no core."""
    shared: dict[str, str] = {}
    cores: dict[int, dict[str, str]] = {}
    current: dict[str, str] | None = None
    parts = 0
    for line in decode(printed).split("\n"):
        match = _FIELD.fullmatch(line[:4000])
        if match is None:
            current = None if not line.strip() else current
            continue
        name, value = match[1], match[2].strip()
        if name == "processor":
            core = whole(value)
            if core is not None and 0 <= core < 1024:
                current = cores.setdefault(core, {})
            continue
        parts += name == "CPU part"
        (shared if current is None else current).setdefault(name, value)
        shared.setdefault(name, value)
    if not cores and not any(name in shared for name in ("Processor", *_OF_A_CORE)):
        raise DataError(f"/proc/cpuinfo names no core: {shown(decode(printed))}.")
    # A kernel for a single core numbers none; old ones print once, after the last core, what holds for all.
    cores = cores or {0: {}}
    once = parts <= 1
    return CpuInfo(
        processors=tuple(_processor(core, {**shared, **own} if once else own) for core, own in sorted(cores.items())),
        hardware=shared.get("Hardware") or None,
        title=shared.get("Processor") or shared.get("model name") or None,
        one_part_for_all=len(cores) > 1 and parts == 1,
    )


def _processor(core: int, fields: dict[str, str]) -> Processor:
    implementer, part, variant = (_number(fields.get(f"CPU {n}")) for n in ("implementer", "part", "variant"))
    known = core_name(implementer, part)
    return Processor(
        core, implementer, part, variant, _number(fields.get("CPU revision")), known or fields.get("model name") or None
    )


def _number(text: str | None) -> int | None:
    match = re.fullmatch(r"0x([0-9a-fA-F]{1,8})|([0-9]{1,8})", text or "")
    if match is None:
        return None
    return int(match[1], 16) if match[1] else int(match[2])
