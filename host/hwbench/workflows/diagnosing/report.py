"""What an issue about a phone needs to say, gathered on the user's computer without what tells who they are."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import re
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from hwbench import __version__
from hwbench.devices.adb_program import find_adb
from hwbench.devices.phone.adb_listing import AdbDevice, adb_devices
from hwbench.devices.phone.text import decode
from hwbench.devices.usb import UsbDevice, usb_devices
from hwbench.errors import AdbUnavailable, DataError
from hwbench.workflows.diagnosing.doctor import examine
from hwbench.workflows.diagnosing.findings import Finding
from hwbench.workflows.diagnosing.phones import server_to_ask

_TIMEOUT_S = 3.0
_LONGEST = 20_000
_NETWORK = re.compile(r"(?P<host>.+)(?P<port>:[0-9]{1,5})")
_MDNS = re.compile(r"adb-(?P<serial>.+?)(?:-[A-Za-z0-9]{6})?(?: \([0-9]+\))?(?P<service>\._adb[a-z._-]*)")
_LOCAL = re.compile(r"(?:emulator-|localhost:|127\.[0-9.]+:)[0-9]{1,5}")
# Names that tell nothing about their owner, and words that the evidence itself is made of.
_COMMON = {"root", "user", "admin", "localhost", "adb", "usb", "device", "phone", "linux", "debian", "ubuntu", "build"}


class Report(msgspec.Struct, frozen=True):
    """The evidence as it was printed, names and serials masked. None: that could not be asked."""

    hwbench: str
    python: str
    system: str
    adb: str | None
    server: str
    devices: str | None
    usb: tuple[UsbDevice, ...] | None
    lsusb: str | None
    findings: tuple[Finding, ...]


def gather() -> Report:
    """Asks adb, its server and the USB, with a time limit each. Starts a server only where `hwbench doctor` does."""
    adb, server, listing = None, "not asked", None
    try:
        program = find_adb()
        adb = _printed([program.path, "version"])
        found = server_to_ask(program)
        server = "none is running"
        if found is not None:
            listing = found.listing()
            server = f"version {found.version()} at {found.endpoint}"
    except AdbUnavailable as error:
        server = str(error)
    report = Report(
        hwbench=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        adb=adb,
        server=server,
        devices=listing,
        usb=usb_devices(),
        lsusb=_printed(["lsusb"]),
        findings=tuple(examine()),
    )
    return masked(report, serials_of(listing or ""), _names(), Path.home())


def masked(report: Report, serials: Sequence[str], names: Sequence[str], home: Path) -> Report:
    """The report with each serial as SERIAL1, SERIAL2, ..., each name as NAME and the home folder as ~."""
    stands_for = _masks(serials)

    def mask(text: str) -> str:
        if len(home.parts) > 1:
            text = re.sub(re.escape(str(home)) + r"(?![A-Za-z0-9])", "~", text)
        for secret in sorted(stands_for, key=len, reverse=True):
            text = re.sub(_whole(secret), stands_for[secret], text)
        for name in names:
            text = re.sub(_whole(name), "NAME", text, flags=re.IGNORECASE)
        return text[:_LONGEST]

    return msgspec.convert(_each_text(msgspec.to_builtins(report), mask), Report)


def serials_of(listing: str) -> tuple[str, ...]:
    """The serials in a listing; of one that cannot be read, what each line begins with."""
    try:
        devices: tuple[AdbDevice, ...] = adb_devices("List of devices attached\n" + listing)
    except DataError:
        return tuple(dict.fromkeys(line.split()[0] for line in decode(listing).split("\n") if line.split()))
    return tuple(dict.fromkeys(device.serial for device in devices))


def _masks(serials: Sequence[str]) -> dict[str, str]:
    """What stands for each serial; its kind stays to be seen: a network address or an mDNS name."""
    masks: dict[str, str] = {}

    def label(secret: str) -> str:
        return masks.setdefault(secret, f"SERIAL{1 + len(set(re.findall('SERIAL[0-9]+', ' '.join(masks.values()))))}")

    for serial in serials:
        if _LOCAL.fullmatch(serial):
            continue
        if (mdns := _MDNS.fullmatch(serial)) is not None:
            masks[serial] = f"adb-{label(mdns['serial'])}{mdns['service']}"
        elif (network := _NETWORK.fullmatch(serial)) is not None:
            masks[serial] = label(network["host"]) + network["port"]
        else:
            label(serial)
    return masks


def _whole(word: str) -> str:
    return rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])"


def _each_text(value: object, mask: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {name: _each_text(part, mask) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_each_text(part, mask) for part in value]
    return value


def _names() -> tuple[str, ...]:
    """The user's and this computer's names, as far as they tell anything."""
    host = socket.gethostname()
    found = {Path.home().name, host, host.split(".")[0], os.environ.get("ANDROID_ADB_SERVER_HOST", "")}
    with contextlib.suppress(OSError, KeyError):
        found.add(getpass.getuser())
    return tuple(
        sorted(name for name in found if len(name) > 1 and name.lower() not in _COMMON and not name.startswith("127."))
    )


def _printed(command: list[str]) -> str | None:
    try:
        finished = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return decode(finished.stdout)[:_LONGEST]
