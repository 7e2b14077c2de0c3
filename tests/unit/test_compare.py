"""`hwbench compare`: tables and matrices in, verdicts, clusters and breaking operators out."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hwbench import spaces
from hwbench.errors import DataError, Incomparable, UsageError
from hwbench.measure.statistics import spearman
from hwbench.spaces import nasbench201
from hwbench.tables import imported, lookup, matrix, opening
from hwbench.tables.imported import ImportedTable
from hwbench.tables.lookup import LaunchRecord, Row
from hwbench.tables.matrix import Column, LatencyMatrix
from hwbench.workflows.comparing.compare import compare
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


def measured(
    path: Path,
    half_width: float,
    flags: tuple[str, ...] = (),
    seed: int = 0,
    launches: tuple[int, ...] = (),
    threads: int = 1,
) -> Path:
    """A measured table of random values whose rows are known to `half_width`; `launches` by when they began."""
    table = make_table(seed)
    values = {key: measurement(found.value_us, half_width) for key, found in table.measurements().items()}
    rows = tuple(Row(key, msgspec.structs.replace(found, flags=flags)) for key, found in values.items())
    records = tuple(LaunchRecord(number, begin, (0,), True, 0.0) for number, begin in enumerate(launches))
    target = msgspec.structs.replace(table.target, threads=threads)
    lookup.save(msgspec.structs.replace(table, rows=rows, target=target, launches=records), path)
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
    assert "MBConv 7x7, expand" in shown.stdout
    assert hwbench("compare", tables[0]).returncode == 2


def test_two_runs_of_one_target_are_one_and_measure_its_ceiling(tmp_path: Path) -> None:
    runs = [measured(tmp_path / f"run{n}.json", 0.03, seed=n, launches=(n,)) for n in range(2)]
    other = measured(tmp_path / "other.json", 0.03, seed=0, launches=(2,), threads=2)
    found = compare([*runs, other], networks=200)
    assert found.targets == ("litert xnnpack fp32 b1 t1", "litert xnnpack fp32 b1 t2")
    assert found.measured_twice == {"litert xnnpack fp32 b1 t1"}
    assert found.sources[0].files == ("run0.json", "run1.json")
    assert "measured 2 times" in found.notes[0]
    archs = SPACE.sample(200, 0)
    sums = [opening.source_of(lookup.load(path), SPACE).predict(archs).mean_us for path in [*runs, other]]
    assert found.ceilings["litert xnnpack fp32 b1 t1"] == pytest.approx(spearman(sums[0], sums[1]))
    estimated = found.ceilings["litert xnnpack fp32 b1 t2"]
    assert estimated is not None
    assert estimated > 0.9
    (pair,) = found.pairs
    assert pair.agreement.estimate == pytest.approx(spearman(sums[0] + sums[1], sums[2]), abs=0.05)
    alone = compare(runs, networks=200)
    assert alone.pairs == ()
    assert alone.ceilings == {found.targets[0]: found.ceilings[found.targets[0]]}
    assert alone.exit_code == 0


def test_a_copy_of_a_run_is_no_second_run(tmp_path: Path) -> None:
    paths = [measured(tmp_path / f"{name}.json", 0.03, launches=(1, 2)) for name in ("one", "copy")]
    found = compare(paths, networks=50)
    assert found.targets == ("one", "copy")
    assert found.measured_twice == frozenset()


def test_a_second_run_is_of_the_same_engine_and_threads(tmp_path: Path) -> None:
    first = measured(tmp_path / "first.json", 0.03, launches=(1,))
    table = msgspec.structs.replace(lookup.load(first), launches=(LaunchRecord(0, 9, (0,), True, 0.0),))
    engine = msgspec.structs.replace(table.target.engine, version="9.9")
    target = msgspec.structs.replace(table.target, engine=engine)
    lookup.save(msgspec.structs.replace(table, target=target), tmp_path / "newer.json")
    found = compare([first, tmp_path / "newer.json"], networks=50)
    assert [one.split(" b1 t1 ")[1].split()[0] for one in found.targets] == ["2.3.0", "9.9"]


def test_the_same_networks_are_compared_at_two_resolutions(tmp_path: Path, tables: list[Path]) -> None:
    larger = spaces.get("proxylessnas-w0.25-r64-c10")
    first = imported.load(tables[0])
    values = [first.values()[block.key].value for block in spaces.get(SMALL).distinct_blocks]
    rows = tuple(
        msgspec.structs.replace(first.rows[0], key=block.key, value=4 * value * (12 if "kernel:7" in block.key else 1))
        for block, value in zip(larger.distinct_blocks, values, strict=True)
    )
    other = write(tmp_path / "larger.json", msgspec.structs.replace(first, space=larger.name, rows=rows))
    found = compare([tables[0], other], networks=300)
    assert found.targets == ("phone r32", "phone r64")
    assert [one.space for one in found.sources] == [SMALL, larger.name]
    assert SMALL in found.notes[0]
    assert larger.name in found.notes[0]
    (pair,) = found.pairs
    assert (pair.verdict.answer, pair.operators[0].kernel) == ("no", 7)
    ofa = write(tmp_path / "ofa.json", block_table("ofa-w1.0-r64-c10"))
    with pytest.raises(Incomparable, match="2 spaces"):
        compare([tables[0], ofa])


def test_breaking_operators_are_named_in_words(tables: list[Path]) -> None:
    (pair,) = compare([tables[0], tables[2]], networks=300).pairs
    worst = pair.operators[0]
    assert (worst.text, worst.share > 0.5, worst.b_share > 2 * worst.a_share) == ("MBConv 7x7", True, True)
    block = pair.breakers[0]
    known = imported.load(tables[0]).values()
    assert (block.block.operator, block.block.kernel, block.a_us) == ("MBConv", 7, known[block.key].value)
    assert block.block.expand in (3.0, 6.0)
    assert block.b_us == pytest.approx(6 * block.a_us)
    assert block.factor < 1
    positions = {choice.name: choice for choice in spaces.get(SMALL).choices}
    assert block.places
    assert all(f"k7e{block.block.expand:g}" in positions[place].labels for place in block.places)


def test_columns_without_an_order_are_left_out(tmp_path: Path) -> None:
    found = compare([cells(tmp_path / "m.json", {"a": 1.0, "flat": 0.0, "b": 2.0})])
    assert found.targets == ("a", "b")
    assert found.notes == ("flat has one value everywhere and is left out.",)
    assert [flaw.target for flaw in found.flaws if flaw.kind == "constant"] == ["flat"]


def test_five_architectures_are_too_few_and_not_nothing(tmp_path: Path) -> None:
    (pair,) = compare([cells(tmp_path / "m.json", {"a": 1.0, "b": -1.0})], networks=5).pairs
    assert np.isfinite([pair.agreement.lower, pair.agreement.upper]).all()


def test_nothing_given_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to compare"):
        compare([])
    with pytest.raises(DataError, match="is no file, and the pool has no table"):
        compare([tmp_path / "missing.json"])


def test_shares_of_operators_and_factors_of_blocks_are_those_of_a_plain_sum(tables: list[Path]) -> None:
    (pair,) = compare([tables[0], tables[2]], networks=60).pairs
    space = spaces.get(SMALL)
    values = [{key: row.value for key, row in imported.load(path).values().items()} for path in (tables[0], tables[2])]
    networks = [[named.block.key for named in space.network(arch)] for arch in space.sample(60, 0)]
    means = [np.mean([sum(side[key] for key in network) for network in networks]) for side in values]

    def difference(network: list[str], only: str) -> float:
        return sum(values[0][key] / means[0] - values[1][key] / means[1] for key in network if only in key)

    whole, part = (np.array([difference(network, only) for network in networks]) for only in ("", "kernel:7"))
    assert pair.operators[0].share == pytest.approx(np.cov(part, whole)[0, 1] / np.var(whole, ddof=1))
    for block in pair.breakers:
        assert block.factor == pytest.approx(values[0][block.key] / means[0] / (values[1][block.key] / means[1]))


def test_a_space_is_named_for_files_that_name_none(tmp_path: Path, tables: list[Path]) -> None:
    nameless = [
        write(tmp_path / f"{n}.json", msgspec.structs.replace(block_table(SMALL, n), space=None, target=f"nameless{n}"))
        for n in range(2)
    ]
    with pytest.raises(Incomparable, match=r"0 spaces: none is named\. Add --space"):
        compare(nameless)
    assert compare(nameless, networks=50, space_name=SMALL).space == SMALL
    assert compare([nameless[0], tables[0]], networks=50).space == SMALL
    assert compare(tables[:2], networks=50, space_name="ofa").space == SMALL
