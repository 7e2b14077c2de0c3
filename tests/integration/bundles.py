"""Bundles for tests, compiled once and kept; and how an aarch64 one is run on this computer."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from hwbench.devices import bundle_store
from hwbench.devices.bundle import SANITIZED, TARGETS, Bundle
from tests.conftest import TEST_CACHE

QEMU = "qemu-aarch64-static"
_KNOWN = TARGETS | {SANITIZED.name: SANITIZED}
# What the processor-information library of the engines reads; of this computer's own files it would make nonsense.
_CPU = "sys/devices/system/cpu"
_SYSROOT = {
    f"{_CPU}/possible": "0-1\n", f"{_CPU}/present": "0-1\n", f"{_CPU}/online": "0-1\n", f"{_CPU}/kernel_max": "1\n",
    **{f"{_CPU}/cpu{n}/topology/physical_package_id": "0\n" for n in (0, 1)},
    **{f"{_CPU}/cpu{n}/topology/cluster_cpus_list": "0-1\n" for n in (0, 1)},
    **{f"{_CPU}/cpu{n}/cache/index{i}/level": "" for n in (0, 1) for i in range(4)},
    "proc/cpuinfo": "".join(
        f"processor\t: {n}\nFeatures\t: fp asimd aes pmull sha2 crc32 atomics fphp asimdhp asimdrdm lrcpc asimddp\n"
        "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: 0xd0b\nCPU revision\t: 0\n\n"
        for n in (0, 1)
    ),
}  # fmt: skip


@cache
def built(name: str) -> Bundle:
    """The bundle of a target, from the tests' cache or compiled now."""
    target = _KNOWN[name]
    TEST_CACHE.mkdir(exist_ok=True)
    if shutil.which(f"{target.tools}g++") is None:
        absent(f"the compiler for {name}")
    with own_cache(), (TEST_CACHE / "bundles.lock").open("w") as lock:
        # Tests of several processes share the cache.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return bundle_store.find(target) or bundle_store.build(target)


@contextmanager
def own_cache() -> Iterator[None]:
    """hwbench's user cache is the tests' own."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(TEST_CACHE)
    try:
        yield
    finally:
        os.environ.pop("XDG_CACHE_HOME")
        if before is not None:
            os.environ["XDG_CACHE_HOME"] = before


def emulator(folder: Path) -> list[str]:
    """The words before an aarch64 command that run it here; `folder` becomes the machine it sees."""
    if shutil.which(QEMU) is None:
        absent(QEMU)
    for name, text in _SYSROOT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    # qemu 7.2 computes wrong int8 products with the newest instructions of its default processor, `max`.
    return [QEMU, "-cpu", "cortex-a76", "-L", str(folder)]


def absent(what: str) -> None:
    """Skips a test for which the machine lacks a program; in continuous integration nothing may be lacking."""
    unavailable(f"{what} is not installed, and requirements-dev.sh needs root or sudo to install it")


def unavailable(message: str) -> None:
    """Skips a test that cannot run on this machine; in continuous integration it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
