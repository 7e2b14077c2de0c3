"""Import, export, merge and reproduce: the commands, their refusals, and the golden numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from hwbench import spaces
from hwbench.cli.main import app
from hwbench.errors import DataError, HwbenchError, Incomparable, UsageError
from hwbench.records import Measurement
from hwbench.tables import imported, lookup, matrix, opening
from hwbench.tables.lookup import LookupTable
from hwbench.workflows import exchange
from hwbench.workflows.reproducing import reproduce
from tests.table_files import block_table, small_matrix, write_samples
from tests.unit.test_tables import make_table

SPACE = "proxylessnas-w0.25-r32-c10"


def run(*words: object) -> Any:
    """The JSON document of a command that succeeds."""
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def text(*words: object) -> str:
    done = CliRunner().invoke(app, [*map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", ["proxylessnas-yaml", "tunas-linear",
    "paddle-text", "oneproxy-csv", "hat-csv", "help-pt", "csv", "csv matrix", "tfnas-pickle"])  # fmt: skip
def test_import_then_show(tmp_path: Path, name: str) -> None:
    path = write_samples(tmp_path / "in")[name]
    out = tmp_path / "out.json"
    found = run("table", "import", path, "-o", out)
    assert found["table"] == str(out)
    assert found["records"][0]["format"] == name.split(maxsplit=1)[0]
    assert found["rows"] > 0
    shown = text("table", "show", out)
    assert "rows" in shown
    assert "licence not stated" in shown
    assert run("table", "show", out)["space"] == found["space"]
    with pytest.raises(UsageError, match=r"out\.json exists already"):
        run("table", "import", path, "-o", out)
    run("table", "import", path, "-o", out, "--overwrite")


def test_import_says_what_is_covered(tmp_path: Path) -> None:
    table = block_table(SPACE)
    lacking = msgspec.structs.replace(table, rows=table.rows[2:])
    imported.save(lacking, tmp_path / "own.json")
    run("table", "export", tmp_path / "own.json", "-o", tmp_path / "t.csv")
    arch = ",".join(["0"] * 21)
    words = ("table", "import", tmp_path / "t.csv", "--architecture", arch, "--licence", "MIT", "--source", "me")
    found = run(*words, "-o", tmp_path / "i.json")
    gone = [row.key for row in table.rows[:2]]
    assert found["coverage"]["missing"] == found["architecture_coverage"]["missing"] == gone
    assert (found["records"][0]["licence"], found["records"][0]["source"]) == ("MIT", "me")
    printed = text(*words, "-o", tmp_path / "j.json")
    assert all(f"missing {key}" in printed.replace("\n", "") for key in gone)
    with pytest.raises(HwbenchError, match="lacks 2 blocks"):
        run("table", "predict", tmp_path / "i.json", "--random", 0)


def test_predict_works_with_an_import(tmp_path: Path) -> None:
    imported.save(block_table(SPACE), tmp_path / "i.json")
    found = run("table", "predict", tmp_path / "i.json", "--random", 3)
    terms = found["prediction"]["terms"]
    assert found["prediction"]["value_us"] == pytest.approx(sum(term["value_us"] for term in terms))
    assert "95 % interval" in text("table", "predict", tmp_path / "i.json", "--random", 3)
    nameless = msgspec.structs.replace(block_table(SPACE), space=None)
    imported.save(nameless, tmp_path / "n.json")
    with pytest.raises(UsageError, match="Add --space"):
        run("table", "predict", tmp_path / "n.json", "--random", 3)
    again = run("table", "predict", tmp_path / "n.json", "--random", 3, "--space", SPACE)
    assert again["prediction"] == found["prediction"]


@pytest.mark.parametrize(
    ("space", "name", "ending"),
    [("proxylessnas", "proxylessnas-yaml", "yaml"), ("ofa", "ofa-yaml", "yaml"), ("ofa", "ofa-json", "json"),
     ("proxylessnas", "csv", "csv"), ("nasbench201", "csv", "csv"), ("fbnet", "csv", "csv")],
)  # fmt: skip
def test_a_measured_table_goes_out_and_comes_back(tmp_path: Path, space: str, name: str, ending: str) -> None:
    table = make_table(4, space=spaces.get(space))
    lookup.save(table, tmp_path / "own.json")
    out = tmp_path / f"out.{ending}"
    written = run("table", "export", tmp_path / "own.json", "-o", out, "--format", name)
    assert (written["rows"], written["left_out"]) == (len(table.rows), [])
    run("table", "import", out, "-o", tmp_path / "back.json")
    back = imported.load(tmp_path / "back.json")
    assert {row.key: row.value for row in back.rows} == {
        key: found.value_us for key, found in table.measurements().items()
    }
    assert back.space == table.space


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    table = make_table()
    failed = (lookup.Row(table.rows[0].key, failure="load: no"), *table.rows[1:])
    lookup.save(msgspec.structs.replace(table, rows=failed), tmp_path / "t.json")
    found = exchange.export_table(tmp_path / "t.json", tmp_path / "t.csv", "csv")
    assert [(refused.row, refused.reason) for refused in found.left_out] == [(table.rows[0].key, "load: no")]
    with pytest.raises(UsageError, match="tunas-linear is only read"):
        exchange.export_table(tmp_path / "t.json", tmp_path / "x", "tunas-linear")
    with pytest.raises(DataError, match="cannot express the block"):
        exchange.export_table(tmp_path / "t.json", tmp_path / "x", "ofa-yaml")
    matrix.save(small_matrix(), tmp_path / "m.json")
    with pytest.raises(UsageError, match="exported as csv alone"):
        exchange.export_table(tmp_path / "m.json", tmp_path / "x", "ofa-yaml")
    assert exchange.export_table(tmp_path / "m.json", tmp_path / "m.csv", "csv").rows == 40
    assert not (tmp_path / "x").exists()


def split(table: LookupTable, at: int) -> tuple[LookupTable, LookupTable]:
    return (
        msgspec.structs.replace(table, rows=table.rows[:at]),
        msgspec.structs.replace(table, rows=table.rows[at:], slowdown=0.02, seconds=3.0),
    )


def test_parts_of_a_measured_table_become_one(tmp_path: Path) -> None:
    table = make_table()
    launch = lookup.LaunchRecord(0, 1, (0,), True, 0.0)
    for name, part in zip("ab", split(msgspec.structs.replace(table, launches=(launch,)), 30), strict=True):
        lookup.save(part, tmp_path / f"{name}.json")
    run("table", "merge", tmp_path / "a.json", tmp_path / "b.json", "-o", tmp_path / "c.json")
    merged = lookup.load(tmp_path / "c.json")
    assert [row.key for row in merged.rows] == [row.key for row in table.rows]
    assert [one.launch for one in merged.launches] == [0, 1]
    last = merged.rows[-1].measurement
    assert isinstance(last, Measurement)
    assert set(last.rounds.launch) == {1}
    assert (merged.seconds, merged.slowdown) == (4.0, 0.02)
    with pytest.raises(DataError, match="both have"):
        exchange.merge([tmp_path / "a.json", tmp_path / "c.json"], tmp_path / "d.json")
    other = msgspec.structs.replace(table, target=msgspec.structs.replace(table.target, threads=2))
    lookup.save(other, tmp_path / "o.json")
    with pytest.raises(Incomparable, match="threads 1, 2"):
        exchange.merge([tmp_path / "a.json", tmp_path / "o.json"], tmp_path / "d.json")
    with pytest.raises(UsageError, match="at least two"):
        exchange.merge([tmp_path / "a.json"] * 2, tmp_path / "d.json")


def test_parts_of_an_imported_table_become_one(tmp_path: Path) -> None:
    table = block_table(SPACE)
    imported.save(msgspec.structs.replace(table, rows=table.rows[:20]), tmp_path / "a.json")
    imported.save(msgspec.structs.replace(table, rows=table.rows[10:]), tmp_path / "b.json")
    exchange.merge([tmp_path / "a.json", tmp_path / "b.json"], tmp_path / "c.json")
    merged = imported.load(tmp_path / "c.json")
    assert merged.rows == table.rows
    assert merged.record.rows_read == 6
    changed = (msgspec.structs.replace(table.rows[0], value=1.0), *table.rows[1:])
    imported.save(msgspec.structs.replace(table, rows=changed), tmp_path / "x.json")
    with pytest.raises(DataError, match="different values for conv-in"):
        exchange.merge([tmp_path / "a.json", tmp_path / "x.json"], tmp_path / "d.json")
    matrix.save(small_matrix(), tmp_path / "m.json")
    with pytest.raises(DataError, match="cannot be merged with each other"):
        exchange.merge([tmp_path / "a.json", tmp_path / "m.json"], tmp_path / "d.json")


def test_tables_of_many_targets_become_a_matrix(tmp_path: Path) -> None:
    space = spaces.get(SPACE)
    for seed, name in enumerate("abc"):
        imported.save(block_table(SPACE, seed), tmp_path / f"{name}.json")
    paths = [tmp_path / f"{name}.json" for name in "abc"]
    found = run("table", "merge", *paths, "--random", 9, "--seed", 5, "-o", tmp_path / "m.json")
    assert (found["rows"], found["targets"]) == (9, ["a", "b", "c"])
    made = matrix.load(tmp_path / "m.json")
    assert np.array_equal(made.encoded, space.sample(9, 5))
    source = opening.source_of(imported.load(paths[1]), space)
    assert made.column("b") == pytest.approx(source.predict(made.encoded.astype(int)).mean_us)
    shown = text("table", "show", tmp_path / "m.json")
    assert "9 architectures" in shown


def test_a_missing_key_is_listed_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from hwbench.cli import main

    table = block_table(SPACE)
    imported.save(msgspec.structs.replace(table, rows=table.rows[8:]), tmp_path / "i.json")
    words = ["hwbench", "table", "predict", str(tmp_path / "i.json"), ",".join(["5"] * 21), "--json"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as stopped:
            main.main()
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    missing = json.loads(printed.out)["missing"]
    assert [row.key for row in table.rows[:2]] == missing[:2]
    assert all(f"  missing {key}" in printed.err for key in missing)


def test_the_golden_numbers(published: Path) -> None:
    found = run("reproduce", "tables", "--data", published)
    assert found["agrees"]
    assert [check["name"] for check in found["checks"] if not check["agrees"]] == []
    by_name = {check["name"]: check["computed"] for check in found["checks"]}
    assert by_name["Note10, its 30 ms network, sum of its rows"] == pytest.approx(29.97, abs=0.005)
    assert by_name["Pixel 1, blocks of it without a key (mobile)"] == 3
    assert len(found["checks"]) == 16
    assert "agrees" in text("reproduce", "tables", "--data", published)


def test_missing_data_is_named_with_its_repository_and_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DataError, match=r"lacks 14 of 14 files.*han-cai/files: proxylessnas/mobile_trim\.yaml \(sha256"
    ):
        reproduce.tables(tmp_path)
    monkeypatch.delenv("HWBENCH_DATA", raising=False)
    with pytest.raises(UsageError, match="set HWBENCH_DATA"):
        reproduce.tables()


def test_a_figure_that_differs_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = reproduce.Reproduction("tables", (reproduce.Check("sum", "ms", 1.0, 0.1, 2.0),), ())
    monkeypatch.setattr(reproduce, "tables", lambda _: wrong)
    for words in (["reproduce", "tables"], ["reproduce", "tables", "--json"]):
        assert CliRunner().invoke(app, words).exit_code == 1
