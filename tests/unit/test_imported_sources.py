"""Imported tables and matrices in use: own files told apart, sums, coverage, packed sums."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hwbench import spaces
from hwbench.errors import CorruptFile, DataError, MissingRows
from hwbench.spaces import NamedBlock, block_from_key
from hwbench.tables import imported, lookup, matrix, opening
from hwbench.tables.formats import plain_csv
from hwbench.tables.imported import ImportedSource
from hwbench.tables.matrix import ColumnSource
from hwbench.tables.packed import PackedTable
from hwbench.tables.source import TableSource
from tests.table_files import (
    block_table,
    read_table,
    small_matrix,
    write,
    write_own,
    write_samples,
)
from tests.unit.test_tables import make_table


def test_own_files_are_told_apart(tmp_path: Path) -> None:
    paths = write_own(tmp_path)
    assert opening.load(paths["import"]) == imported.load(paths["import"])
    assert opening.load(paths["matrix"]) == matrix.load(paths["matrix"])
    lookup.save(make_table(), tmp_path / "t.json")
    assert opening.load_table(tmp_path / "t.json") == lookup.load(tmp_path / "t.json")
    with pytest.raises(CorruptFile, match="not a hwbench table but a hwbench import"):
        lookup.load(paths["import"])
    with pytest.raises(DataError, match="matrix of whole architectures"):
        opening.load_table(paths["matrix"])
    with pytest.raises(DataError, match="not a file of hwbench"):
        opening.load(write(tmp_path / "x.json", "{}"))


def test_impossible_content_of_own_files_is_refused(tmp_path: Path) -> None:
    table = msgspec.to_builtins(block_table("nasbench201-w8-n1-r8-c2"))
    table["rows"][0]["value"] = -1.0
    lookup.files.save(tmp_path / "i.json", imported.KIND, imported.VERSION, table)
    with pytest.raises(CorruptFile, match=r"i\.json.*impossible value"):
        imported.load(tmp_path / "i.json")
    content = msgspec.to_builtins(small_matrix())
    content["columns"][1]["values"] = content["columns"][1]["values"][1:]
    lookup.files.save(tmp_path / "m.json", matrix.KIND, matrix.VERSION, content)
    with pytest.raises(CorruptFile, match=r"m\.json.*target b has 19 values"):
        matrix.load(tmp_path / "m.json")


def test_an_imported_table_predicts_sums_and_refuses_what_it_lacks() -> None:
    space = spaces.get("proxylessnas")
    table = block_table(space.name)
    source = ImportedSource(table, space)
    archs = space.sample(20, 0)
    predicted = source.predict(archs)
    for number_, arch in enumerate(archs):
        rows = [table.values()[key] for key in source.keys_of(arch)]
        assert predicted.mean_us[number_] == pytest.approx(sum(row.value for row in rows))
        half = 1.96 * math.sqrt(sum((row.spread or 0) ** 2 for row in rows))
        assert predicted.upper_us[number_] - predicted.mean_us[number_] == pytest.approx(half, rel=1e-3)
        assert source.explain(arch).value_us == pytest.approx(predicted.mean_us[number_])
    lacking = msgspec.structs.replace(table, rows=table.rows[1:])
    with pytest.raises(MissingRows, match="conv-in:224"):
        ImportedSource(lacking, space).predict(archs)
    bare = msgspec.structs.replace(table, rows=tuple(msgspec.structs.replace(r, spread=None) for r in table.rows))
    unknown = ImportedSource(bare, space).predict(archs)
    assert (unknown.lower_us == 0).all()
    assert np.isinf(unknown.upper_us).all()


def test_coverage_names_every_missing_key() -> None:
    space = spaces.get("proxylessnas")
    table = block_table(space.name)
    assert opening.coverage_of_space(table, space) == opening.Coverage(70, 70, ())
    lacking = msgspec.structs.replace(table, rows=table.rows[2:])
    gone = tuple(row.key for row in table.rows[:2])
    assert opening.coverage_of_space(lacking, space) == opening.Coverage(70, 68, gone)
    arch = space.sample(1, 0)
    assert opening.coverage_of_architecture(lacking, space, arch).missing == gone
    chain = [NamedBlock("a", block_from_key(gone[0]))]
    assert opening.coverage_of_network(lacking, chain) == opening.Coverage(1, 0, gone[:1])


def test_rows_per_position_are_summed_with_their_offset(tmp_path: Path) -> None:
    space = spaces.get(spaces.DEFAULT)
    paths = write_samples(tmp_path)
    table = read_table(paths["tunas-linear"])
    source = ImportedSource(table, space)
    archs = space.sample(5, 1)
    for arch, mean in zip(archs, source.predict(archs).mean_us, strict=True):
        keys = source.keys_of(arch)
        assert keys[0] == "first"
        assert len(keys) == 22
        assert mean == pytest.approx(table.offset + sum(table.values()[key].value for key in keys))
        assert source.explain(arch).terms[-1].key == "stem, mix, classifier"
    partial = ImportedSource(read_table(paths["single-path-json"]), space)
    assert {"stem", "mix", "classifier", "stage1.1/zero", "stage1.0/k7e3"} <= set(
        opening.coverage_of_space(partial.table, space).missing
    )
    with pytest.raises(MissingRows):
        partial.predict(archs)


def test_operators_are_no_blocks(tmp_path: Path) -> None:
    table = read_table(write_samples(tmp_path)["paddle-text"])
    with pytest.raises(DataError, match="single operators"):
        ImportedSource(table, spaces.get("proxylessnas"))
    with pytest.raises(DataError, match="Only tables of blocks"):
        plain_csv.write_table(table)


def test_a_column_knows_its_architectures_alone() -> None:
    found = small_matrix()
    source = ColumnSource(found, "a")
    assert source.predict([found.architectures[3]]).mean_us[0] == found.columns[0].values[3]
    with pytest.raises(MissingRows, match="lacks 1 architectures"):
        source.predict([found.architectures[0]])
    with pytest.raises(DataError, match="no target 'c'"):
        ColumnSource(found, "c")


def test_a_matrix_of_many_tables() -> None:
    space = spaces.get("proxylessnas")
    sources = {name: ImportedSource(block_table(space.name, seed), space) for seed, name in enumerate("abc")}
    archs = space.sample(7, 0)
    found = matrix.from_sources(space, archs, sources)
    assert found.values.shape == (7, 3)
    assert found.column("b") == pytest.approx(sources["b"].predict(archs).mean_us)
    with pytest.raises(DataError, match="Target a stands in"):
        matrix.merge({"x": found, "y": found})
    with pytest.raises(DataError, match="different spaces"):
        matrix.merge({"x": found, "y": small_matrix()})


@pytest.mark.parametrize("name", ["proxylessnas", "ofa", "fbnet", "proxylessnas-v8.8.8.16.32-r16-c4-d1.2-s2.2"])
def test_packed_sums_equal_predictions(name: str) -> None:
    space = spaces.get(name)
    archs = space.sample(300_000 if name == "proxylessnas" else 1000, 3)
    columns = np.ascontiguousarray(archs.T)
    for source in (ImportedSource(block_table(space.name), space), TableSource(make_table(space=space), space)):
        assert PackedTable(source).mean_us(columns) == pytest.approx(source.predict(archs).mean_us, rel=1e-12)


def test_packed_sums_refuse_what_they_cannot_know(tmp_path: Path) -> None:
    space = spaces.get("proxylessnas")
    table = block_table(space.name)
    lacking = ImportedSource(msgspec.structs.replace(table, rows=table.rows[:-5]), space)
    columns = np.ascontiguousarray(space.sample(50, 0).T)
    with pytest.raises(MissingRows):
        PackedTable(lacking).mean_us(columns)
    with pytest.raises(DataError, match="uint8 of shape"):
        PackedTable(ImportedSource(table, space)).mean_us(columns.T)
    cells = spaces.get("nasbench201")
    with pytest.raises(DataError, match=r"nasbench201.*is not"):
        PackedTable(ImportedSource(block_table(cells.name), cells))
    linear = ImportedSource(read_table(write_samples(tmp_path)["tunas-linear"]), space)
    assert PackedTable(linear).mean_us(columns) == pytest.approx(linear.predict(columns.T).mean_us)
