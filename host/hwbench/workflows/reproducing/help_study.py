"""HELP's study as data: its splits, reference architectures and published figures (Lee et al., NeurIPS 2021).

`FIRST` architectures of a space train the sources; the 1000 after them are the test.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from hwbench.errors import DataError, UsageError
from hwbench.tables import formats
from hwbench.tables.formats import pickles
from hwbench.tables.formats.document import Document
from hwbench.tables.matrix import LatencyMatrix

DATA_VARIABLE = "HWBENCH_DATA"
REPOSITORY = "HayeonLee/HELP"
NEXT = 1000


class Split(msgspec.Struct, frozen=True):
    """Targets whose latencies are known, those that settings may be chosen on, and those that are predicted."""

    sources: tuple[str, ...]
    validation: tuple[str, ...]
    targets: tuple[str, ...]
    first: int


_SHARED = ("silver_4114", "silver_4210r", "samsung_a50", "pixel3", "essential_ph_1", "samsung_s7")

SPLITS = {
    "nasbench201": Split(
        ("1080ti_1", "1080ti_32", "1080ti_256", *_SHARED),
        ("titanx_1", "titanx_32", "titanx_256", "gold_6240"),
        ("titan_rtx_256", "gold_6226", "fpga", "pixel2", "raspi4", "eyeriss"),
        900,
    ),
    "fbnet": Split(
        ("1080ti_1", "1080ti_32", "1080ti_64", *_SHARED),
        ("titanx_1", "titanx_32", "titanx_64", "gold_6240"),
        ("fpga", "raspi4", "eyeriss"),
        4000,
    ),
    "ofa": Split(
        tuple(f"{gpu}_{batch}" for gpu in ("2080ti", "titan_xp", "v100") for batch in (1, 32, 64)),
        ("titan_rtx_1", "titan_rtx_32"),
        ("titan_rtx_64",),
        4000,
    ),
}

# Tables 2 and 3 of the paper: Spearman with 10 reference and 10 further measurements.
PUBLISHED: dict[str, dict[str, float]] = {
    "nasbench201": {
        "titan_rtx_256": 0.987, "gold_6226": 0.989, "pixel2": 0.802, "raspi4": 0.890, "eyeriss": 0.940,
        "fpga": 0.985, "mean": 0.932,
    },
    "fbnet": {"raspi4": 0.887, "eyeriss": 0.943, "fpga": 0.892, "mean": 0.910},
    "ofa": {},
}  # fmt: skip


class Study(msgspec.Struct, frozen=True):
    """A latency matrix and HELP's reference architectures, by place (empty where there are none)."""

    matrix: LatencyMatrix
    references: tuple[int, ...]
    first: int


def open_study(space: str, data: Path | None = None) -> Study:
    """The space's folder below `data` (by default HWBENCH_DATA), or `data` itself where it is a matrix file.

    Raises UsageError without a folder or for an unknown space, DataError naming what is expected and missing.
    """
    named = data or (Path(found) if (found := os.environ.get(DATA_VARIABLE)) else None)
    expected = f"{REPOSITORY}: data/{space}"
    if space not in SPLITS:
        raise UsageError(f"HELP's study has no space {space!r}.", hint=f"It has {', '.join(SPLITS)}.")
    if named is None:
        raise UsageError(
            f"No folder of published data is named. Expected is {expected} as help/data/{space}.",
            hint=f"Add --data DIR, or set {DATA_VARIABLE}.",
        )
    if named.is_file():
        matrix = _matrix(named)
        return Study(matrix, (), min(SPLITS[space].first, len(matrix.architectures)))
    folder = next((one for one in (named / "help" / "data" / space, named / space) if one.is_dir()), None)
    if folder is None:
        raise DataError(f"{named} lacks help/data/{space}, a copy of {expected}.", hint="Put the copy there.")
    return Study(_matrix(folder), _references(folder / "hardware_embedding_index.pt"), SPLITS[space].first)


def _matrix(path: Path) -> LatencyMatrix:
    found = formats.read(path)
    if not isinstance(found, LatencyMatrix):
        raise DataError(f"{path} is a table of blocks, not latencies of architectures.")
    return found


def _references(path: Path) -> tuple[int, ...]:
    found = pickles.load(Document.open(path).data, str(path))
    if type(found) is not list or not all(type(place) is int and place >= 0 for place in found):
        raise DataError(f"{path} is not a list of architecture numbers.")
    return tuple(found)
