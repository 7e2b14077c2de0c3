"""Where the one-file Python runner lies: in the wheel as package data, or in a checkout's device_runtime/."""

from __future__ import annotations

from pathlib import Path

from hwbench.errors import DeviceError

_NAME = "hwbench_runner.py"


def python_runner() -> Path:
    """Path of the Python runner. Raises DeviceError when the installation lacks it."""
    package = Path(__file__).parent.parent
    for path in (package / "_runtime" / _NAME, package.parents[1] / "device_runtime" / "python" / _NAME):
        if path.is_file():
            return path
    raise DeviceError("This installation lacks the Python runner.", hint="Install hwbench again.")
