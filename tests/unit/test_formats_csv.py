"""CSV tables and matrices: round trips, units, and bad rows that are named with their reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwbench import spaces
from hwbench.errors import DataError
from hwbench.tables import formats
from hwbench.tables.formats import plain_csv
from hwbench.tables.imported import ImportedSource
from tests.table_files import (
    block_table,
    read_matrix,
    read_table,
    small_matrix,
    write,
)


@pytest.mark.parametrize("name", ["proxylessnas", "ofa", "fbnet", "nasbench201"])
def test_csv_round_trip(tmp_path: Path, name: str) -> None:
    table = block_table(spaces.get(name).name)
    (tmp_path / "t.csv").write_bytes(plain_csv.write_table(table))
    back = read_table(tmp_path / "t.csv")
    assert back.rows == table.rows
    assert (back.space, back.target) == (table.space, table.target)


def test_matrix_csv_round_trip(tmp_path: Path) -> None:
    table = small_matrix()
    (tmp_path / "m.csv").write_bytes(plain_csv.write_matrix(table))
    back = read_matrix(tmp_path / "m.csv")
    assert (back.architectures, back.targets) == (table.architectures, table.targets)
    assert np.array_equal(back.values, table.values, equal_nan=True)


BLOCK = spaces.get(spaces.DEFAULT).distinct_blocks[1].key


@pytest.mark.parametrize(
    ("value", "reason"),
    [("-3.5", "negative: -3.5"), ("-1", "-1: a sentinel"), ("nan", "NaN"), ("0", "zero"), ("", "not a number"),
     ("1e300", "impossibly large"), ("inf", "impossibly large"), ("fast", "not a number"), ("1e99999", "not a number")],
)  # fmt: skip
def test_rows_are_refused_with_their_reason(tmp_path: Path, value: str, reason: str) -> None:
    other = spaces.get(spaces.DEFAULT).distinct_blocks[2].key
    path = write(tmp_path / "t.csv", f"key,latency_ms\n{BLOCK},{value}\n{other},2.5\n")
    table = read_table(path)
    assert [(row.key, row.value) for row in table.rows] == [(other, 2500.0)]
    (refused,) = table.record.refused
    assert refused.row == BLOCK
    assert reason in refused.reason


def test_duplicates_and_unknown_keys_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", f"key,latency_us\n{BLOCK},1\n{BLOCK},2\nmbconv-what,3\n")
    record = read_table(path).record
    assert [refused.reason.split(":")[0] for refused in record.refused] == ["duplicate", "unknown key"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"key,latency\n{BLOCK},1\n", "does not say the unit"),
        (f"key,latency,unit\n{BLOCK},1,fortnight\n", "'fortnight' is not a unit of time"),
        (f"key,latency_ms,latency_us\n{BLOCK},1,1\n", "exactly one column of values"),
        (f"key,target,latency_ms\n{BLOCK},a,1\n{BLOCK},b,2\n", "several targets: a, b"),
        ("key,latency_ms\n", "no row that can be imported"),
        (f"key,latency_ms\n{BLOCK},1,2\n", "line 2 has 3 fields"),
        ("architecture,latency_ms\n0 1 2,3\n", "of which space"),
        ("architecture,space,latency_ms\n0 1 2,hat,3\n", "none can be built"),
        ("key,key,latency_ms\n", "a column twice"),
    ],
)
def test_unusable_csv(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        formats.read(write(tmp_path / "t.csv", text))


def test_the_unit_and_the_target_can_be_given(tmp_path: Path) -> None:
    text = f"key,target,latency\n{BLOCK},a,1\n{BLOCK},b,2\n"
    table = read_table(write(tmp_path / "t.csv", text), unit="s", target="b", space=spaces.DEFAULT)
    assert [(row.key, row.value) for row in table.rows] == [(BLOCK, 2e6)]
    assert (table.target, table.space, table.record.unit) == ("b", spaces.DEFAULT, "s")


def test_other_metrics_are_kept_apart(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "t.csv", f"key,energy_mj\n{BLOCK},1.5\n"))
    assert (table.metric, table.rows[0].value) == ("energy_mj", 1.5)
    with pytest.raises(DataError, match="energy_mj, not latencies"):
        ImportedSource(table, spaces.get(spaces.DEFAULT))
