"""The kernel's namespaces that make a folder a machine: its storage, which outlives a boot, and its processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.phone.sync import SHELL_UID

SHELL = "/system/bin/sh"
_GROUPS = "1004,1007,1011,1015,1028,3001,3002,3003,3006"
# What a shell on a phone finds in its environment, and the processor that qemu is: its default one, `max`,
# computes wrong int8 products in version 7.2.
ENVIRONMENT = {
    "PATH": "/product/bin:/apex/com.android.runtime/bin:/system/bin:/system/xbin:/vendor/bin",
    "HOME": "/",
    "TMPDIR": "/data/local/tmp",
    "ANDROID_ROOT": "/system",
    "ANDROID_DATA": "/data",
    "SHELL": SHELL,
    "USER": "shell",
    "LOGNAME": "shell",
    "HOSTNAME": "localhost",
    "QEMU_CPU": "cortex-a76",
}
# Over the kernel's own entries, which are about this computer.
OVERLAID = ("cpuinfo", "sys/kernel/random/boot_id")


class Storage:
    """A phone's flash memory: mounts that live as long as the process that holds them, which dies with its maker."""

    def __init__(self, root: Path, size_bytes: int, *, options: str = "") -> None:
        """Mounts an empty /data of that size over the root's and fills it with what the root has there.

        `options` are those of the mount of /data/local/tmp, where they differ.
        """
        data, temporary = root / "data", root / "data/local/tmp"
        made = f"mode=0771,size={size_bytes} phone-data"
        script = (
            f'cp -a "$1" "$1.new" && mount -t tmpfs -o {made} "$1" && cp -a "$1.new/." "$1" && rm -rf "$1.new"'
            + (f' && mount --bind "$2" "$2" && mount -o remount,bind,{options} "$2"' if options else "")
            + " && exec sleep infinity"
        )
        self._holder = _held(["unshare", "--mount", "sh", "-ec", script, "sh", str(data), str(temporary)])
        self.process = self._holder.pid
        _wait_for(self._holder, self.process)

    def stop(self) -> None:
        """Unmounts everything."""
        _end(self._holder)


class Machine:
    """A booted phone: every process in it ends with it, and it ends with its maker."""

    def __init__(self, root: Path, storage: int) -> None:
        self._root = root
        self._storage = storage
        overlays = " && ".join(f'mount --bind "$1/system/etc/proc/{path}" "$1/proc/{path}"' for path in OVERLAID)
        # The first process takes in orphans; one that ignores SIGCHLD has the kernel bury them.
        script = f"hostname localhost && {overlays} && exec env --ignore-signal=CHLD sleep infinity"
        space = ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", f"--mount-proc={root}/proc"]
        self._keeper = _held(
            ["nsenter", f"--target={storage}", "--mount", *space, "sh", "-ec", script, "sh", str(root)]
        )
        self.process = _wait_for(self._keeper, None)

    def command(self, words: Sequence[str], *, user: int = SHELL_UID) -> list[str]:
        """The words of a command that runs words inside the phone."""
        # By their paths: the environment that they are run with is the phone's.
        enter = [_path("nsenter"), f"--target={self.process}", "--mount", "--pid", "--uts"]
        groups = [f"--groups={_GROUPS}"] if user else []
        return [*enter, _path("chroot"), f"--userspec={user}:{user}", *groups, str(self._root), *words]

    def kill(self, victim: str) -> bool:
        """SIGKILL for each process whose command line contains a text; whether there was one."""
        found = False
        for process in _family(self.process):
            with suppress(OSError):
                if victim.encode() in Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" "):
                    os.kill(process, signal.SIGKILL)
                    found = True
        return found

    def leave_free(self, size_bytes: int) -> None:
        """Fills the storage, as to what can be written: so much and no more."""
        state = os.statvfs(f"/proc/{self._storage}/root{self._root}/data")
        used = (state.f_blocks - state.f_bfree) * state.f_frsize
        size = max(used + size_bytes, state.f_frsize)
        enter = ["nsenter", f"--target={self._storage}", "--mount"]
        subprocess.run([*enter, "mount", "-o", f"remount,size={size}", f"{self._root}/data"], check=True)

    def stop(self) -> None:
        """Ends every process in it; none runs any more when this returns."""
        _end(self._keeper)
        deadline = time.monotonic() + 20
        # The first process of a namespace ends after all the others.
        while _runs(self.process) and time.monotonic() < deadline:
            time.sleep(0.005)


def _path(program: str) -> str:
    """Where one of this computer's programs is."""
    found = shutil.which(program)
    assert found is not None
    return found


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def _runs(process: int) -> bool:
    """Whether a process is neither gone nor a zombie."""
    try:
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    except OSError:
        return False


def _family(first: int) -> list[int]:
    """Every process that shares the first one's process namespace, without the first."""
    space = os.readlink(f"/proc/{first}/ns/pid")
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != first:
            with suppress(OSError):
                if os.readlink(entry / "ns/pid") == space:
                    found.append(int(entry.name))
    return found


def _held(command: list[str]) -> subprocess.Popen[bytes]:
    """A command that is killed when its maker ends, however that happens."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL)


def _wait_for(holder: subprocess.Popen[bytes], process: int | None) -> int:
    """The process that sleeps for ever once all is mounted: the given one, or the holder's (grand)child."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for candidate in [process] if process else children(holder.pid):
            with suppress(OSError):
                if Path(f"/proc/{candidate}/cmdline").read_bytes() == b"sleep\0infinity\0":
                    return candidate
        if holder.poll() is not None:
            break
        time.sleep(0.005)
    _end(holder)
    raise RuntimeError("the phone's namespaces could not be made: mounting needs root")


def _end(holder: subprocess.Popen[bytes]) -> None:
    holder.kill()
    holder.wait()
