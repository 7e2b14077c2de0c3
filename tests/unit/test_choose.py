"""`hwbench proxy`: files of a pool and of a target in, proxies, telling architectures and covers out."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

import hwbench
from hwbench.errors import DataError, Incomparable, UsageError
from hwbench.spaces import architecture_file, nasbench201
from hwbench.spaces import get as get_space
from hwbench.spaces.encodings import one_hot
from hwbench.tables import imported, lookup, matrix
from hwbench.tables.lookup import Row
from hwbench.tables.matrix import Column, LatencyMatrix
from hwbench.workflows import verify as verifying
from tests.adaptations import WeighingDevice, weighed_pool
from tests.conftest import TINY, Hwbench
from tests.table_files import block_table
from tests.unit.test_tables import SPACE, make_table, measurement

ARCHS = nasbench201.in_index_order()[::10][:800]
SMALL = "proxylessnas-w0.25-r32-c10"


def latencies(kind: int, noise: float = 0.02, seed: int = 0) -> np.ndarray:
    """Sums of operators' latencies; targets of one kind differ by noise, kinds by operators."""
    rng = np.random.default_rng([kind, seed])
    costs = np.tile([10, 30, 300, 900, 200], 6) * np.exp(0.9 * np.random.default_rng(kind).standard_normal(30))
    found = (500 + one_hot(get_space(nasbench201.DEFAULT), ARCHS) @ costs) * np.exp(noise * rng.standard_normal(800))
    return np.asarray(found, float)


