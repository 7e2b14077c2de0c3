"""Has the kernel run aarch64 programs by qemu, in any root file system."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.conftest import TEST_CACHE
from tests.integration.bundles import absent, unavailable

_REGISTRY = Path("/proc/sys/fs/binfmt_misc")
_ENTRY = _REGISTRY / "qemu-aarch64"
_TOOLS = ("adb", "nsenter", "setpriv", "unshare", "update-binfmts")


@cache
def enable() -> None:
    """Mounts the registry and enables qemu's entry; skips the test where that needs more than there is."""
    if os.geteuid() != 0:
        unavailable("a virtual phone is made of mounts and namespaces, which needs root")
    for tool in _TOOLS:
        if shutil.which(tool) is None:
            absent(tool)
    TEST_CACHE.mkdir(exist_ok=True)
    with open(TEST_CACHE / "binfmt.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (_REGISTRY / "status").exists():
            subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_REGISTRY)], check=False)
        if not _ENTRY.exists():
            subprocess.run(["update-binfmts", "--enable", "qemu-aarch64"], check=False)
    # F: the kernel opens qemu now, so that it is there in a root file system that lacks it.
    if not _ENTRY.exists() or "F" not in _ENTRY.read_text().partition("flags:")[2].partition("\n")[0]:
        unavailable("the kernel cannot be made to run aarch64 programs: binfmt_misc has no entry of qemu with flag F")
