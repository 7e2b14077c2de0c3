"""Which runner executes plans on this computer: the native one where a bundle is there, else the Python one."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from hwbench.devices import bundle_store
from hwbench.devices.base import PROTOCOL
from hwbench.devices.bundle import TARGETS, Bundle, BundleTarget
from hwbench.devices.runner_files import python_runner
from hwbench.errors import DeviceError, RunnerCrashed
from hwbench.records import EngineRecord

_SELFTEST_S = 120.0
_ENGINE_FIELDS = ("package", "version", "sha256")


class LocalRunner(msgspec.Struct, frozen=True):
    """A runner as a command; `title` is how it is called in messages, `install` what brings a missing engine."""

    command: tuple[str, ...]
    title: str
    install: str


def choose(python: Path | None = None) -> LocalRunner:
    """The Python runner of an interpreter if one is named, else the native runner, else the Python one."""
    if python is None:
        target = local_target()
        found = None if target is None else bundle_store.find(target)
        if found is not None:
            return of_bundle(found)
    return of_python(python or Path(sys.executable))


def of_python(python: Path) -> LocalRunner:
    return LocalRunner((str(python), str(python_runner())), f"the Python runner with {python}",
                       "Install ai-edge-litert or executorch there.")  # fmt: skip


def of_bundle(bundle: Bundle) -> LocalRunner:
    return LocalRunner(bundle.command, "the native runner",
                       f"Run `hwbench runner fetch --target {bundle.manifest.target}`.")  # fmt: skip


def local_target() -> BundleTarget | None:
    """The bundle target of this computer; None where there is none."""
    names = {"x86_64": "linux-x86_64", "aarch64": "linux-arm64"}
    name = names.get(platform.machine()) if platform.system() == "Linux" else None
    return None if name is None else TARGETS[name]


class Selftest(msgspec.Struct, frozen=True):
    """What a runner says of the machine it is on."""

    runner: str
    emulated: bool
    engines: dict[str, dict[str, Any]]

    def engine(self, name: str, title: str, install: str) -> EngineRecord:
        """Raises DeviceError when the runner, `title` in words, cannot use that engine; `install` is the hint."""
        found = self.engines.get(name, {"error": "this runner does not know it"})
        if "error" in found:
            raise DeviceError(f"{title} cannot use {name}: {found['error']}.", hint=install)
        try:
            return msgspec.convert({"name": name} | {f: found[f"engine_{f}"] for f in _ENGINE_FIELDS}, EngineRecord)
        except (KeyError, msgspec.ValidationError) as error:
            raise RunnerCrashed(f"The self-test of {title} does not describe {name}: {error}.") from error


def selftest(runner: LocalRunner, engine: str | None = None) -> Selftest:
    """The runner's own report on one engine, or on all. Raises RunnerCrashed when it gives none."""
    command = [*runner.command, "--selftest", *([engine] if engine else [])]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SELFTEST_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunnerCrashed(f"The self-test of {runner.title} failed: {error}.") from error
    return parse_selftest(done.stdout, runner.title, runner.install)


def parse_selftest(stdout: bytes, title: str, install: str) -> Selftest:
    """What a self-test printed. Raises RunnerCrashed for anything else and for a runner of another protocol.

    `install` is the hint.
    """
    try:
        report = json.loads(stdout)
        protocol = int(report["protocol"])
        engines = {str(entry["engine"]): dict(entry) for entry in report["engines"]}
        found = Selftest(str(report["runner"]), bool(report["emulated"]), engines)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunnerCrashed(f"The self-test of {title} failed: {error}.", hint=install) from error
    if protocol != PROTOCOL:
        raise RunnerCrashed(
            f"{title} speaks version {protocol} of the protocol; this hwbench needs {PROTOCOL}.", hint=install
        )
    return found
