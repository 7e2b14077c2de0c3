"""The phones attached to this computer: their state, what they are, and how that changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec

from hwbench.devices.adb_server import AdbServer, address
from hwbench.devices.listed import listed_phones
from hwbench.devices.phone.adb_listing import AdbDevice
from hwbench.devices.phone.advice import state_advice
from hwbench.devices.phone.text import printable
from hwbench.devices.usb import maker_at
from hwbench.errors import AdbUnavailable, DeviceError
from hwbench.records import DeviceRecord

RecordOf = Callable[[AdbDevice], DeviceRecord]
_RESTART_S = 5.0


class PhoneSummary(msgspec.Struct, frozen=True):
    """What a phone is, in a line; None: not known. `cores` is their number."""

    maker: str | None
    model: str | None
    soc: str | None
    cores: int | None
    android: str | None


class AttachedPhone(msgspec.Struct, frozen=True):
    """`name` is how the command line calls it; `state` is adb's, `device` when it is ready; `advice` is the next step.

    `problem` says why a phone that is ready gave no record.
    """

    name: str
    state: str
    detail: str | None
    usb: str | None
    summary: PhoneSummary
    advice: str = ""
    problem: str | None = None

    @property
    def ready(self) -> bool:
        return self.state == "device"


class Change(msgspec.Struct, frozen=True):
    """`kind` is attached, state or detached; `phone` is as it is now, or was before it went."""

    kind: str
    phone: AttachedPhone


def phone_summary(device: AdbDevice, record: DeviceRecord | None = None) -> PhoneSummary:
    """What is known of a phone from adb's listing, and better from its record."""
    maker = maker_at(device.usb)
    model = None if device.model is None else printable(device.model.replace("_", " "))
    if record is None or record.phone is None:
        return PhoneSummary(maker, model, None, None, None)
    phone = record.phone
    shown = [
        None if text is None else printable(text)
        for text in (phone.manufacturer, phone.model, phone.soc, phone.android)
    ]
    return PhoneSummary(shown[0] or maker, shown[1] or model, shown[2], record.cores or None, shown[3])


def attached_phones(server: AdbServer, record_of: RecordOf | None = None) -> tuple[AttachedPhone, ...]:
    """Every phone that adb lists. `record_of` is asked for those that are ready; a DeviceError of it becomes `problem`.

    Raises AdbUnavailable.
    """
    return tuple(attached_phone(device, record_of) for device in listed_phones(server))


def attached_phone(device: AdbDevice, record_of: RecordOf | None = None) -> AttachedPhone:
    ready = device.state == "device"
    record, problem = None, None
    if ready and record_of is not None:
        try:
            record = record_of(device)
        except DeviceError as error:
            problem = printable(str(error))
    return AttachedPhone(
        name=address(device.serial),
        state=device.state,
        detail=None if device.detail is None else printable(device.detail),
        usb=None if device.usb is None else printable(device.usb),
        summary=phone_summary(device, record),
        advice="" if ready else state_advice(device, maker_at(device.usb)),
        problem=problem,
    )


def changes(server: AdbServer) -> Iterator[Change]:
    """First every phone as attached, then each change, without end.

    A server that goes away is started again once; raises AdbUnavailable when it does not stay.
    """
    known: dict[str, AttachedPhone] = {}
    while True:
        begun = time.monotonic()
        try:
            for listing in server.track():
                now = {phone.name: phone for phone in map(attached_phone, listing)}
                yield from _between(known, now)
                known = now
        except AdbUnavailable:
            if time.monotonic() - begun < _RESTART_S:
                raise


def _between(before: dict[str, AttachedPhone], now: dict[str, AttachedPhone]) -> Iterator[Change]:
    for name, phone in before.items():
        if name not in now:
            yield Change("detached", phone)
    for name, phone in now.items():
        if name not in before:
            yield Change("attached", phone)
        elif (phone.state, phone.detail) != (before[name].state, before[name].detail):
            yield Change("state", phone)
