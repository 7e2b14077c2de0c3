"""A built wheel, installed into a new virtual environment away from the checkout, profiles this computer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hwbench.tables import pool
from tests.conftest import ROOT, TEST_CACHE, TINY
from tests.integration.bundles import built

CORES = ("linux-x86_64", "android-arm64")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment's folder: a wheel that carries native runners, as `make wheel` makes it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    leave = shutil.ignore_patterns("__pycache__", "_bundles")
    for name in ("host", "device_runtime", "android_harness", "lookup_tables"):
        shutil.copytree(ROOT / name, source / name, ignore=leave)
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, source)
    for name in CORES:
        built(name)
        core = TEST_CACHE / "hwbench" / "cores" / name
        shutil.copytree(core, source / "host" / "hwbench" / "_bundles" / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert names >= {"hwbench/_runtime/hwbench_runner.py", "hwbench/_runtime/cpp/CMakeLists.txt"}
    assert {f"hwbench/_harness/{script.name}" for script in (ROOT / "android_harness").glob("*.sh")} <= names
    assert not any(name.endswith(("libLiteRt.so", "libexecutorch.so")) for name in names)
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    return venv


def profile(venv: Path, folder: Path, *options: str) -> dict[str, object]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(venv / "bin" / "hwbench"), "profile", "--space", TINY, "--json", *options]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    assert document["measured"] == document["rows"]
    assert (folder / str(document["table"])).exists()
    return document


def test_an_installed_wheel_profiles_with_the_native_runner(installed: Path, tmp_path: Path) -> None:
    """The engine is the installed ai-edge-litert: nothing is fetched."""
    target = profile(installed, tmp_path)["target"]
    assert isinstance(target, dict)
    assert target["runner"] == "native-1"
    assert target["engine"]["version"] == "2.3.0"


def test_an_installed_wheel_has_the_python_runner_too(installed: Path, tmp_path: Path) -> None:
    target = profile(installed, tmp_path, "--python", str(installed / "bin" / "python"))["target"]
    assert isinstance(target, dict)
    assert target["runner"] == "python-1"


def test_an_installed_wheel_has_the_scripts_of_phones(installed: Path, tmp_path: Path) -> None:
    where = "from hwbench.devices.runner_files import harness_script; print(harness_script('{}').read_text(), end='')"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for script in (ROOT / "android_harness").glob("*.sh"):
        command = [str(installed / "bin" / "python"), "-c", where.format(script.name)]
        printed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert printed.stdout == script.read_text()


def test_an_installed_wheel_has_the_pool(installed: Path, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(installed / "bin" / "hwbench"), "table", "pool", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert Path(document["folder"]).is_relative_to(installed)
    assert (Path(document["folder"]) / "README.md").exists()
    assert [one["name"] for one in document["tables"]] == list(pool.paths(ROOT / "lookup_tables"))
    assert not list(Path(document["folder"]).rglob("*.samples.jsonl.gz"))
