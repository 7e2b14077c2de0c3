"""Bundles: made twice they are the same; found, checked, and used by this computer when they are there."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import msgspec
import pytest

from hwbench.devices import LocalDevice, bundle, bundle_store, engine_wheels, local_runner
from hwbench.devices.bundle import SANITIZED, TARGETS
from hwbench.devices.bundle_ndk import build_with_ndk
from hwbench.errors import CorruptFile, DeviceError, UsageError
from tests.conftest import TEST_CACHE, TINY, Hwbench
from tests.integration.bundles import built, own_cache

LOCAL = "linux-x86_64"


@pytest.fixture
def _shared_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache in which the tests' bundles lie; commands that the test starts see it too."""
    built(LOCAL)
    monkeypatch.setenv("XDG_CACHE_HOME", str(TEST_CACHE))


@pytest.mark.parametrize("name", ["linux-x86_64", "android-arm64"])
def test_two_builds_give_identical_archives(name: str, tmp_path: Path) -> None:
    first = built(name)
    with own_cache():
        core = bundle_store.keep_core(TARGETS[name], tmp_path / "core")
        engines = engine_wheels.available(TARGETS[name].machine)
        # Built anew, it is the bundle that is there already.
        assert bundle_store.assemble(core, engines).folder == first.folder
    bundle.archive(first, tmp_path / "a.tar.gz")
    bundle.archive(first, tmp_path / "b.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        members = {Path(member.name).name: member for member in tar.getmembers()}
    assert members["hwbench-runner"].mode == 0o755
    assert members["libLiteRt.so"].mode == 0o644


def test_a_bundle_says_where_everything_is_from() -> None:
    found = built("android-arm64")
    bundle.verify(found)
    names = {file.path for file in found.manifest.files}
    assert names >= {"hwbench-runner", "libLiteRt.so", "libexecutorch.so", "ld-linux-aarch64.so.1", "libc.so.6"}
    origins = {file.origin for file in found.manifest.files} - {"hwbench"}
    licences = {name.removeprefix("licences/").removesuffix(".txt") for name in names if name.startswith("licences/")}
    assert {origin.split()[0] for origin in origins} <= licences
    assert all((found.folder / "licences" / f"{name}.txt").stat().st_size > 20 for name in licences)
    assert {name: engine.version for name, engine in found.manifest.engines.items()} == {
        "litert": "2.3.0", "executorch": "1.5.1",
    }  # fmt: skip


def test_a_changed_file_is_found(tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(built(LOCAL).folder, copy)
    with (copy / "libm.so.6").open("r+b") as file:
        file.seek(1000)
        file.write(b"?")
    with pytest.raises(CorruptFile, match=r"libm\.so\.6 is not as manifest\.json says"):
        bundle.verify(bundle.load(copy))


@pytest.mark.usefixtures("_shared_cache")
def test_the_list_names_what_is_ready(hwbench: Hwbench) -> None:
    states = {s["target"]: s for s in json.loads(hwbench("runner", "list", "--json").stdout)["bundles"]}
    assert set(states) == set(TARGETS)
    assert states[LOCAL]["state"] == "ready"
    assert states[LOCAL]["engines"] == ["ai-edge-litert 2.3.0", "executorch 1.5.1"]
    assert LOCAL in hwbench("runner", "list").stdout
    assert "native-1" in hwbench("doctor").stdout


def test_without_a_bundle_one_sentence_names_the_command(hwbench: Hwbench) -> None:
    states = json.loads(hwbench("runner", "list", "--json").stdout)["bundles"]
    assert {state["state"] for state in states} == {"not built"}
    with pytest.raises(DeviceError, match=r"Run `hwbench runner build --target linux-arm64`"):
        bundle_store.require(TARGETS["linux-arm64"])
    done = hwbench("runner", "build", "--target", "android-riscv")
    assert done.returncode == 2
    assert "linux-x86_64, android-arm64, linux-arm64" in done.stderr


@pytest.mark.usefixtures("_shared_cache")
def test_fetch_and_build_commands(hwbench: Hwbench, tmp_path: Path) -> None:
    fetched = json.loads(hwbench("runner", "fetch", "--target", LOCAL, "--json").stdout)
    assert Path(fetched["folder"]) == built(LOCAL).folder
    done = hwbench("runner", "build", "--target", LOCAL, "-o", str(tmp_path / "x.tar.gz"), "--json", timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["manifest"]["target"] == LOCAL
    assert tarfile.is_tarfile(tmp_path / "x.tar.gz")


def test_a_compiler_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match=r"aarch64-linux-gnu-g\+\+ not found.*apt-get install"):
        bundle_store.build(TARGETS["linux-arm64"])


def test_a_wheel_that_cannot_be_fetched_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    (wheel, *_) = engine_wheels.wheels_for("aarch64")
    with pytest.raises(DeviceError, match=r"ai-edge-litert 2\.3\.0 for aarch64 cannot be fetched"):
        engine_wheels.fetch(wheel)


def test_a_wheel_with_other_bytes_is_not_taken(tmp_path: Path) -> None:
    wheel = engine_wheels.wheels_for("aarch64")[0]
    folder = engine_wheels.cache_folder() / "engines"
    folder.mkdir(parents=True)
    (folder / "ai_edge_litert-2.3.0-cp311-cp311-manylinux_2_27_aarch64.whl").write_bytes(b"PK")
    assert engine_wheels.fetched(wheel) is None


def test_an_ndk_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no Android NDK"):
        build_with_ndk(TARGETS["android-arm64"], tmp_path, None)
    with pytest.raises(UsageError, match="builds for android-arm64"):
        build_with_ndk(TARGETS["linux-arm64"], tmp_path, None)
    toolchain = tmp_path / "build" / "cmake" / "android.toolchain.cmake"
    toolchain.parent.mkdir(parents=True)
    toolchain.touch()
    with pytest.raises(UsageError, match="--ndk needs --engines"):
        build_with_ndk(TARGETS["android-arm64"], tmp_path, None)


def test_an_ndk_build_takes_the_users_engines(tmp_path: Path) -> None:
    """The path of an NDK build with this machine's compiler in its place: no NDK can be had here."""
    toolchain = tmp_path / "ndk" / "build" / "cmake" / "android.toolchain.cmake"
    toolchain.parent.mkdir(parents=True)
    toolchain.write_text("")
    engines = tmp_path / "engines"
    engines.mkdir()
    shutil.copy(built(LOCAL).folder / "libLiteRt.so", engines)
    found = build_with_ndk(TARGETS["android-arm64"], tmp_path / "ndk", engines)
    assert list(found.manifest.engines) == ["litert"]
    report = local_runner.selftest(local_runner.of_bundle(found))
    assert "first_ns" in report.engines["litert"]
    assert report.engines["executorch"]["error"] == "not in this bundle"


@pytest.mark.usefixtures("_shared_cache")
def test_this_computer_uses_its_bundle(hwbench: Hwbench, tmp_path: Path) -> None:
    device = LocalDevice()
    assert (device.runner, device.runner_title) == ("native-1", "the native runner")
    done = hwbench("profile", "--space", TINY, "-o", "tiny.json", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["target"]["runner"] == "native-1"
    assert document["measured"] == document["rows"]
    # The Python runner is another target.
    done = hwbench("table", "verify", "tiny.json", "--networks", "3", "--json")
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("_shared_cache")
def test_executorch_makes_a_table_and_a_profile(hwbench: Hwbench, tmp_path: Path) -> None:
    done = hwbench("profile", "--space", TINY, "--engine", "executorch", "-o", "tiny.json", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["target"]["engine"]["package"] == "executorch"
    assert document["measured"] == document["rows"]
    shutil.copy(built(LOCAL).folder / "selftest.pte", tmp_path / "model.pte")
    done = hwbench("profile", "model.pte", "--json")
    assert done.returncode == 0, done.stderr
    (model,) = json.loads(done.stdout)["models"]
    assert model["delegated_share"] == 1.0
    assert [op["delegated"] for op in model["ops"]] == [True]


def test_the_sanitized_runner_is_never_offered() -> None:
    assert SANITIZED.name not in TARGETS
    manifest = built(SANITIZED.name).manifest
    assert msgspec.json.decode(msgspec.json.encode(manifest.entry)) == ["{folder}/hwbench-runner"]
