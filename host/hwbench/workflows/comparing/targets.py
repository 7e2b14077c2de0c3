"""Targets that tables tell of: runs of one target joined, names that tell them apart, how sums of rows vary."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from hwbench.spaces.space import Architectures, Space
from hwbench.tables import opening
from hwbench.tables.imported import ImportedTable
from hwbench.tables.lookup import LookupTable
from hwbench.tables.opening import AnyTable, Source
from hwbench.tables.source import own_deviation
from hwbench.transfer.agreement import Observed, measured_ceiling, noise_ceiling
from hwbench.transfer.ranks import Floats, Redraw

_SAME_RUN = ("space", "metric", "target", "estimator", "flush_bytes")
_REDRAWN = 50


class TableTarget(msgspec.Struct, frozen=True, dict=True):
    """A target with its tables, one a run; its rows are their means over the runs."""

    name: str
    space: Space
    paths: tuple[Path, ...]
    runs: tuple[AnyTable, ...]

    @cached_property
    def source(self) -> Source:
        return opening.source_of(self.runs[0] if len(self.runs) == 1 else _mean(self.runs), self.space)

    @cached_property
    def rows(self) -> dict[str, float]:
        """Microseconds by block key; none where the rows are not blocks."""
        if isinstance(table := self.source.table, LookupTable):
            return {key: row.value_us for key, row in table.calibrated().items()}
        return {key: row.value for key, row in table.values().items()} if table.kind == "block" else {}

    @property
    def device(self) -> str | None:
        return self.runs[0].target.device_id if isinstance(self.runs[0], LookupTable) else None


def joined(tables: Mapping[Path, AnyTable], spaces: Mapping[Path, Space], taken: Collection[str]) -> list[TableTarget]:
    """One target per table, or per set of tables that are runs of one. No name is among those `taken`."""
    groups: list[list[Path]] = []
    for path, table in tables.items():
        own = next((group for group in groups if all(_second_run(tables[one], table) for one in group)), None)
        if own is None:
            groups.append([path])
        else:
            own.append(path)
    first = {group[0]: tables[group[0]] for group in groups}
    names = _names(first, {path: spaces[path].name for path in first}, taken)
    return [
        TableTarget(name, spaces[group[0]], tuple(group), tuple(tables[path] for path in group))
        for name, group in zip(names, groups, strict=True)
    ]


def observed(target: TableTarget, architectures: Architectures) -> Observed:
    """Sums of rows; redrawn, each row varies as its interval says, and sums by their additivity error."""
    sums = target.source.predict(architectures).mean_us
    runs = [run for run in target.runs if isinstance(run, LookupTable)]
    if not runs:
        return Observed(target.name, sums)
    keys = [block.key for block in target.space.distinct_blocks]
    values = np.array([target.rows.get(key, np.nan) for key in keys])
    single = np.array([_deviations(run, keys) for run in runs])
    deviations = np.sqrt((single**2).sum(axis=0)) / len(runs)
    # What sums miss is the same in every run, so more runs do not lower it.
    additivity = max((run.additivity.spread for run in runs if run.additivity is not None), default=0.0)

    def redraw(rng: np.random.Generator, draws: int) -> Floats:
        varied = values[:, None] * np.exp(deviations[:, None] * rng.standard_normal((len(values), draws)))
        totals = target.space.total(varied, architectures).T
        found: Floats = totals * np.exp(additivity * rng.standard_normal(totals.shape))
        return found

    drawn: Redraw = redraw
    noise = np.std(np.log(drawn(np.random.default_rng(0), _REDRAWN)), axis=0)
    return Observed(target.name, sums, noise, drawn, shared=True)


def ceiling(target: TableTarget, found: Observed, architectures: Architectures, seed: int) -> float | None:
    """The agreement of the target with its own second run: of the runs that there are, else as the intervals say."""
    if len(target.runs) == 1:
        return noise_ceiling(found, seed=seed)
    sources = (opening.source_of(run, target.space) for run in target.runs)
    return measured_ceiling([source.predict(architectures).mean_us for source in sources])


def _second_run(a: AnyTable, b: AnyTable) -> bool:
    """Whether two tables are of one target and share no launch: a copy, calibrated or not, is no second run."""
    if not isinstance(a, LookupTable) or not isinstance(b, LookupTable):
        return False
    launches = [{launch.unix_ns for launch in table.launches} for table in (a, b)]
    same = all(getattr(a, field) == getattr(b, field) for field in _SAME_RUN)
    return same and all(launches) and not launches[0] & launches[1]


def _mean(runs: Sequence[AnyTable]) -> ImportedTable:
    """Plain rows, the means over the runs that all have them."""
    plain = [opening.as_rows(run) for run in runs if isinstance(run, LookupTable)]
    values = [table.values() for table in plain]
    rows = tuple(
        msgspec.structs.replace(row, value=float(np.mean([own[row.key].value for own in values])))
        for row in plain[0].rows
        if all(row.key in own for own in values)
    )
    return msgspec.structs.replace(plain[0], rows=rows)


def _deviations(run: LookupTable, keys: Sequence[str]) -> list[float]:
    known = run.calibrated()
    return [own_deviation(known[key], run.spread) if key in known else 0.0 for key in keys]


def _names(tables: Mapping[Path, AnyTable], spaces: Mapping[Path, str], taken: Collection[str]) -> list[str]:
    """As short as tells targets apart: with the device, space, or the rest of the target only where these differ."""
    devices = {table.target.device_id for table in tables.values() if isinstance(table, LookupTable)}
    parts = [set(name.split("-")) for name in spaces.values()]
    common = set.intersection(*parts) if parts else set()
    short, whole = [], []
    for path, table in tables.items():
        place = [part for part in spaces[path].split("-") if part not in common]
        if not isinstance(table, LookupTable):
            short.append(" ".join([table.target, *place]))
            whole.append(short[-1])
            continue
        own = table.target
        device = [own.device_id] if len(devices) > 1 else []
        words = [own.engine.name, own.delegate, own.precision, f"b{own.batch}", f"t{own.threads}"]
        short.append(" ".join([*device, *words, *place]))
        whole.append(" ".join([short[-1], own.engine.version, f"cores {own.cores}", own.regime, own.cache, own.runner]))
    levels = [short, whole, [path.stem for path in tables], [str(path) for path in tables]]
    found = []
    for number in range(len(tables)):
        fitting = (
            level[number]
            for depth, level in enumerate(levels)
            if level.count(level[number]) == 1
            and level[number] not in taken
            and not any(level[number] in above for above in levels[:depth])
        )
        found.append(next(fitting, f"{levels[-1][number]} (table)"))
    return found
