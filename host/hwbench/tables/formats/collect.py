"""Collects rows of a foreign table: what is taken over, what is refused and why."""

from __future__ import annotations

import math

from hwbench.errors import DataError
from hwbench.files import sha256
from hwbench.tables.formats.document import Document, Options, number
from hwbench.tables.formats.published_matrices import known
from hwbench.tables.imported import ImportedRow, ImportedTable, ImportRecord, Metric, Refused, RowKind

_MOST_KEPT = 1000
_SENTINEL = -1.0
_LARGEST = 1e12


class Collector:
    """Counts rows read, keeps reasons of refusal; `shift` is the power of ten between the file's unit and ours."""

    def __init__(self, document: Document, shift: int) -> None:
        self.document = document
        self.shift = shift
        self.rows: dict[str, ImportedRow] = {}
        self.read = 0
        self.refused_count = 0
        self.notes: list[str] = []
        self._refused: list[Refused] = []

    def add(self, key: str, value: object, spread: object = None, count: object = None, signed: bool = False) -> None:
        """Takes a row over, or refuses it. `signed`: the value may be negative or zero (a coefficient)."""
        self.read += 1
        if key in self.rows:
            self._refuse(key, "duplicate: the key stands twice, the first value is kept")
            return
        converted = self.check(key, value, signed)
        if converted is not None:
            self.rows[key] = ImportedRow(key, converted, self._spread(spread), _count(count))

    def check(self, row: str, value: object, signed: bool = False) -> float | None:
        """The value in the metric's unit, or None after refusing it."""
        try:
            found = number(value, self.shift)
        except ValueError as error:
            self._refuse(row, f"not a number: {error}")
            return None
        reason = None
        if math.isnan(found):
            reason = "not a number (NaN)"
        elif abs(found) >= _LARGEST:
            reason = f"impossibly large: {value}"
        elif not signed and number(value) == _SENTINEL:
            reason = "-1: a sentinel for a measurement that failed"
        elif not signed and found <= 0:
            reason = f"negative: {value}" if found < 0 else "zero"
        if reason is not None:
            self._refuse(row, reason)
            return None
        return found

    def refuse(self, row: str, reason: str) -> None:
        """A row that could not be read at all."""
        self.read += 1
        self._refuse(row, reason)

    def refuse_repeated(self) -> None:
        """Refuses the keys that stood twice in a JSON object."""
        for key in self.document.repeated:
            self.refuse(key, "duplicate: the key stands twice, the first value is kept")

    def record(self, format_name: str, unit: str, metric: Metric, options: Options) -> ImportRecord:
        digest = sha256(self.document.data)
        origin = known(digest)
        return ImportRecord(
            format=format_name,
            file=self.document.name,
            sha256=digest,
            unit=unit,
            metric=metric,
            licence=options.licence or (origin.licence if origin else None),
            source=options.source or (f"{origin.repository}: {origin.path}" if origin else None),
            rows_read=self.read,
            refused_count=self.refused_count,
            refused=tuple(self._refused),
            notes=tuple(self.notes),
        )

    def table(
        self,
        format_name: str,
        unit: str,
        options: Options,
        *,
        space: str | None,
        kind: RowKind,
        metric: Metric = "latency_us",
        offset: float = 0.0,
        offset_covers: tuple[str, ...] = (),
    ) -> ImportedTable:
        """The table of what was taken over. Raises DataError when that is nothing."""
        if not self.rows:
            raise DataError(
                f"{self.document.path} has no row that can be imported ({self.read} read)."
                + (f" The first: {self._refused[0].row[:80]}: {self._refused[0].reason}." if self._refused else "")
            )
        return ImportedTable(
            space=options.space or space,
            metric=metric,
            target=options.target or self.document.path.stem,
            kind=kind,
            rows=tuple(self.rows.values()),
            record=self.record(format_name, unit, metric, options),
            offset=offset,
            offset_covers=offset_covers,
        )

    def _spread(self, spread: object) -> float | None:
        if spread is None:
            return None
        try:
            found = number(spread, self.shift)
        except ValueError:
            return None
        return found if 0 <= found < _LARGEST else None

    def _refuse(self, row: str, reason: str) -> None:
        self.refused_count += 1
        if len(self._refused) < _MOST_KEPT:
            self._refused.append(Refused(row[:300], reason))


def _count(count: object) -> int | None:
    try:
        found = number(count)
    except ValueError:
        return None
    return int(found) if found.is_integer() and 0 < found < _LARGEST else None
