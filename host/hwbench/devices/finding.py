"""Devices by the names of the command line: `local`, `adb:SERIAL`, `ssh://user@host`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from hwbench.devices.adb import PREFIX as ADB
from hwbench.devices.adb import AdbTransport
from hwbench.devices.adb_server import AdbServer
from hwbench.devices.base import Device
from hwbench.devices.board import Board
from hwbench.devices.listed import listed_phones
from hwbench.devices.local import LocalDevice
from hwbench.devices.local_runner import choose
from hwbench.devices.phone.adb_listing import AdbDevice
from hwbench.devices.phone.phone import Phone
from hwbench.devices.remote import RemoteDevice
from hwbench.devices.ssh import SshTransport
from hwbench.errors import NoDevice, UsageError
from hwbench.records import DeviceRecord

LOCAL, ALL, SSH = "local", "all", "ssh://"
AS_SHIPPED = "as_shipped"


def find(
    name: str | None = None, python: Path | None = None, *, allow: Iterable[str] = (), regime: str = AS_SHIPPED
) -> Device:
    """The device of that name; None: the one attached phone if there is exactly one, else this computer.

    With `python`, its Python runner is used, which is for this computer alone. `allow` names checks of a phone that
    may fail, `regime` is `as_shipped` or, for phones, `fixed`.
    Raises UsageError for a name that is none, NoDevice, DeviceNotFound, DeviceUnauthorized and their kin.
    """
    if name is None:
        name = LOCAL if python is not None else default_name()
    if regime != AS_SHIPPED and not name.startswith(ADB):
        raise UsageError(f"{name} has no regime {regime!r}: only phones hold their clocks.", hint="Leave it out.")
    if name == LOCAL:
        return LocalDevice(choose(python))
    if python is not None:
        raise UsageError(f"--python is for this computer, not for {name}.", hint="Leave it out.")
    if name.startswith(ADB):
        transport = AdbTransport(name.removeprefix(ADB))
        return RemoteDevice(transport, Phone(transport, allow, regime))
    if name.startswith(SSH):
        board = SshTransport(name)
        return RemoteDevice(board, Board(board))
    raise UsageError(
        f"There is no device {name!r}.",
        hint=f"Write it as {LOCAL}, {ADB}SERIAL or {SSH}user@host; `hwbench devices` lists what is attached.",
    )


def record_of(phone: AdbDevice) -> DeviceRecord:
    """The record of an attached phone that is ready. Raises DeviceError."""
    return Phone(AdbTransport(phone.serial)).record()


def default_name() -> str:
    """What is measured when nothing is said: the one attached phone, else this computer."""
    phones = listed_phones(AdbServer())
    return f"{ADB}{phones[0].serial}" if len(phones) == 1 else LOCAL


def names_of(wanted: Sequence[str]) -> tuple[str, ...]:
    """The devices of a command: those named, each once, `all` standing for every attached phone; none: the default.

    Raises NoDevice when `all` are none.
    """
    names: list[str] = []
    for name in wanted or (default_name(),):
        if name == ALL:
            phones = listed_phones(AdbServer())
            if not phones:
                raise NoDevice("no phone is attached.", hint="`hwbench doctor` says what to check.")
            names += [f"{ADB}{phone.serial}" for phone in phones]
        else:
            names.append(name)
    return tuple(dict.fromkeys(names))
