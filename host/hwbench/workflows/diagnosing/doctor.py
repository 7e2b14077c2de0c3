"""What works on this computer, and what to do about what does not."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from hwbench.devices import Device, LocalDevice, bundle, bundle_store
from hwbench.errors import DeviceError, HwbenchError, RunnerError
from hwbench.files import cache_folder
from hwbench.models.formats import FORMATS
from hwbench.records import EngineRecord
from hwbench.workflows.diagnosing.findings import Finding
from hwbench.workflows.diagnosing.phones import phone_findings

_LEAST_FREE_BYTES = 500 << 20
_BUSY_LOAD = 0.5
_PHONE_TARGET = "android-arm64"


def examine() -> list[Finding]:
    """The engine, the runner, the machine's quietness, space on disk; adb and the phones."""
    return [_runner(), *_bundles(), _engine(), _cores(), _quiet(), _disk(), _cache(), *phone_findings()]


def _runner() -> Finding:
    try:
        device = LocalDevice()
        return Finding("runner", True, True, f"{device.runner_title} ({device.runner})")
    except HwbenchError as error:
        return Finding("runner", False, True, error.message, error.hint or "")


def _bundles() -> list[Finding]:
    ready = [name for name, target in bundle.TARGETS.items() if bundle_store.find(target) is not None]
    advice = "" if ready else "`hwbench runner build` makes one; without it this computer uses the Python runner."
    findings = [Finding("bundles", bool(ready), False, ", ".join(ready) or "none", advice)]
    if _PHONE_TARGET in ready:
        return [*findings, Finding("phone runner", True, False, f"{_PHONE_TARGET} is ready")]
    what = "build" if bundle_store.find_core(bundle.TARGETS[_PHONE_TARGET]) is None else "fetch"
    advice = f"Only needed for phones: `hwbench runner {what} --target {_PHONE_TARGET}`."
    return [*findings, Finding("phone runner", False, False, f"{_PHONE_TARGET} is not ready", advice)]


def engines_of(device: Device) -> tuple[EngineRecord, ...]:
    """The engines that work on a device."""
    found = []
    for name in FORMATS:
        with contextlib.suppress(DeviceError, RunnerError):
            found.append(device.engine(name))
    return tuple(found)


def _engine() -> Finding:
    found = engines_of(LocalDevice())
    described = ", ".join(f"{engine.package} {engine.version}" for engine in found)
    return Finding("engine", bool(found), True, described or "none", "" if found else "Install ai-edge-litert.")


def _cores() -> Finding:
    cores = sorted(os.sched_getaffinity(0))
    return Finding("cores", bool(cores), True, f"{len(cores)} usable: {', '.join(map(str, cores))}")


def _quiet() -> Finding:
    load = os.getloadavg()[0]
    quiet = load <= _BUSY_LOAD * (os.cpu_count() or 1)
    advice = "" if quiet else "Something else is running; end it, or expect wider intervals."
    return Finding("quiet", quiet, False, f"load {load:.2f}", advice)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    enough = free >= _LEAST_FREE_BYTES
    return Finding("disk", enough, True, f"{free >> 20} MiB free here", "" if enough else "Free some space.")


def _cache() -> Finding:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    advice = "" if writable else "Set XDG_CACHE_HOME to a folder that can be written."
    return Finding("cache", writable, True, str(folder), advice)
