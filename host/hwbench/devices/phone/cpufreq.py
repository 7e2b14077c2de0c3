"""The clocks of a phone's cores, from the files of /sys/devices/system/cpu."""

from __future__ import annotations

import contextlib
import re

import msgspec

from hwbench.devices.phone.sysfs import SysfsFiles
from hwbench.devices.phone.text import Printed, core_list, decode, shown, whole
from hwbench.errors import DataError

_CPU = "/sys/devices/system/cpu/"
_LONGEST_NAME = 40
_FOLDER = re.compile(re.escape(_CPU) + r"(?:cpu([0-9]{1,4})/cpufreq|cpufreq/policy([0-9]{1,4}))/\w+")


class ClockPolicy(msgspec.Struct, frozen=True):
    """Cores that share a clock, offline ones included; kHz, ascending where several. None: not readable."""

    cores: tuple[int, ...]
    min_khz: int | None
    max_khz: int | None
    limit_khz: int | None
    current_khz: int | None
    available_khz: tuple[int, ...]
    governor: str | None


def available_frequencies(printed: Printed) -> tuple[int, ...]:
    """kHz of a scaling_available_frequencies file, ascending. Raises DataError if something else is in it."""
    text = decode(printed)
    found = [whole(word) for word in text.split()]
    steps = sorted({khz for khz in found if khz is not None and khz > 0})
    if not steps or len(steps) != len(set(found)):
        raise DataError(f"not a list of clock frequencies: {shown(text)}.")
    return tuple(steps)


def clock_policies(files: SysfsFiles) -> tuple[ClockPolicy, ...]:
    """The clock policies, by first core. Empty if the phone shows none: that is not an error."""
    firsts: dict[str, int] = {}
    for path in files.contents:
        if match := _FOLDER.fullmatch(path):
            firsts.setdefault(path.rpartition("/")[0], int(match[1] or match[2]))
    found: list[ClockPolicy] = []
    for folder, first in sorted(firsts.items(), key=lambda item: (item[1], item[0])):
        policy = _policy(files, folder, first)
        if policy is None:
            continue
        # A core has one clock; lists that differ were read while a core was going on or off.
        same = [known for known in found if set(known.cores) & set(policy.cores)]
        for known in same:
            found.remove(known)
            policy = _joined(known, policy)
        found.append(policy)
    return tuple(sorted(found, key=lambda policy: policy.cores))


def _policy(files: SysfsFiles, folder: str, first: int) -> ClockPolicy | None:
    def text(name: str) -> str | None:
        return files.contents.get(f"{folder}/{name}") or None

    def khz(name: str) -> int | None:
        value = whole(text(name))
        return value if value is not None and value > 0 else None

    # Cores that are offline leave affected_cpus; some kernels leave the core itself out of related_cpus.
    listed: set[int] = set()
    for name in ("related_cpus", "affected_cpus"):
        with contextlib.suppress(DataError):
            listed.update(core_list(text(name) or ""))
    cores = tuple(sorted(listed or {first}))
    try:
        available = available_frequencies(text("scaling_available_frequencies") or "")
    except DataError:
        available = ()
    ends = khz("cpuinfo_min_freq"), khz("cpuinfo_max_freq")
    if ends == (None, None) and not available and khz("scaling_max_freq") is None:
        return None
    return ClockPolicy(
        cores=cores,
        min_khz=ends[0] or (available[0] if available else None),
        max_khz=ends[1] or (available[-1] if available else khz("scaling_max_freq")),
        limit_khz=khz("scaling_max_freq"),
        current_khz=khz("scaling_cur_freq") or khz("cpuinfo_cur_freq"),
        available_khz=available,
        governor=(text("scaling_governor") or "")[:_LONGEST_NAME] or None,
    )


def _joined(known: ClockPolicy, other: ClockPolicy) -> ClockPolicy:
    """One policy printed once per core: the first of its cores that shows a value."""
    return ClockPolicy(
        cores=tuple(sorted({*known.cores, *other.cores})),
        min_khz=known.min_khz or other.min_khz,
        max_khz=known.max_khz or other.max_khz,
        limit_khz=known.limit_khz or other.limit_khz,
        current_khz=known.current_khz or other.current_khz,
        available_khz=known.available_khz or other.available_khz,
        governor=known.governor or other.governor,
    )
