"""Two tables of one target: which rows differ, and whether all of them do."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
import numpy as np

from hwbench.errors import DataError
from hwbench.measure.differences import FEWEST_LAUNCHES, Differences, differences, without_launch_parts
from hwbench.measure.estimate import NOISY_HALF_WIDTH, launch_levels
from hwbench.measure.statistics import RUN_TO_RUN, Floats
from hwbench.measure.swings import swing_loadings
from hwbench.tables.lookup import LookupTable

Answer: TypeAlias = Literal["same", "differs", "too few"]

FEWEST_ROWS = 5
_NORMAL_975 = 1.959964
# A common shift needs more: one odd run shifts all its comparisons.
_NORMAL_995 = 2.575829


class RowDifference(msgspec.Struct, frozen=True):
    """`change` is b / a - 1 without what all rows or the swinging ones share, with its 95 % interval.

    `p` is not corrected for many rows.
    `resolution`: the change that would be found in four of five cases.
    """

    key: str
    a_us: float
    b_us: float
    change: float
    lower: float
    upper: float
    p: float
    differs: bool
    resolution: float


class Difference(msgspec.Struct, frozen=True):
    """Rows in order of the first table. `shift` is the part of b / a - 1 that all rows share, `shifted` whether it is
    more than runs minutes apart differ by. `swing` is that of the rows in `swinging`, which vary together from round to
    round, as it is for the most affected one. `failed` are blocks that failed in one table alone, `untested` those with
    too few launches, `only_a` and `only_b` those that the other table does not ask for.
    """

    answer: Answer
    effect: float
    shift: float
    shift_lower: float
    shift_upper: float
    shifted: bool
    swing: float
    swinging: tuple[str, ...]
    resolution: float
    inflation: float
    rows: tuple[RowDifference, ...]
    failed: tuple[str, ...]
    untested: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0: no difference was found; 1: there is one; 2: too few launches to tell."""
        return {"same": 0, "differs": 1, "too few": 2}[self.answer]

    @property
    def named(self) -> tuple[RowDifference, ...]:
        """The rows that differ, the largest change first."""
        return tuple(sorted((row for row in self.rows if row.differs), key=lambda row: -abs(row.change)))


def difference(a: LookupTable, b: LookupTable, effect: float = 0.02) -> Difference:
    """What changed from a to b, counting changes above `effect` (relative).

    The answer is "too few" when nothing was found, and half of the rows could change by 5 % unseen. Raises DataError
    when the tables share hardly any row.
    """
    known_a, known_b = a.measurements(), b.measurements()
    asked_a, asked_b = {row.key for row in a.rows}, {row.key for row in b.rows}
    shared = [key for key in known_a if key in known_b]
    if len(shared) < FEWEST_ROWS:
        raise DataError(
            f"The tables have {len(shared)} measured blocks in common, from which nothing can be told.",
            hint=f"Compare tables that share {FEWEST_ROWS} or more.",
        )
    levels = [_log_levels(table, shared) for table in (a, b)]
    enough = np.all([np.isfinite(one).sum(axis=1) >= FEWEST_LAUNCHES for one in levels], axis=0)
    tested = [key for key, one in zip(shared, enough, strict=True) if one]
    rows: tuple[RowDifference, ...] = ()
    shift, inflation, resolution = float("nan"), float("nan"), float("inf")
    swing, swinging = 0.0, np.array([], int)
    if len(tested) >= FEWEST_ROWS:
        loadings = swing_loadings([*_rounds(a, tested), *_rounds(b, tested)])
        found = differences(levels[0][enough], levels[1][enough], effect, loadings)
        rows = _rows(tested, found, a, b)
        shift, inflation = found.shift, found.inflation
        swing, swinging = float(found.swing[np.argmax(np.abs(loadings))]), np.flatnonzero(loadings)
        resolution = float(np.expm1(np.median(found.resolution)))
    deviation = np.sqrt(2) * np.hypot(RUN_TO_RUN, max(_launch_part(a), _launch_part(b)))
    shifted = bool(abs(np.expm1(shift)) > effect and abs(shift) > _NORMAL_995 * deviation)
    failed = tuple(
        key for key in (*known_a, *known_b) if key in asked_a & asked_b and (key in known_a) != (key in known_b)
    )
    changed = shifted or bool(failed) or any(row.differs for row in rows)
    return Difference(
        answer="differs" if changed else "same" if resolution <= NOISY_HALF_WIDTH else "too few",
        effect=effect,
        shift=float(np.expm1(shift)),
        shift_lower=float(np.expm1(shift - _NORMAL_975 * deviation)),
        shift_upper=float(np.expm1(shift + _NORMAL_975 * deviation)),
        shifted=shifted,
        swing=float(np.expm1(swing)),
        swinging=tuple(tested[n] for n in swinging),
        resolution=resolution,
        inflation=inflation,
        rows=rows,
        failed=failed,
        untested=tuple(key for key in shared if key not in set(tested)),
        only_a=tuple(row.key for row in a.rows if row.key not in asked_b),
        only_b=tuple(row.key for row in b.rows if row.key not in asked_a),
    )


def _log_levels(table: LookupTable, keys: list[str]) -> Floats:
    """Rows x launches without what launches share, NaN where a row was not measured."""
    known = table.measurements()
    values, launches = {}, {}
    for key in keys:
        rounds = known[key].rounds
        values[key] = np.array(rounds.value_us)
        launches[key] = np.array(rounds.launch)
    return without_launch_parts(np.log(launch_levels(values, launches, table.estimator)))


def _rounds(table: LookupTable, keys: list[str]) -> list[Floats]:
    """Log latencies of each launch, rows x rounds, NaN where a row was not measured; rounds of most rows alone."""
    known = table.measurements()
    rounds = [known[key].rounds for key in keys]
    rows = np.repeat(np.arange(len(keys)), [len(one.value_us) for one in rounds])
    launches, numbers = (np.concatenate([getattr(one, name) for one in rounds]) for name in ("launch", "round"))
    logs = np.log(np.concatenate([one.value_us for one in rounds]))
    visited, place, counts = np.unique(np.stack([launches, numbers]), axis=1, return_inverse=True, return_counts=True)
    found = []
    for launch in np.unique(launches):
        columns = np.flatnonzero((visited[0] == launch) & (2 * counts > len(keys)))
        own = np.isin(place, columns)
        matrix = np.full((len(keys), len(columns)), np.nan)
        matrix[rows[own], np.searchsorted(columns, place[own])] = logs[own]
        found.append(matrix)
    return found


def _launch_part(table: LookupTable) -> float:
    """Standard deviation of what a run's launches leave of the spread between them."""
    return table.spread / float(np.sqrt(max(len(table.launches), 1)))


def _rows(keys: list[str], found: Differences, a: LookupTable, b: LookupTable) -> tuple[RowDifference, ...]:
    from scipy.stats import t as student

    known_a, known_b = a.measurements(), b.measurements()
    half = student.ppf(0.975, found.freedom) * found.deviation
    return tuple(
        RowDifference(
            key=key,
            a_us=known_a[key].value_us,
            b_us=known_b[key].value_us,
            change=float(np.expm1(found.change[n])),
            lower=float(np.expm1(found.change[n] - half[n])),
            upper=float(np.expm1(found.change[n] + half[n])),
            p=float(found.p[n]),
            differs=bool(found.differs[n]),
            resolution=float(np.expm1(found.resolution[n])),
        )
        for n, key in enumerate(keys)
    )
