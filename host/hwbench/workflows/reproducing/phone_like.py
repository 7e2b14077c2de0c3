"""A synthetic table with a phone's ratios, for spaces that no published table is of."""

from __future__ import annotations

from pathlib import Path

from hwbench import spaces
from hwbench.errors import DataError, UsageError
from hwbench.spaces.space import ChainSpace
from hwbench.tables import formats
from hwbench.tables.formats.published import published
from hwbench.tables.imported import ImportedRow, ImportedSource, ImportedTable, ImportRecord
from hwbench.workflows.reproducing.reproduce import data_folder

NAME = "phone-like (synthetic)"
PIXEL1 = published("proxylessnas/mobile_trim.yaml")


def phone_like(space: ChainSpace, data: Path | None = None) -> ImportedTable:
    """A table of choices with the latencies of the same places of the published Pixel 1 table.

    A position takes those of the published position of its name, or of the second one of its stage where the published
    stage is shorter; Zero adds nothing, and the fixed blocks cost what the published ones do. `data` is the folder of
    published data. Raises UsageError for a space whose stages are others, and as `data_folder` does.
    """
    table = formats.read(data_folder(data, (PIXEL1,)) / PIXEL1.local)
    paper = spaces.get(spaces.DEFAULT)
    if not isinstance(table, ImportedTable) or not isinstance(paper, ChainSpace):
        raise DataError(f"{PIXEL1.local} is not a table of blocks.")
    fixed_us, offers = ImportedSource(table, paper).offered_us()
    known = {
        position.name: dict(zip(position.labels, offer.tolist(), strict=True))
        for position, offer in zip(paper.positions, offers, strict=True)
    }
    rows = []
    for position in space.positions:
        stage, _, place = position.name.partition(".")
        latencies = known.get(position.name) or known.get(f"{stage}.{min(int(place), 1)}")
        if latencies is None:
            raise UsageError(f"{space.name} has stages that the published space does not have.")
        rows += [ImportedRow(f"{position.name}/{label}", latencies.get(label, 0.0)) for label in position.labels]
    record = ImportRecord(
        format="synthetic", file="", sha256="", unit="us", metric="latency_us", licence=None,
        source="ratios of the published Pixel 1 table", rows_read=len(rows), refused_count=0, refused=(),
        notes=("synthetic: latencies of larger blocks in the same places",),
    )  # fmt: skip
    covers = tuple(named.name for named in space.fixed_blocks)
    return ImportedTable(space.name, "latency_us", NAME, "choice", tuple(rows), record, fixed_us, covers)
