"""`hwbench search`: what a user writes, what is refused, the file it leaves, and figures of published data."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hwbench import files, spaces
from hwbench.cli.main import app
from hwbench.errors import CorruptFile, DataError, Incomparable, LimitUnreachable, MissingRows, UsageError
from hwbench.records import EMULATED
from hwbench.search import limits, score_files
from hwbench.search.exact import best, front_of, smallest
from hwbench.search.quantities import Count, Function, Latency, Limit
from hwbench.spaces import architecture_file
from hwbench.spaces.blocks import macs
from hwbench.spaces.nasbench201 import in_index_order
from hwbench.tables import formats, imported, lookup, matrix, opening
from hwbench.tables.formats import net_config
from hwbench.tables.formats.document import Document
from hwbench.tables.imported import ImportedSource, ImportedTable
from hwbench.tables.matrix import ColumnSource, LatencyMatrix
from tests.table_files import block_table, small_matrix
from tests.unit.test_exchange import run, text
from tests.unit.test_search_front import ADDITIVITY
from tests.unit.test_tables import make_table

SPACE = spaces.get("proxylessnas-w0.25-r32-c10")


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """A verified and an unverified table of two targets."""
    paths = (tmp_path / "phone.json", tmp_path / "board.json")
    lookup.save(make_table(1, spread=0.01, additivity=ADDITIVITY, space=SPACE), paths[0])
    lookup.save(make_table(2, spread=0.01, space=SPACE), paths[1])
    return paths


def lowest_ms(path: Path) -> float:
    return smallest(SPACE, Latency(opening.source_of(lookup.load(path), SPACE)))[1] / 1e3


def test_what_it_finds_is_what_other_commands_read(tables: tuple[Path, Path], tmp_path: Path) -> None:
    limit = 1.5 * lowest_ms(tables[0])
    out = tmp_path / "found.json"
    found = run("search", "--table", tables[0], "--limit", f"{limit:.4f}ms", "--count", 3, "-o", out)
    (kept,) = found["answer"]["kept"]
    assert len(found["candidates"]) == 3
    assert found["candidates"][0] == found["answer"]
    assert kept["name"] == "phone"
    assert kept["lower_us"] < kept["mean_us"] == kept["value"] <= kept["most"]
    assert found["answer"]["score"] == SPACE.macs(found["answer"]["architecture"])
    predicted = run("table", "predict", tables[0], out)
    assert predicted["architecture"] == found["answer"]["architecture"]
    assert predicted["labels"] == found["answer"]["labels"]
    assert predicted["prediction"]["value_us"] == pytest.approx(kept["mean_us"])
    assert predicted["prediction"]["upper_us"] == pytest.approx(kept["upper_us"])
    with pytest.raises(UsageError, match=r"found\.json exists already"):
        run("search", "--table", tables[0], "--limit", "1s", "-o", out)
    shown = text("search", "--table", tables[0], "--limit", "1s", "-o", out, "--overwrite")
    assert "95 % interval" in shown
    assert "limit 1000 ms" in shown
    assert "stage3.2" in shown


def test_a_sure_limit_leaves_room_and_says_what_is_not_known(tables: tuple[Path, Path], tmp_path: Path) -> None:
    limit = f"{1.5 * lowest_ms(tables[1]):.4f}ms"
    loose, sure = (
        run("search", "--table", tables[1], "--limit", limit, "-o", tmp_path / f"{name}.json", *more)
        for name, more in (("loose", []), ("sure", ["--confidence", "97.5"]))
    )
    (kept,) = sure["answer"]["kept"]
    assert kept["value"] == pytest.approx(kept["upper_us"])
    assert kept["upper_us"] <= kept["most"]
    assert sure["answer"]["score"] <= loose["answer"]["score"]
    assert loose["notes"] == []
    assert "never verified" in sure["notes"][0]
    assert "surely under" in text(
        "search", "--table", tables[1], "--limit", limit, "-o", tmp_path / "s.json", "--confidence", 90
    )


def test_limits_on_two_targets_and_on_counts(tables: tuple[Path, Path], tmp_path: Path) -> None:
    words = [
        "--limit",
        f"phone={2 * lowest_ms(tables[0]):.4f}ms",
        "--limit",
        f"board.json={2 * lowest_ms(tables[1]):.4f}ms",
    ]
    both = ["--table", tables[0], "--table", tables[1]]
    found = run("search", *both, *words, "--limit", "parameters=0.3M", "-o", tmp_path / "f.json")
    assert [kept["name"] for kept in found["answer"]["kept"]] == ["phone", "board", "parameters"]
    assert all(kept["value"] <= kept["most"] for kept in found["answer"]["kept"])
    assert found["answer"]["kept"][2]["value"] == SPACE.parameters(found["answer"]["architecture"])
    with pytest.raises(UsageError, match="Nothing limits board"):
        run("search", *both, *words[:2], "-o", tmp_path / "g.json")
    with pytest.raises(UsageError, match="must say of which table"):
        run("search", *both, "--limit", "60ms", "-o", tmp_path / "g.json")
    with pytest.raises(UsageError, match=r"no table 'else\.json'"):
        run("search", *both, "--limit", "else.json=60ms", "-o", tmp_path / "g.json")
    with pytest.raises(UsageError, match="macs is limited twice"):
        run("search", *both, *words, *["--limit", "macs=1M"] * 2, "-o", tmp_path / "g.json")
    with pytest.raises(UsageError, match="given twice"):
        run("search", "--table", tables[0], "--table", tables[0], "--limit", "60ms", "-o", tmp_path / "g.json")


@pytest.mark.parametrize("method", ["evolution", "nsga2"])
def test_evolutions_answer_the_same_question(tables: tuple[Path, Path], tmp_path: Path, method: str) -> None:
    limit = f"{1.5 * lowest_ms(tables[0]):.4f}ms"
    words = ["--method", method, "--children", 200, "--population", 40, "--seed", 3]
    found = run("search", "--table", tables[0], "--limit", limit, *words, "-o", tmp_path / "f.json")
    assert found["method"] == method
    assert 40 <= found["evaluated"] <= 240
    assert found["answer"]["kept"][0]["value"] <= found["answer"]["kept"][0]["most"]


def test_without_a_limit_there_is_the_front(tables: tuple[Path, Path], tmp_path: Path) -> None:
    found = run("search", "--table", tables[0], "--score", "parameters")
    latencies = [one["latency_us"] for one in found["front"]]
    assert (np.diff(latencies) > 0).all()
    assert (np.diff([one["score"] for one in found["front"]]) > 0).all()
    assert latencies[0] == pytest.approx(1e3 * lowest_ms(tables[0]))
    assert found["architecture"] is found["answer"] is None
    assert "of the front" in text("search", "--table", tables[0])
    with pytest.raises(UsageError, match="Without a limit"):
        run("search", "--table", tables[0], "--confidence", 95)


def test_an_unreachable_limit_is_exit_code_1_with_what_can_be_reached(tables: tuple[Path, Path]) -> None:
    done = CliRunner().invoke(app, ["search", "--table", str(tables[0]), "--limit", "1us"])
    assert isinstance(done.exception, LimitUnreachable)
    assert done.exception.exit_code == 1
    assert f"{lowest_ms(tables[0]):.4g} ms" in str(done.exception)


def test_emulated_results_are_refused(tables: tuple[Path, Path]) -> None:
    table = lookup.load(tables[0])
    first = table.rows[0]
    assert first.measurement is not None
    marked = msgspec.structs.replace(first, measurement=msgspec.structs.replace(first.measurement, flags=(EMULATED,)))
    lookup.save(msgspec.structs.replace(table, rows=(marked, *table.rows[1:])), tables[0])
    with pytest.raises(Incomparable, match="emulated"):
        run("search", "--table", tables[0], "--limit", "1s")


def test_missing_blocks_are_listed(tables: tuple[Path, Path]) -> None:
    table = lookup.load(tables[0])
    lookup.save(msgspec.structs.replace(table, rows=table.rows[2:]), tables[0])
    with pytest.raises(MissingRows) as caught:
        run("search", "--table", tables[0], "--limit", "1s")
    assert caught.value.keys == tuple(row.key for row in table.rows[:2])


def test_files_that_do_not_fit_are_refused(tables: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    imported.save(block_table("fbnet"), other)
    with pytest.raises(Incomparable, match="different spaces"):
        run("search", "--table", tables[0], "--table", other, "--limit", "phone=1s", "--limit", "other=1s")
    imported.save(msgspec.structs.replace(block_table(SPACE.name), metric="energy_mj"), other)
    with pytest.raises(DataError, match="energy_mj"):
        run("search", "--table", other, "--limit", "1s")
    imported.save(msgspec.structs.replace(block_table(SPACE.name), space=None), other)
    with pytest.raises(UsageError, match="Add --space"):
        run("search", "--table", other, "--limit", "1s")
    assert run("search", "--table", other, "--limit", "1s", "--space", SPACE.name, "-o", tmp_path / "o.json")["answer"]
    with pytest.raises(UsageError, match="that `hwbench profile` wrote"):
        run(
            "search", "--table", other, "--limit", "1s", "--space", SPACE.name, "--verify", 1, "-o", tmp_path / "p.json"
        )
    matrix.save(small_matrix(), other)
    with pytest.raises(UsageError, match="has 2 targets"):
        run("search", "--table", other, "--limit", "1s")
    with pytest.raises(DataError, match="no target 'c'"):
        run("search", "--table", f"{other}:c", "--limit", "1s")
    with pytest.raises(MissingRows, match="lacks"):
        run("search", "--table", f"{other}:b", "--limit", "1s")
    with pytest.raises(UsageError, match="between 50 and 100"):
        run("search", "--table", tables[0], "--limit", "1s", "--confidence", 20)


@given(st.floats(0.001, 9e9), st.sampled_from(["us", "µs", "ms", "s", " ms"]))
def test_amounts_of_time_have_units(amount: float, unit: str) -> None:
    written = f"{amount:.6f}"
    found = limits.parse(f"my table.json={written}{unit}")
    factor = {"us": 1, "µs": 1, "ms": 1e3, "s": 1e6}[unit.strip()]
    assert found == limits.Wanted("my table.json", pytest.approx(float(written) * factor))


@pytest.mark.parametrize(
    "wrong", ["60", "ms", "-5ms", "0ms", "60 seconds", "macs=3ms", "macs=-1", "1e3ms", "=", "nanms", "a="]
)
def test_amounts_without_sense_are_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        limits.parse(wrong)
    assert limits.parse("macs=1.5G") == limits.Wanted("macs", 1.5e9)
    assert limits.parse("parameters=400") == limits.Wanted("parameters", 400.0)


def test_scores_from_every_kind_of_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.uniform(-3, 0, count) for count in SPACE.choice_counts]
    by_label = {
        choice.name: dict(zip(choice.labels, row.tolist(), strict=True))
        for choice, row in zip(SPACE.choices, rows, strict=True)
    }
    as_json, as_csv, outcome = (tmp_path / name for name in ("s.json", "s.csv", "outcome.json"))
    as_json.write_text(json.dumps(by_label))
    with as_csv.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["position", "choice", "score"])
        writer.writerows(
            (position, label, score) for position, labels in by_label.items() for label, score in labels.items()
        )
    content = {"space": SPACE.name, "settings": {}, "log_probabilities": [row.tolist() for row in rows], "progress": []}
    files.save(outcome, "outcome", 1, content)
    archs = SPACE.sample(20, 0)
    expected = np.sum([row[archs[:, place]] for place, row in enumerate(rows)], axis=0)
    for path in (as_json, as_csv, outcome):
        assert score_files.read(path, SPACE).of(archs) == pytest.approx(expected)
    files.save(outcome, "outcome", 1, content | {"space": "fbnet"})
    with pytest.raises(Incomparable, match="not for"):
        score_files.read(outcome, SPACE)
    lines = as_csv.read_text().splitlines()
    for broken, message in (
        ("\n".join(lines[:-1]), "lacks 1 scores"),
        ("\n".join([*lines, lines[-1]]), "repeats"),
        ("\n".join(["position,choice,value", *lines[1:]]), "lacks a column"),
        ("\n".join([lines[0], "stage1.0,k3e3"]), "does not hold scores"),
        ("\n".join([lines[0], "stage1.0,k3e3,much"]), "does not hold scores"),
    ):
        as_csv.write_text(broken)
        with pytest.raises(DataError, match=message):
            score_files.read(as_csv, SPACE)
    for broken in ("[]", "{", '{"stage1.0": {"k3e3": "1"}}', "[" * 100_000, '{"stage1.0": 3}'):
        as_json.write_text(broken)
        with pytest.raises(DataError):
            score_files.read(as_json, SPACE)


@given(st.integers(0, 10_000), st.integers(0, 7), st.integers(0, 2**31))
def test_a_damaged_architecture_file_is_found(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("a") / "a.json"
    arch = SPACE.sample(1, seed)
    architecture_file.save(SPACE, arch, path)
    assert architecture_file.read(SPACE, str(path)).tolist() == arch.tolist()
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(CorruptFile):
        architecture_file.read(SPACE, str(path))


def test_an_architecture_file_belongs_to_its_space(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    architecture_file.save(SPACE, SPACE.sample(1, 0), path)
    with pytest.raises(Incomparable, match="not of fbnet"):
        architecture_file.read(spaces.get("fbnet"), str(path))
    with pytest.raises(DataError, match="cannot be read"):
        architecture_file.read(SPACE, str(tmp_path / "none.json"))
    for choices, labels in (([0, 1], ["a", "b"]), ([300] * 21, [""] * 21), ([0] * 21, ["k7e6"] * 21)):
        files.save(path, architecture_file.KIND, 1, {"space": SPACE.name, "choices": choices, "labels": labels})
        with pytest.raises(CorruptFile, match=r"a\.json"):
            architecture_file.read(SPACE, str(path))


def table_of(path: Path) -> ImportedTable:
    found = formats.read(path)
    assert isinstance(found, ImportedTable)
    return found


def test_the_pixel_1_space_reaches_from_29_6_to_191_ms(published: Path) -> None:
    space = spaces.get("proxylessnas")
    table = table_of(published / "luts/han-cai_files/proxylessnas/mobile_trim.yaml")
    latency = Latency(ImportedSource(table, space))
    assert smallest(space, latency)[1] / 1e3 == pytest.approx(29.6, abs=0.05)
    assert latency.of(best(space, latency, []))[0] / 1e3 == pytest.approx(191.0, abs=0.05)
    front = front_of(space, Count(space, "macs"), latency)
    costs, scores = latency.of(front), Count(space, "macs").of(front)
    assert (np.diff(costs) > 0).all()
    assert (np.diff(scores) > 0).all()
    for limit in (90e3, 110e3, 150e3):
        (found,) = best(space, Count(space, "macs"), [Limit(latency, limit)])
        assert space.macs(found) == scores[costs <= limit].max()
        random = space.sample(5000, 0)
        assert space.macs(found) >= Count(space, "macs").of(random)[latency.of(random) <= limit].max()


def test_the_published_30_ms_network_is_within_reach_of_the_exact_search(published: Path) -> None:
    space = spaces.get("ofa-w1.2-r224-c1000")
    folder = published / "luts/han-cai_files/ofa"
    latency = Latency(ImportedSource(table_of(folder / "note10/224_lookup_table.yaml"), space))
    (config,) = folder.rglob("note10_lat-30ms*/net.config")
    network = net_config.read(Document.open(config))
    rows = {row.key: row.value for row in latency.source.table.rows}  # type: ignore[attr-defined]
    taken = sum(rows[named.block.key] for named in network)
    assert taken / 1e3 == pytest.approx(29.97, abs=0.005)
    (found,) = best(space, Count(space, "macs"), [Limit(latency, taken)])
    assert latency.of(found)[0] <= taken * (1 + 1e-12)
    assert space.macs(found) >= sum(macs(named.block) for named in network)
    lowest = smallest(space, latency)[1]
    with pytest.raises(LimitUnreachable, match=f"{lowest / 1e3:.4g} ms"):
        best(space, Count(space, "macs"), [Limit(latency, 0.99 * lowest)])


@pytest.mark.parametrize(("target", "size"), [("pixel3", 35), ("raspi4", 40), ("fpga", 15), ("1080ti_1", 37)])
def test_fronts_of_nas_bench_201_have_the_published_sizes(published: Path, target: str, size: int) -> None:
    space = spaces.get("nasbench201")
    found = formats.read(published / "help" / "data" / "nasbench201")
    assert isinstance(found, LatencyMatrix)
    with (published / "nb201" / "accuracy.csv").open() as file:
        by_index = {int(row["index"]): float(row["e200_cifar100_test"]) for row in csv.DictReader(file)}
    known = np.empty(space.size)
    known[space.places(in_index_order())] = [by_index[index] for index in range(space.size)]  # type: ignore[attr-defined]
    accuracy = Function(lambda archs: known[space.places(archs)], "accuracy")  # type: ignore[attr-defined]
    latency = Latency(ColumnSource(found, target), target)
    front = front_of(space, accuracy, latency)
    assert len(front) == size
    middle = float(np.median(latency.of(in_index_order())))
    (best_one,) = best(space, accuracy, [Limit(latency, middle)])
    assert accuracy.of([best_one])[0] == accuracy.of(front)[latency.of(front) <= middle].max()
