"""`hwbench compare`: tables and matrices in, verdicts, clusters and breaking operators out."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hwbench.errors import DataError, Incomparable, UsageError
from hwbench.spaces import nasbench201
from hwbench.tables import imported, lookup, matrix
from hwbench.tables.imported import ImportedTable
from hwbench.tables.lookup import Row
from hwbench.tables.matrix import Column, LatencyMatrix
from hwbench.workflows.compare import compare
from tests.conftest import Hwbench
from tests.table_files import block_table
from tests.unit.test_tables import SPACE, make_table, measurement

SMALL = "proxylessnas-w0.25-r32-c10"


def write(path: Path, table: ImportedTable) -> Path:
    imported.save(table, path)
    return path


def scaled(table: ImportedTable, target: str, wrong: str = "", factor: float = 1.0) -> ImportedTable:
    """The table of a machine twice as fast, but for the blocks whose key contains `wrong`."""
    rows = tuple(
        msgspec.structs.replace(row, value=row.value / 2 * (factor if wrong and wrong in row.key else 1.0))
        for row in table.rows
    )
    return msgspec.structs.replace(table, target=target, rows=rows)


@pytest.fixture
def tables(tmp_path: Path) -> list[Path]:
    first = block_table(SMALL)
    return [
        write(tmp_path / "first.json", first),
        write(tmp_path / "second.json", scaled(first, "second")),
        write(tmp_path / "third.json", scaled(first, "third", "kernel:7", 12.0)),
    ]


def cells(path: Path, exponents: dict[str, float]) -> Path:
    """A matrix of 300 cells; targets with the same sign of exponent agree wholly."""
    archs = tuple(tuple(row) for row in nasbench201.in_index_order()[:300].tolist())
    base = np.random.default_rng(0).uniform(1e3, 9e3, 300)
    columns = tuple(Column(name, tuple((base**power).tolist())) for name, power in exponents.items())
    matrix.save(LatencyMatrix(nasbench201.DEFAULT, "latency_us", archs, columns), path)
    return path


def test_tables_that_agree_are_a_cluster_and_the_breaking_blocks_are_named(tables: list[Path]) -> None:
    found = compare(tables, networks=300)
    assert found.exit_code == 1
    assert found.clusters == (("phone", "second"), ("third",))
    answers = {(pair.agreement.a, pair.agreement.b): pair for pair in found.pairs}
    assert answers["phone", "second"].verdict.answer == "yes"
    assert answers["phone", "second"].agreement.spearman == pytest.approx(1.0)
    broken = answers["phone", "third"]
    assert broken.verdict.answer == "no"
    assert "kernel:7" in broken.breakers[0].key
    assert compare(tables[:2], networks=300).exit_code == 0


def test_matrices_and_too_few_architectures(tmp_path: Path) -> None:
    path = cells(tmp_path / "m.json", {"a": 1.0, "b": 0.5, "c": -0.5})
    found = compare([path])
    assert found.clusters == (("a", "b"), ("c",))
    assert found.architectures == 300
    assert found.ceilings == {"a": None, "b": None, "c": None}
    other = cells(tmp_path / "n.json", {"d": 2.0})
    assert len(compare([path, other]).pairs) == 6


def test_what_cannot_be_compared_is_refused(tmp_path: Path, tables: list[Path]) -> None:
    path = cells(tmp_path / "m.json", {"a": 1.0, "b": 0.5})
    with pytest.raises(Incomparable, match="2 spaces"):
        compare([path, tables[0]])
    with pytest.raises(UsageError, match="one target alone"):
        compare(tables[:1])
    energy = write(tmp_path / "mj.json", msgspec.structs.replace(block_table(SMALL), metric="energy_mj"))
    with pytest.raises(DataError, match="holds energy_mj, not latencies"):
        compare([tables[0], energy])


def measured(path: Path, half_width: float, flags: tuple[str, ...] = (), seed: int = 0) -> Path:
    """A measured table of random values whose rows are known to `half_width`."""
    table = make_table(seed)
    values = {key: measurement(found.value_us, half_width) for key, found in table.measurements().items()}
    rows = tuple(Row(key, msgspec.structs.replace(found, flags=flags)) for key, found in values.items())
    lookup.save(msgspec.structs.replace(table, rows=rows), path)
    return path


def test_noise_of_measured_rows_bounds_what_can_be_reached(tmp_path: Path) -> None:
    quiet = [measured(tmp_path / f"quiet{n}.json", 0.03) for n in range(2)]
    found = compare(quiet, networks=200)
    assert found.targets == ("quiet0", "quiet1")
    assert found.space == SPACE.name
    (pair,) = found.pairs
    assert pair.verdict.answer == "yes"
    assert pair.agreement.noise_known
    ceiling = found.ceilings["quiet0"]
    assert ceiling is not None
    noisy = compare([measured(tmp_path / f"noisy{n}.json", 0.6) for n in range(2)], networks=200)
    worse = noisy.ceilings["noisy0"]
    assert worse is not None
    assert worse < ceiling < 1
    assert pair.agreement.z_noise > 0
    assert noisy.pairs[0].agreement.attenuation < pair.agreement.attenuation <= 1


def test_emulated_results_are_refused(tmp_path: Path) -> None:
    paths = [measured(tmp_path / "real.json", 0.03), measured(tmp_path / "virtual.json", 0.03, ("emulated",))]
    with pytest.raises(Incomparable, match=r"virtual\.json was measured on an emulated device"):
        compare(paths)


def test_the_command_prints_one_document_and_exits_by_its_answer(hwbench: Hwbench, tables: list[Path]) -> None:
    done = hwbench("compare", *tables, "--networks", "200", "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert document["targets"] == ["phone", "second", "third"]
    assert {pair["verdict"]["answer"] for pair in document["pairs"]} == {"yes", "no"}
    shown = hwbench("compare", *tables, "--networks", "200")
    assert "cluster: phone, second" in shown.stdout
    assert "kernel:7" in shown.stdout
    assert hwbench("compare", tables[0]).returncode == 2
