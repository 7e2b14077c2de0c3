"""The adb program: which one is used, and its version."""

from __future__ import annotations

import importlib.resources
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hwbench.errors import AdbUnavailable

TIMEOUT_S = 5.0
_VERSION = re.compile(r"Android Debug Bridge version \d{1,3}\.\d{1,3}\.(\d{1,6})")
_BUILD = re.compile(r"^Version (\S{1,60})", re.MULTILINE)


class AdbProgram(msgspec.Struct, frozen=True):
    """`origin` says how it was found: ADBUTILS_ADB_PATH, PATH or bundled.

    `protocol` is the version that client and server must share, e.g. 41; `build` the one of the platform tools.
    """

    path: str
    origin: str
    protocol: int
    build: str | None


def find_adb() -> AdbProgram:
    """The first that runs, in the order of adbutils: ADBUTILS_ADB_PATH, PATH, the one inside adbutils.

    Raises AdbUnavailable when there is none, or when ADBUTILS_ADB_PATH names one that does not run.
    """
    named = os.environ.get("ADBUTILS_ADB_PATH")
    if named:
        found = _program(named, "ADBUTILS_ADB_PATH")
        if found is None:
            raise AdbUnavailable(
                f"ADBUTILS_ADB_PATH names {named}, which does not run as adb.", hint="Correct it, or unset it."
            )
        return found
    for path, origin in _candidates():
        if (found := _program(path, origin)) is not None:
            return found
    raise AdbUnavailable("there is no adb program.", hint="Install Android's platform tools, e.g. `apt install adb`.")


def _candidates() -> Iterator[tuple[str, str]]:
    installed = shutil.which("adb")
    if installed is not None:
        yield installed, "PATH"
    bundled = Path(str(importlib.resources.files("adbutils") / "binaries")) / ("adb.exe" if os.name == "nt" else "adb")
    if bundled.is_file():
        yield str(bundled), "bundled"


def _program(path: str, origin: str) -> AdbProgram | None:
    try:
        finished = subprocess.run(
            [path, "version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    printed = finished.stdout.decode(errors="replace")
    version, build = _VERSION.search(printed), _BUILD.search(printed)
    if finished.returncode != 0 or version is None:
        return None
    return AdbProgram(path, origin, int(version[1]), build[1] if build else None)
