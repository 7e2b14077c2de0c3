"""Fixtures of all tests: a small space, a private cache, and a command line in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TFLITE_VENV = ROOT / ".venv-tflite"
# What takes long to make and never changes: exported models, fetched engines, compiled runners.
TEST_CACHE = ROOT / ".test-cache"
TINY = "proxylessnas-v8.8.8.16.32-r16-c4-d1.2-s2.2"

Hwbench = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_configure() -> None:
    """Ctrl-C is tested, also where a shell started the tests in the background, and so without it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes what hwbench remembers for the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session", autouse=True)
def _private_adb() -> Iterator[None]:
    """An adb server that a test starts, listens where no other does, and ends with the tests."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        yield
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as server:
        server.sendall(b"0009host:kill")
        server.recv(4)


@pytest.fixture
def hwbench(tmp_path: Path) -> Hwbench:
    """Runs `hwbench ...` in the test's folder and returns the finished process."""

    def run(*arguments: str | Path, timeout: float = 180, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hwbench", *map(str, arguments)],
            cwd=tmp_path, capture_output=True, text=True, timeout=timeout, check=False,
            env=os.environ | {"COLUMNS": "200"}, **options,  # type: ignore[call-overload]
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def tiny_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of the tiny space, measured once on this computer."""
    folder = tmp_path_factory.mktemp("tiny")
    path = folder / "tiny.json"
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "hwbench", "profile", "--space", TINY, "-o", str(path), "--json"]
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=180)
    return path


@pytest.fixture(scope="session")
def published() -> Path:
    """The folder of published data; without HWBENCH_DATA the test is skipped, or fails in CI."""
    folder = os.environ.get("HWBENCH_DATA")
    if not folder:
        message = "published data is not here: set HWBENCH_DATA to its folder"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return Path(folder)


@pytest.fixture(scope="session")
def tflite_python() -> Path:
    python = TFLITE_VENV / "bin" / "python"
    if not (TFLITE_VENV / ".complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(TFLITE_VENV)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "tflite-runtime==2.14.0", "numpy<2"]
        subprocess.run(install, check=True)
        (TFLITE_VENV / ".complete").touch()
    return python
