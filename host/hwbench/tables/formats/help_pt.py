"""HELP's latencies: `latency/<target>.pt` files beside the architectures they belong to, milliseconds.

The folder of a space (`nasbench201`, `fbnet`, `ofa`) gives all its targets, a single file one. Values of NAS-Bench-201
are in its index order; the others have their architectures in `arch.pt` or `ofa_archs.pt`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from hwbench.errors import DataError
from hwbench.spaces import fbnet, nasbench201, ofa
from hwbench.tables.formats import pickles
from hwbench.tables.formats.collect import Collector
from hwbench.tables.formats.columns import same_columns, whole_milliseconds
from hwbench.tables.formats.document import Document, Options
from hwbench.tables.imported import ImportRecord
from hwbench.tables.matrix import Column, LatencyMatrix

NAME = "help-pt"
FBNET_SPACE = "fbnet-cifar-r32-c100"
OFA_WIDTH = 1.2

_MILLISECONDS = 3
_MOST_ROWS = 100_000
_MOST_TARGETS = 200


class _Architectures(msgspec.Struct, frozen=True):
    space: str
    rows: tuple[tuple[int, ...], ...]


def recognises(document: Document) -> bool:
    if document.path.is_dir():
        return document.name in _READERS and (document.path / "latency").is_dir()
    in_place = document.path.parent.name == "latency" and document.path.parent.parent.name in _READERS
    return document.suffix == ".pt" and in_place and pickles.is_pickle(document.data)


def read(document: Document, options: Options) -> LatencyMatrix:
    """Raises DataError when a file is missing, is no list of numbers, or has another length than the architectures."""
    if document.path.is_dir():
        folder = document.path
        documents = [Document.open(path) for path in islice(sorted(folder.glob("latency/*.pt")), _MOST_TARGETS)]
    else:
        folder, documents = document.path.parent.parent, [document]
    if not documents:
        raise DataError(f"{folder} has no latency/*.pt.")
    architectures = _READERS[folder.name](folder)
    columns, records = [], []
    for one in documents:
        column, record = _column(one, architectures, options)
        columns.append(column)
        records.append(record)
    if remarks := same_columns(columns):
        records[0] = msgspec.structs.replace(records[0], notes=(*records[0].notes, *remarks))
    return LatencyMatrix(architectures.space, "latency_us", architectures.rows, tuple(columns), tuple(records))


def _column(document: Document, architectures: _Architectures, options: Options) -> tuple[Column, ImportRecord]:
    values = pickles.load(document.data, str(document.path))
    if type(values) is not list or len(values) != len(architectures.rows):
        raise DataError(
            f"{document.path} is not a list of {len(architectures.rows)} latencies, one for each architecture of "
            f"{architectures.space}."
        )
    collector = Collector(document, _MILLISECONDS)
    collector.read = len(values)
    checked = tuple(collector.check(f"architecture {number}", value) for number, value in enumerate(values))
    if not any(value is not None for value in checked):
        raise DataError(f"{document.path} has no value that can be imported.")
    column = Column(document.path.stem, checked, document.name)
    if whole_milliseconds(column):
        collector.notes.append("values are whole milliseconds")
    return column, collector.record(NAME, "ms", "latency_us", options)


def _nasbench201(_: Path) -> _Architectures:
    return _Architectures(nasbench201.DEFAULT, tuple(tuple(row) for row in nasbench201.in_index_order().tolist()))


def _fbnet(folder: Path) -> _Architectures:
    path = folder / "arch.pt"
    rows = _list(Document.open(path), path)
    space = fbnet.from_name(FBNET_SPACE)
    found = []
    for number, row in enumerate(rows):
        if type(row) is not list or len(row) != len(space.positions) or not _small(row, len(fbnet.LABELS)):
            raise DataError(f"{path}: architecture {number} is not {len(space.positions)} choices of 0 to 8.")
        found.append(tuple(row))
    return _Architectures(space.name, tuple(found))


def _ofa(folder: Path) -> _Architectures:
    path = folder / "ofa_archs.pt"
    content = pickles.load(Document.open(path).data, str(path))
    rows = content.get("arch") if isinstance(content, dict) else None
    if type(rows) is not list or len(rows) > _MOST_ROWS:
        raise DataError(f"{path} has no list of architectures.")
    resolutions = sorted({_resolution(row, path) for row in rows})
    found = []
    for row in rows:
        (arch,) = ofa.architecture(*(_numbers(row, name, path) for name in ("ks", "e", "d")))
        found.append((resolutions.index(_resolution(row, path)), *arch.tolist()))
    return _Architectures(ofa.name_of(OFA_WIDTH, resolutions), tuple(found))


def _resolution(row: Any, path: Path) -> int:
    value = row.get("r") if isinstance(row, dict) else None
    if type(value) is not int or not 1 <= value <= 9999:
        raise DataError(f"{path}: an architecture has no resolution r.")
    return value


def _numbers(row: Any, name: str, path: Path) -> list[int]:
    values = row.get(name)
    if type(values) is not list or len(values) > ofa.STAGES * ofa.DEEPEST or not _small(values, 10):
        raise DataError(f"{path}: an architecture has no {name}.")
    return values


def _list(document: Document, path: Path) -> list[Any]:
    found = pickles.load(document.data, str(path))
    if type(found) is not list or not 0 < len(found) <= _MOST_ROWS:
        raise DataError(f"{path} is not a list of architectures.")
    return found


def _small(values: Iterable[Any], limit: int) -> bool:
    return all(type(value) is int and 0 <= value < limit for value in values)


_READERS = {"nasbench201": _nasbench201, "fbnet": _fbnet, "ofa": _ofa}
