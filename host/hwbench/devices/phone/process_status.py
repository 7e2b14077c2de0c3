"""/proc/PID/status: the cores that a process may run on."""

from __future__ import annotations

import re

from hwbench.devices.phone.text import Printed, core_list, decode, shown
from hwbench.errors import DataError


def allowed_cores(printed: Printed) -> tuple[int, ...]:
    """Core numbers from Cpus_allowed_list, else from the mask. Raises DataError if neither is there."""
    text = decode(printed)
    if listed := re.search(r"^[ \t]*Cpus_allowed_list:[ \t]*([0-9,\- ]{1,2000})$", text, re.MULTILINE):
        return core_list(listed[1])
    if mask := re.search(r"^[ \t]*Cpus_allowed:[ \t]*([0-9a-fA-F,]{1,300})[ \t]*$", text, re.MULTILINE):
        bits = int(mask[1].replace(",", "") or "0", 16)
        return tuple(core for core in range(bits.bit_length()) if bits >> core & 1)
    raise DataError(f"/proc/PID/status does not say which cores are allowed: {shown(text)}.")
