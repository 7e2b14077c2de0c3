"""Own files: what is written comes back, any damage is found, a later schema is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwbench import files
from hwbench.errors import CorruptFile, DataError, DeviceError, SchemaTooNew


class Content(msgspec.Struct, frozen=True):
    name: str
    numbers: tuple[float, ...]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "file.json"
    files.save(path, "thing", 2, Content("µs", (1.5, 2.5)))
    return path


def test_round_trip_leaves_no_temporary_file(saved: Path) -> None:
    assert files.load(saved, "thing", 2, Content) == Content("µs", (1.5, 2.5))
    assert [path.name for path in saved.parent.iterdir()] == ["file.json"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.data())
def test_any_flipped_bit_is_found(saved: Path, data: st.DataObject) -> None:
    whole = bytearray(saved.read_bytes())
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    other = saved.with_name("damaged.json")
    other.write_bytes(damaged)
    with pytest.raises((CorruptFile, SchemaTooNew), match=r"damaged\.json"):
        files.load(other, "thing", 2, Content)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 80))
def test_a_truncated_file_is_found(saved: Path, length: int) -> None:
    other = saved.with_name("short.json")
    other.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(CorruptFile):
        files.load(other, "thing", 2, Content)


def test_a_newer_schema_is_refused(saved: Path) -> None:
    with pytest.raises(SchemaTooNew, match=r"hwbench\.thing/2; this hwbench reads up to 1.*Upgrade"):
        files.load(saved, "thing", 1, Content)


def test_an_older_schema_is_upgraded_step_by_step(saved: Path) -> None:
    class Later(msgspec.Struct, frozen=True):
        title: str
        numbers: tuple[float, ...]
        count: int

    upgrades = {
        2: lambda old: {"title": old["name"], "numbers": old["numbers"]},
        3: lambda old: old | {"count": len(old["numbers"])},
    }
    assert files.load(saved, "thing", 4, Later, upgrades) == Later("µs", (1.5, 2.5), 2)


def test_another_kind_and_a_missing_file_are_named(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CorruptFile, match="not a hwbench table"):
        files.load(saved, "table", 2, Content)
    with pytest.raises(DataError, match=r"nowhere.*No such file"):
        files.load(tmp_path / "nowhere", "table", 1, Content)


def test_a_failed_write_keeps_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DeviceError, match="No space left"):
        files.save(saved, "thing", 2, Content("new", ()))
    assert saved.read_bytes() == before
    assert len(list(saved.parent.iterdir())) == 1
