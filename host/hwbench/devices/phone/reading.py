"""A phone's record from one run of state.sh."""

from __future__ import annotations

import re

import msgspec

from hwbench.devices.phone.record import PhoneOutputs, phone_record
from hwbench.devices.phone.sections import Sections
from hwbench.devices.phone.text import decode
from hwbench.errors import DeviceError
from hwbench.records import DeviceRecord

_OPTIONAL = tuple(field for field in PhoneOutputs.__struct_fields__ if field not in ("getprop", "refused"))


class PhoneReading(msgspec.Struct, frozen=True):
    """`cpuset` is the group of cores that the system puts hwbench's shell in, as `/foreground`; None: not readable."""

    record: DeviceRecord
    cpuset: str | None


def phone_outputs(sections: Sections) -> PhoneOutputs:
    """What each command printed. Raises DeviceError when the phone did not say who it is."""
    if "getprop" not in sections.bodies:
        raise DeviceError(
            f"The phone does not say what it is: getprop: {sections.reason('getprop')}.",
            hint="Look at `adb shell getprop`.",
        )
    printed = {name: sections.bodies[name] for name in _OPTIONAL if name in sections.bodies}
    missing = {name: sections.reason(name) for name in _OPTIONAL if name not in printed}
    return PhoneOutputs(getprop=sections.bodies["getprop"], refused=missing, **printed)


def phone_reading(sections: Sections, *, salt: str, serial: str | None = None, kind: str = "adb") -> PhoneReading:
    """The record with what stands beside it; arguments as of `phone_record`.

    Raises DeviceError when the phone did not say who it is, DataError when what it says cannot be read.
    """
    record = phone_record(phone_outputs(sections), salt=salt, serial=serial, kind=kind)
    group = decode(sections.bodies.get("cpuset", b"")).strip()
    return PhoneReading(record, group if re.fullmatch(r"/[\w/.-]{0,200}", group, re.ASCII) else None)
