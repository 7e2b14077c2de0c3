"""Loading a table of 100,000 rows, and predicting architectures from columns of choices, in CPU time of one thread."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from tests.table_files import block_table

from benchmarks.common import parser, quantiles, report
from hwbench import spaces
from hwbench.devices.linux import LinuxMachine
from hwbench.records import EngineRecord, Estimator, Measurement, Rounds, Target
from hwbench.tables import imported, lookup
from hwbench.tables.imported import ImportedRow
from hwbench.tables.lookup import LookupTable, Row
from hwbench.tables.packed import PackedTable
from hwbench.tables.source import TableSource

ROWS = 100_000
VISITS = 24
ARCHITECTURES = 10_000_000
REPEATS = 5


def main() -> None:
    options = parser(__doc__).parse_args()
    space = spaces.get(spaces.DEFAULT)
    rng = np.random.default_rng(0)
    source = TableSource(_table([block.key for block in space.distinct_blocks], 1), space)
    packed = PackedTable(source)
    columns = np.stack([rng.integers(0, count, ARCHITECTURES, dtype=np.uint8) for count in space.choice_counts])
    few = np.ascontiguousarray(columns[:, :200_000].T)
    results = {
        "packed_million_per_s": quantiles(_rates(lambda: packed.mean_us(columns), ARCHITECTURES)),
        "with_intervals_million_per_s": quantiles(_rates(lambda: source.predict(few), len(few))),
        "largest_difference_us": float(
            np.abs(packed.mean_us(columns[:, :200_000]) - source.predict(few).mean_us).max()
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        keys = [f"key-{number}" for number in range(ROWS)]
        for name, visits in (("a summary alone", 1), (f"{VISITS} visits a row", VISITS)):
            path = Path(folder) / f"{visits}.json"
            lookup.save(_table(keys, visits), path)
            results[f"load_seconds, {name}"] = quantiles(_seconds(lambda path=path: lookup.load(path)))
        results["load_seconds, every round read as well"] = quantiles(_seconds(lambda: _all_rounds(path)))
        path = Path(folder) / "import.json"
        rows = tuple(ImportedRow(key, 1.0 + number) for number, key in enumerate(keys))
        imported.save(msgspec.structs.replace(block_table(spaces.DEFAULT), rows=rows), path)
        results["load_seconds, imported"] = quantiles(_seconds(lambda: imported.load(path)))
    report("tables", {"rows": ROWS, "architectures": ARCHITECTURES, **results}, options.keep)


def _table(keys: list[str], visits: int) -> LookupTable:
    """A table of made-up values with so many visits a row."""
    engine = EngineRecord("litert", "ai-edge-litert", "0", None)
    target = Target("made up", engine, "xnnpack", "fp32", 1, 1, "0", "as_shipped", "cold", "none")
    counts, values = (5,) * visits, tuple(float(number + 1) for number in range(visits))
    rounds = Rounds(counts, counts, counts, values, values, values, values, values, values, values)
    rows = []
    for number, key in enumerate(keys):
        value = 1.0 + number
        rows.append(Row(key, Measurement(value, value, value + 1, value, (), 2, rounds.as_json())))
    return LookupTable(
        space=spaces.DEFAULT, metric="latency_us", target=target, device=LinuxMachine().record("local"),
        estimator=Estimator(), preset="quick", flush_bytes=0, hwbench_version="0", created_at="", rows=tuple(rows),
        anchors={}, launches=(), spread=0.01, slowdown=0.0, seconds=1.0, inference_share=1.0,
    )  # fmt: skip


def _all_rounds(path: Path) -> int:
    return sum(len(found.rounds.value_us) for found in lookup.load(path).measurements().values())


def _seconds(action: Callable[[], object]) -> list[float]:
    found = []
    for _ in range(REPEATS):
        begin = time.process_time()
        result = action()
        found.append(time.process_time() - begin)
        # Freeing the result is not part of making it.
        del result
    return found


def _rates(action: Callable[[], object], count: int) -> list[float]:
    return [count / seconds / 1e6 for seconds in _seconds(action)]


if __name__ == "__main__":
    main()