def write(path: Path, columns: dict[str, np.ndarray], rows: slice = slice(None)) -> Path:
    archs = tuple(tuple(row) for row in ARCHS[rows].tolist())
    made = tuple(Column(name, tuple(values[rows].tolist())) for name, values in columns.items())
    matrix.save(LatencyMatrix(nasbench201.DEFAULT, "latency_us", archs, made), path)
    return path


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Two targets of kind 1, two of kind 2, one of kind 3, and a column that stands twice."""
    columns = {f"k{kind}-{n}": latencies(kind, seed=n) for kind, n in ((1, 0), (1, 1), (2, 0), (2, 1), (3, 0))}
    twin = latencies(4)
    return write(tmp_path / "pool.json", columns | {"x": twin, "y": twin})


def test_the_proxy_of_the_targets_kind_is_chosen(pool: Path, tmp_path: Path) -> None:
    telling = hwbench.telling_architectures([pool], 12)
    places = [ARCHS.tolist().index(list(one)) for one in telling.architectures]
    target = tmp_path / "target.json"
    archs = telling.architectures
    values = 3 * latencies(2, seed=7)[places]
    matrix.save(
        LatencyMatrix(nasbench201.DEFAULT, "latency_us", archs, (Column("new", tuple(values.tolist())),)), target
    )
    found = hwbench.choose_proxy([pool], target)
    assert found.candidates[0].proxy in ("k2-0", "k2-1")
    assert found.measured == 12
    assert {one.proxy for one in found.candidates} == {"k1-0", "k1-1", "k2-0", "k2-1", "k3-0"}
    assert {one.target for one in found.flaws} == {"x", "y"}
    assert found.exit_code == {"yes": 0, "no": 1, "too few": 2}[found.answer]
    (truth,) = [one for one in found.candidates if one.proxy == "k3-0"]
    assert truth.probability < 0.1


def test_networks_that_the_pool_does_not_know_are_counted(pool: Path, tmp_path: Path) -> None:
    archs = np.vstack([ARCHS[:9], nasbench201.in_index_order()[1:4]])
    values = [*latencies(1, seed=5)[:9].tolist(), 5.0, 6.0, 7.0]
    made = LatencyMatrix(
        nasbench201.DEFAULT, "latency_us", tuple(map(tuple, archs.tolist())), (Column("t", tuple(values)),)
    )
    matrix.save(made, tmp_path / "t.json")
    found = hwbench.choose_proxy([pool], tmp_path / "t.json")
    assert (found.measured, found.unknown) == (9, 3)
    few = LatencyMatrix(nasbench201.DEFAULT, "latency_us", made.architectures[8:], (Column("t", tuple(values[8:])),))
    matrix.save(few, tmp_path / "few.json")
    with pytest.raises(DataError, match=r"few\.json has 1 networks that the pool knows"):
        hwbench.choose_proxy([pool], tmp_path / "few.json")


def test_tables_are_a_pool_and_a_target(tmp_path: Path) -> None:
    paths = []
    for seed in range(3):
        paths.append(tmp_path / f"{seed}.json")
        imported.save(msgspec.structs.replace(block_table(SMALL, seed), target=f"t{seed}"), paths[-1])
    target = tmp_path / "target.json"
    table = block_table(SMALL, 1)
    rows = tuple(msgspec.structs.replace(row, value=2 * row.value) for row in table.rows)
    imported.save(msgspec.structs.replace(table, rows=rows), target)
    found = hwbench.choose_proxy(paths, target, networks=300)
    assert found.candidates[0].proxy == "t1"
    assert found.answer == "yes"
    with pytest.raises(UsageError, match="in the pool"):
        hwbench.choose_proxy(paths, paths[0])


def test_a_verification_is_a_target_and_an_emulated_one_is_not(tmp_path: Path) -> None:
    paths = []
    for seed in range(2):
        paths.append(tmp_path / f"{seed}.json")
        lookup.save(make_table(seed), paths[-1])
    archs = SPACE.sample(8, 3)
    values = np.random.default_rng(0).uniform(100, 900, 8)

    def write_verification(flags: tuple[str, ...]) -> Path:
        networks = tuple(
            verifying.Verified(tuple(arch.tolist()), 1.0, float(value), float(value), float(value), flags)
            for arch, value in zip(archs, values, strict=True)
        )
        found = verifying.Verification("t", verifying.additivity_of(values, values, 0), networks, (), 1.0)
        verifying.files.save(tmp_path / "v.json", verifying.KIND, verifying.VERSION, found)
        return tmp_path / "v.json"

    found = hwbench.choose_proxy(paths, write_verification(()), networks=100)
    assert (found.measured, found.unknown) == (8, 0)
    with pytest.raises(Incomparable, match=r"v\.json was measured on an emulated device"):
        hwbench.choose_proxy(paths, write_verification(("emulated",)), networks=100)
    rows = tuple(
        Row(key, msgspec.structs.replace(measurement(row.value_us, 0.1), flags=("emulated",)))
        for key, row in make_table(0).measurements().items()
    )
    lookup.save(msgspec.structs.replace(make_table(0), rows=rows), tmp_path / "emulated.json")
    with pytest.raises(Incomparable, match="emulated"):
        hwbench.cover_fleet([*paths, tmp_path / "emulated.json"], networks=100)


def test_what_cannot_be_used_is_refused(pool: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    imported.save(block_table(SMALL), table)
    with pytest.raises(Incomparable, match="not of"):
        hwbench.cover_fleet([pool, table])
    twins = write(tmp_path / "twins.json", {"x": latencies(1), "y": latencies(1)})
    with pytest.raises(DataError, match="Every target of the pool is flawed: columns x and y are identical"):
        hwbench.cover_fleet([twins])
    with pytest.raises(UsageError, match="one target alone"):
        hwbench.cover_fleet([write(tmp_path / "one.json", {"x": latencies(1)})])
    with pytest.raises(DataError, match="not a matrix of latencies of one target"):
        hwbench.choose_proxy([pool], twins)
    (tmp_path / "text.json").write_text("{}")
    with pytest.raises(DataError, match="holds no whole networks"):
        hwbench.choose_proxy([pool], tmp_path / "text.json")
    with pytest.raises(UsageError, match="fewer than 900"):
        hwbench.telling_architectures([pool], 900)
    energy = tmp_path / "mj.json"
    imported.save(msgspec.structs.replace(block_table(SMALL), metric="energy_mj"), energy)
    with pytest.raises(DataError, match="holds energy_mj"):
        hwbench.cover_fleet([table, energy])


def test_a_fleet_is_covered_by_one_proxy_of_each_kind(pool: Path) -> None:
    found = hwbench.cover_fleet([pool])
    assert len(found.proxies) == 3
    assert found.alone == ("k3-0",)
    assert {one.target: one.proxy[:2] for one in found.served} == {
        "k1-0": "k1", "k1-1": "k1", "k2-0": "k2", "k2-1": "k2", "k3-0": "k3",
    }  # fmt: skip
    for one in found.served:
        assert (one.lower is None) == (one.target == one.proxy)
        assert one.spearman >= 0.9


def test_telling_architectures_become_files_that_are_not_replaced(pool: Path, tmp_path: Path) -> None:
    found = hwbench.telling_architectures([pool], 6, output=tmp_path / "picks")
    space = get_space(nasbench201.DEFAULT)
    read = [architecture_file.read(space, str(path))[0].tolist() for path in found.paths]
    assert read == [list(one) for one in found.architectures]
    with pytest.raises(UsageError, match="exists already"):
        hwbench.telling_architectures([pool], 6, output=tmp_path / "picks")
    hwbench.telling_architectures([pool], 6, output=tmp_path / "picks", overwrite=True)


def test_the_command_answers_in_one_document_and_by_its_exit_code(hwbench: Hwbench, pool: Path, tmp_path: Path) -> None:
    near = write(tmp_path / "near.json", {"new": latencies(1, seed=9)}, slice(0, 800, 20))
    done = hwbench("proxy", pool, "--target", near, "--json")
    document = json.loads(done.stdout)
    assert done.returncode == {"yes": 0, "no": 1, "too few": 2}[document["answer"]]
    assert document["answer"] == "yes"
    assert document["candidates"][0]["proxy"].startswith("k1")
    far = write(tmp_path / "far.json", {"new": np.random.default_rng(0).permutation(latencies(1))}, slice(0, 800, 20))
    shown = hwbench("proxy", pool, "--target", far)
    assert shown.returncode == 1
    assert "none serves" in shown.stdout
    assert "left out: columns x and y are identical" in shown.stdout
    cover = hwbench("proxy", pool, "--cover")
    assert "alone, like no other: k3-0" in cover.stdout
    listed = json.loads(hwbench("proxy", pool, "--count", "7", "--output", "picks", "--json").stdout)
    assert len(listed["architectures"]) == len(list((tmp_path / "picks").iterdir())) == 7
    for wrong in ([], ["--cover", "--count", "7"], ["--device", "local", "--cover"]):
        assert hwbench("proxy", pool, *wrong).returncode == 2


def test_without_files_the_pool_that_comes_with_hwbench_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for threads in (1, 2, 4):
        table = make_table(threads)
        table = msgspec.structs.replace(table, target=msgspec.structs.replace(table.target, threads=threads))
        path = tmp_path / "pool" / "device" / lookup.default_name(table.space, table.target)
        path.parent.mkdir(parents=True, exist_ok=True)
        lookup.save(table, path)
    monkeypatch.setenv("HWBENCH_POOL", str(tmp_path / "pool"))
    whole = hwbench.cover_fleet([], space_name=table.space)
    assert len(whole.served) == 3
    chosen = hwbench.choose_proxy([], Path(path.stem), space_name=table.space)
    assert len(chosen.candidates) == 2
    assert chosen.target == path


def test_what_an_adaptation_measured_is_a_target(pool: Path, tmp_path: Path) -> None:
    known = weighed_pool(tmp_path)
    adapted = hwbench.adapt(known, device=WeighingDevice(), output=tmp_path / "p.json")
    found = hwbench.choose_proxy(known, adapted.path, networks=300)
    assert (found.measured, found.unknown) == (13, 0)
    assert found.candidates[0].expected > 0.8
    with pytest.raises(Incomparable, match=rf"p\.json holds networks of {TINY}, not of nasbench201"):
        hwbench.choose_proxy([pool], adapted.path)
