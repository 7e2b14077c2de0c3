"""`getprop`: the properties of a phone, and who it says it is."""

from __future__ import annotations

import re

import msgspec

from hwbench.devices.phone.text import Printed, decode, shown, whole
from hwbench.errors import DataError
from hwbench.records import PhoneIdentity

_ENTRY = re.compile(r"\s*\[([^\[\]\n]+)\]: ?\[(.*)")

_SOC = ("ro.soc.model", "ro.chipname", "ro.hardware.chipname", "ro.vendor.mediatek.platform", "ro.mediatek.platform",
        "ro.board.platform", "ro.hardware")  # fmt: skip
# A generic system image names itself, the vendor's part names the phone.
_PARTS = ("", "vendor.", "odm.", "product.", "system.")
_EMPTY = {"", "unknown"}


class Properties(msgspec.Struct, frozen=True):
    """Values by name, those over several lines included; `cut` are names whose value has no end in the text."""

    values: dict[str, str]
    cut: tuple[str, ...]


class Identity(PhoneIdentity, frozen=True):
    """Who a phone says it is, with the serial number, which no record keeps."""

    serial: str | None


def properties(printed: Printed) -> Properties:
    """The properties that `getprop` printed. Raises DataError if there is none."""
    values: dict[str, str] = {}
    cut: list[str] = []
    name, lines = None, [""]
    for line in decode(printed).split("\n"):
        entry = _ENTRY.fullmatch(line)
        if entry is None and name is None:
            continue  # Noise between entries: a prompt, a linker's warning.
        if entry is not None:
            if name is not None:
                cut.append(name)
            name, lines = entry[1], [entry[2]]
        else:
            lines.append(line)
        if name is not None and lines[-1].rstrip().endswith("]"):
            values[name] = "\n".join(lines).rstrip()[:-1]
            name = None
    if name is not None:
        cut.append(name)
    if not values:
        raise DataError(f"getprop printed no property: {shown(decode(printed))}.")
    return Properties(values, tuple(cut))


def identity(found: Properties) -> Identity:
    """Who the phone is, each fact from the first property that holds it."""
    values = found.values

    def first(*names: str) -> str | None:
        return next((v for name in names if (v := values.get(name, "").strip()).lower() not in _EMPTY), None)

    def product(name: str) -> str | None:
        return first(*(f"ro.product.{part}{name}" for part in _PARTS))

    soc_property = next((name for name in _SOC if first(name)), None)
    listed = first("ro.product.cpu.abilist", "ro.vendor.product.cpu.abilist", "ro.system.product.cpu.abilist")
    single = [first("ro.product.cpu.abi"), first("ro.product.cpu.abi2")]
    abis = listed.split(",") if listed else [abi for abi in single if abi]
    return Identity(
        manufacturer=product("manufacturer"),
        model=product("model"),
        device=product("device"),
        soc=None if soc_property is None else values[soc_property].strip(),
        soc_property=soc_property,
        soc_manufacturer=first("ro.soc.manufacturer"),
        board=first("ro.product.board", "ro.board.platform"),
        hardware=first("ro.hardware", "ro.boot.hardware"),
        android=first("ro.build.version.release", "ro.system.build.version.release"),
        sdk=whole(first("ro.build.version.sdk", "ro.system.build.version.sdk")),
        security_patch=first("ro.build.version.security_patch"),
        fingerprint=first("ro.build.fingerprint", "ro.vendor.build.fingerprint", "ro.system.build.fingerprint"),
        abis=tuple(abi.strip() for abi in abis if abi.strip()),
        serial=first("ro.serialno", "ro.boot.serialno"),
        emulated=first("ro.kernel.qemu", "ro.boot.qemu") == "1" or first("ro.hardware") in {"ranchu", "goldfish"},
    )
