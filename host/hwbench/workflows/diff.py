"""The A/B of one device: two runs at different times, and what changed between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwbench.errors import DataError, UsageError
from hwbench.records import Target
from hwbench.tables import opening
from hwbench.tables.diff import Difference, difference
from hwbench.tables.likeness import require_same
from hwbench.tables.lookup import LookupTable

# A device is not compared with another one, whatever is allowed.
_TARGET = tuple(field for field in Target.__struct_fields__ if field != "device_id")
_TABLE = ("estimator", "flush_bytes", "preset")
_DEVICE = ("governor", "frequency_khz_max", "cgroup_cpus")
ALLOWABLE = (*_TARGET, *_TABLE, *_DEVICE)


def diff(a: Path, b: Path, *, effect: float = 0.02, allow: Sequence[str] = ()) -> Difference:
    """Which rows changed from table a to table b by more than `effect`, and whether all of them did.

    Fields named in `allow` may differ, to compare two engine versions for instance. Raises Incomparable naming the
    fields that differ or for emulated results, UsageError for two copies of one run, DataError for other tables.
    """
    if unknown := [field for field in allow if field not in ALLOWABLE]:
        raise UsageError(f"{unknown[0]} is not a field that may differ.", hint=f"These may: {', '.join(ALLOWABLE)}.")
    if not 0 < effect < 1:
        raise UsageError(f"An effect of {effect:g} is no share between 0 and 1.", hint="2 % is 0.02.")
    first, second = (_measured(path) for path in (a, b))
    hint = "Two devices are compared by `hwbench compare`; a field may be let differ with --allow."
    groups: list[tuple[object, object, tuple[str, ...]]] = [
        (first.target, second.target, ("device_id",)),
        (first, second, ("metric",)),
        (first.target, second.target, _TARGET),
        (first, second, _TABLE),
        (first.device, second.device, _DEVICE),
    ]
    for one, other, fields in groups:
        require_same(str(a), one, str(b), other, [field for field in fields if field not in allow], hint=hint)
    if {launch.unix_ns for launch in first.launches} & {launch.unix_ns for launch in second.launches}:
        raise UsageError(f"{a} and {b} hold the same launches.", hint="Compare two runs.")
    return difference(first, second, effect)


def _measured(path: Path) -> LookupTable:
    table = opening.load_table(path)
    opening.refuse_emulated(path, table)
    if not isinstance(table, LookupTable):
        raise DataError(f"{path} has values without launches, from which no difference can be told.")
    return table
