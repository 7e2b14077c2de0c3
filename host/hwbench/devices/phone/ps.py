"""`ps`: the processes of a phone, as toolbox and toybox print them."""

from __future__ import annotations

import re

import msgspec

from hwbench.devices.phone.text import Printed, decode, shown
from hwbench.errors import DataError

_ROW = re.compile(
    r"[ \t]*(\S+)[ \t]+([0-9]{1,9})[ \t]+([0-9]{1,9})[ \t]+([0-9]{1,15})[ \t]+([0-9]{1,15})[ \t]+"
    r"(?:(?:bg|fg|un|er|ro|sy|rt|\?\?)[ \t]+)?(?:\S+[ \t]+)?\S+[ \t]+([A-Za-z])[ \t]+(\S.*?)[ \t]*"
)


class Process(msgspec.Struct, frozen=True):
    """A process; memory in KiB, `state` the kernel's letter, `name` with blanks if it has any."""

    user: str
    pid: int
    parent: int
    virtual_kib: int
    resident_kib: int
    state: str
    name: str


def processes(printed: Printed) -> tuple[Process, ...]:
    """The rows of `ps` or `ps -A`, in order; a torn one is left out. Raises DataError if there is none."""
    text = decode(printed)
    found = []
    for line in text.split("\n"):
        # By columns of the row, not of the heading: wide numbers shift them, and toolbox has no heading for the state.
        if match := _ROW.fullmatch(line[:2000]):
            user, pid, parent, virtual, resident, state, name = match.groups()
            found.append(Process(user, int(pid), int(parent), int(virtual), int(resident), state, name))
    if not found:
        raise DataError(f"ps shows no process: {shown(text)}.")
    return tuple(found)
