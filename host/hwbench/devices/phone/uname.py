"""`uname` and /proc/version: the kernel, and what a process on it is compiled for."""

from __future__ import annotations

import re

import msgspec

from hwbench.devices.phone.text import Printed, decode, shown
from hwbench.errors import DataError

_MACHINE = re.compile(r"(?:^|\s)(aarch64|arm64|armv[5-9]\w{0,4}|x86_64|i[3-6]86|riscv64|mips\w{0,4})(?=\s|$)")
_RELEASE = re.compile(r"\bLinux[ \t]+(?:version[ \t]+|\S+[ \t]+)([0-9]+\.[0-9]\S*)")
_BARE_RELEASE = re.compile(r"^[ \t]*([0-9]+\.[0-9]+\.[0-9]\S{0,100})[ \t]*$", re.MULTILINE)


class Uname(msgspec.Struct, frozen=True):
    """None: not printed. `machine` is what the asking process sees: armv8l is a 32-bit process on a 64-bit kernel."""

    release: str | None
    machine: str | None


def uname(printed: Printed) -> Uname:
    """From `uname` with -a, -m or -r, or /proc/version. Raises DataError if it has neither release nor machine."""
    text = decode(printed)
    release = _RELEASE.search(text) or _BARE_RELEASE.search(text)
    machines = _MACHINE.findall(text)
    if release is None and not machines:
        raise DataError(f"no kernel release or machine in the text: {shown(text)}.")
    return Uname(release[1] if release else None, machines[-1] if machines else None)
