"""The pool: tables by name, near names for a wrong one, and `compare` over all of them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from hwbench import files, spaces
from hwbench.errors import CorruptFile, DataError
from hwbench.spaces import Space
from hwbench.tables import lookup, pool
from hwbench.tables.lookup import Additivity
from hwbench.workflows import verify
from hwbench.workflows.comparing.compare import compare
from hwbench.workflows.verify import Verification
from tests.conftest import ROOT, Hwbench
from tests.unit.test_tables import SPACE, make_table

SMALLER = spaces.get("proxylessnas-w1.0-r160-c1000")
ERROR = Additivity(10, 2, -0.01, 0.02, 0.01, 0.99, (0.9, 1.0), "now")


def put(folder: Path, engine: str, *, space: Space = SPACE, device: str = "box", seed: int = 0) -> Path:
    """A table in the pool, under the name that `profile` gives it."""
    table = make_table(seed, additivity=ERROR, space=space)
    named = msgspec.structs.replace(table.target.engine, name=engine)
    target = msgspec.structs.replace(table.target, device_id=device, engine=named)
    path = folder / device / lookup.default_name(space.name, target)
    lookup.save(msgspec.structs.replace(table, target=target), path)
    return path


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two targets at 224, one of them also at 160, and what else lies beside tables."""
    folder = tmp_path / "shelf"
    for path in (put(folder, "litert"), put(folder, "executorch", seed=1), put(folder, "litert", space=SMALLER)):
        networks = path.with_name(f"{path.stem}.networks.json")
        files.save(networks, verify.KIND, verify.VERSION, Verification(path.name, ERROR, (), (), 1.0))
    files.save(folder / "box" / "device.json", "device", 1, {})
    monkeypatch.setenv(pool.VARIABLE, str(folder))
    return folder


def test_tables_have_short_names_and_nothing_else_is_one(shelf: Path) -> None:
    assert list(pool.paths()) == [
        "proxylessnas-w1.0-r160-c1000--litert-xnnpack-fp32-t1",
        "executorch-xnnpack-fp32-t1",
        "litert-xnnpack-fp32-t1",
    ]
    assert pool.paths(shelf / "nowhere") == {}


def test_a_table_is_listed_with_its_target_and_error(shelf: Path) -> None:
    (one,) = pool.tables(space="proxylessnas", engine="litert")
    table = lookup.load(one.path)
    assert (one.name, one.space, one.target) == ("litert-xnnpack-fp32-t1", SPACE.name, table.target)
    assert (one.additivity, one.cpu_model, one.created_at) == (ERROR, table.device.cpu_model, table.created_at)
    assert len(pool.tables(device="box")) == 3
    assert pool.tables(device="other") == ()
    data = one.path.read_bytes()
    one.path.write_bytes(data[:-20] + data[-19:])
    with pytest.raises(CorruptFile, match=r"litert-xnnpack-fp32-b1-t1\.json"):
        pool.tables()


def test_names_files_and_paths_are_understood(shelf: Path, tmp_path: Path) -> None:
    path = pool.paths()["litert-xnnpack-fp32-t1"]
    for text in ("litert-xnnpack-fp32-t1", "box/litert-xnnpack-fp32-t1", path.stem, path.name, str(path), path):
        assert pool.resolve(text) == path
    with pytest.raises(DataError, match=r"litert-xnnpack-fp32-t2 is no file.* Near it are litert-xnnpack-fp32-t1"):
        pool.resolve("litert-xnnpack-fp32-t2")
    for hostile in ("x" * 5000, "../../etc/passwd\0", "*"):
        with pytest.raises(DataError, match="the pool has no table of that name"):
            pool.resolve(hostile)
    second = put(shelf, "litert", device="other")
    assert pool.resolve("other/litert-xnnpack-fp32-t1") == second
    with pytest.raises(DataError, match=r"2 tables of the pool.*box/litert-xnnpack-fp32-t1 or other/"):
        pool.resolve("litert-xnnpack-fp32-t1")


def test_all_tables_of_a_space_are_compared(shelf: Path) -> None:
    found = compare(pool=True, networks=50)
    assert found.targets == ("executorch xnnpack fp32 b1 t1", "litert xnnpack fp32 b1 t1")
    beside = compare(["litert-xnnpack-fp32-t1"], pool=True, networks=50)
    assert sorted(beside.targets) == sorted(found.targets)
    across = compare(["litert-xnnpack-fp32-t1", SMALLER.name + "--litert-xnnpack-fp32-t1"], networks=50)
    assert across.targets == ("litert xnnpack fp32 b1 t1 r224", "litert xnnpack fp32 b1 t1 r160")
    with pytest.raises(DataError, match="The pool has no table of fbnet"):
        compare(pool=True, space_name="fbnet")


def test_the_commands_know_the_pool(shelf: Path, hwbench: Hwbench) -> None:
    document = json.loads(hwbench("table", "pool", "--engine", "litert", "--json").stdout)
    assert document["folder"] == str(shelf)
    assert [one["name"] for one in document["tables"]] == [
        "proxylessnas-w1.0-r160-c1000--litert-xnnpack-fp32-t1",
        "litert-xnnpack-fp32-t1",
    ]
    shown = hwbench("table", "pool").stdout
    assert "executorch-xnnpack-fp32-t1" in shown
    assert "error 2.0 %, bias -1.0 % on 10 networks" in shown
    compared = hwbench("compare", "--pool", "--networks", "50", "--json")
    assert len(json.loads(compared.stdout)["targets"]) == 2, compared.stderr
    wrong = hwbench("compare", "--pool", "litert-xnnpack-int8-t1")
    assert (wrong.returncode, "Near it are litert-xnnpack-fp32-t1" in wrong.stderr) == (2, True)


def test_the_tables_of_this_checkout_can_be_listed() -> None:
    listed = pool.tables(where=ROOT / "lookup_tables")
    files_there = [path for path in (ROOT / "lookup_tables").rglob("*--*-t[0-9].json")]
    assert sorted(one.path for one in listed) == sorted(files_there)
    assert all(pool.resolve(one.name, ROOT / "lookup_tables") == one.path for one in listed)
