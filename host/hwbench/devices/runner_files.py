"""Where the files lie that go to a device: in the wheel as package data, or in a checkout's folders."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hwbench.errors import DeviceError

_PACKAGE = Path(__file__).parent.parent
_CHECKOUT = _PACKAGE.parents[1] / "device_runtime"
_HARNESS_CHECKOUT = _PACKAGE.parents[1] / "android_harness"


def python_runner() -> Path:
    """Path of the Python runner. Raises DeviceError when the installation lacks it."""
    return _first("the Python runner", _PACKAGE / "_runtime" / "hwbench_runner.py",
                  _CHECKOUT / "python" / "hwbench_runner.py")  # fmt: skip


def launch_script() -> Path:
    """The script that starts a runner on a device so that it outlives the connection."""
    return _first("the launch script", _PACKAGE / "_runtime" / "launch.sh", _CHECKOUT / "launch.sh")


def runner_source() -> Path:
    """The CMake project of the native runner. Raises DeviceError when the installation lacks it."""
    return _first("the native runner's source", _PACKAGE / "_runtime" / "cpp", _CHECKOUT / "cpp")


def selftest_models() -> tuple[Path, ...]:
    """The small models that a runner tries its engines with."""
    folder = _first("the self-test models", _PACKAGE / "_runtime" / "selftest", _CHECKOUT / "selftest")
    return tuple(sorted(path for path in folder.iterdir() if path.name.startswith("selftest.")))


def harness_script(name: str) -> Path:
    """A script that runs on a phone, by its file name. Raises DeviceError when the installation lacks it."""
    return _first(f"the phone script {name}", _PACKAGE / "_harness" / name, _HARNESS_CHECKOUT / name)


def source_sha256() -> str:
    """A hash of everything of ours that a native runner is made from."""
    source = runner_source()
    hashed = hashlib.sha256()
    for path in [*sorted(path for path in source.rglob("*") if path.is_file()), *selftest_models()]:
        name = path.relative_to(source) if path.is_relative_to(source) else path.name
        hashed.update(f"{name}\0{path.stat().st_size}\0".encode())
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


def prebuilt_cores() -> Path:
    """The folder of native runners that a wheel carries; it may not exist."""
    return _PACKAGE / "_bundles"


def _first(what: str, *paths: Path) -> Path:
    for path in paths:
        if path.exists():
            return path
    raise DeviceError(f"This installation lacks {what}.", hint="Install hwbench again.")
