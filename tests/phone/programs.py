"""The two programs of the phone's system: Android's shell and its command-line tools, both static, for aarch64.

The shell is mksh, from Debian's arm64 package, which holds a static build. The tools are toybox, compiled from Debian's
source package with Android's own configuration, less what needs Android's C library, SELinux, OpenSSL or zlib.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import TEST_CACHE
from tests.integration.bundles import QEMU, absent

_CROSS = "aarch64-linux-gnu-"
_LEFT_OUT = ("LOG", "SENDEVENT", "TOYBOX_LIBCRYPTO", "TOYBOX_LIBZ", "TOYBOX_SELINUX")
_NEEDED = (QEMU, f"{_CROSS}gcc", "apt-get", "dpkg-deb", "make")


def programs() -> Path:
    """The folder of `sh`, `toybox` and `applets` (one name a line), made at first use.

    It is kept by what it is made from: this module, the compiler and the release of Debian.
    """
    for tool in _NEEDED:
        if shutil.which(tool) is None:
            absent(tool)
    compiler = subprocess.run([f"{_CROSS}gcc", "--version"], check=True, capture_output=True).stdout
    inputs = [Path(__file__).read_bytes(), compiler, Path("/etc/debian_version").read_bytes()]
    folder = TEST_CACHE / "phone" / f"programs-{hashlib.sha256(b''.join(inputs)).hexdigest()[:16]}"
    with _alone():
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as work:
                _build(Path(work))
                os.rename(Path(work) / "done", folder)
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    """Two test processes do not build at once."""
    (TEST_CACHE / "phone").mkdir(parents=True, exist_ok=True)
    with open(TEST_CACHE / "phone" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(work: Path) -> None:
    done = work / "done"
    done.mkdir()
    apt = _Apt(work / "apt")
    apt.run("download", "mksh", cwd=work)
    subprocess.run(["dpkg-deb", "-x", next(work.glob("mksh_*.deb")), work / "mksh"], check=True)
    shutil.copy(work / "mksh/usr/lib/aarch64-linux-musl/bin/mksh", done / "sh")
    source = apt.source("toybox", work)
    toybox = _compiled(source)
    shutil.copy(toybox, done / "toybox")
    applets = _run([QEMU, str(toybox)], work, {}).split()
    (done / "applets").write_text("".join(f"{name}\n" for name in applets))


def _compiled(source: Path) -> Path:
    config = source / "android.config"
    lines = (source / "kconfig/android_miniconfig").read_text().splitlines()
    left_out = {f"CONFIG_{name}=y" for name in _LEFT_OUT}
    config.write_text("".join(f"{line}\n" for line in lines if line not in left_out))
    flags = {"CROSS_COMPILE": _CROSS, "CC": "gcc", "CFLAGS": "-Os -w", "LDFLAGS": "-static"}
    # Asked whether this is Android, the configuration answers yes: `ps` then has Android's columns.
    _run(["make", "allnoconfig", f"KCONFIG_ALLCONFIG={config}"], source, {"CFLAGS": "-D__ANDROID__"})
    _run(["make", "toybox"], source, flags)
    return source / "toybox"


class _Apt:
    """Debian's packages for another architecture and its sources, without a change to this computer's own lists."""

    def __init__(self, folder: Path) -> None:
        for name in ("state/lists/partial", "cache/archives/partial", "sources"):
            (folder / name).mkdir(parents=True)
        self._config = folder / "apt.conf"
        self._config.write_text(
            f'Dir::State "{folder}/state";\nDir::State::status "/dev/null";\nDir::Cache "{folder}/cache";\n'
            f'Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "{folder}/sources";\n'
            'APT::Architecture "arm64";\nAPT::Architectures "arm64";\nAPT::Sandbox::User "root";\n'
        )
        _widened_sources(folder / "sources")
        self.run("update", cwd=folder)

    def run(self, *words: str, cwd: Path) -> str:
        return _run(["apt-get", "-qq", *words], cwd, {"APT_CONFIG": str(self._config)})

    def source(self, package: str, work: Path) -> Path:
        """The unpacked original source of a package, checked against the archive's hash."""
        listed = self.run("source", "--print-uris", "--download-only", package, cwd=work)
        found = re.search(r"'(\S+)' (\S+\.orig\.tar\.\w+) \d+ (SHA256:[0-9a-f]{64})", listed)
        if found is None:
            raise RuntimeError(f"the archive lists no original source of {package}: {listed}")
        archive = work / "source.tar.xz"
        helper = ["/usr/lib/apt/apt-helper", "download-file", found[1], str(archive), found[3]]
        _run(helper, work, {"APT_CONFIG": str(self._config)})
        shutil.unpack_archive(archive, work / package)
        return next((work / package).iterdir())


def _widened_sources(folder: Path) -> None:
    """This computer's own Debian archives, asked for sources too."""
    etc = Path("/etc/apt")
    for file in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        text = file.read_text() if file.is_file() else ""
        if file.suffix == ".sources" and "debian-archive-keyring" in text:
            (folder / file.name).write_text(re.sub(r"^Types:.*$", "Types: deb deb-src", text, flags=re.M))
        elif file.suffix == ".list":
            lines = re.findall(r"^deb(?:-src)?\s.*debian.*$", text, re.M)
            both = {re.sub(r"^deb(?:-src)?", kind, line) for line in lines for kind in ("deb", "deb-src")}
            (folder / file.name).write_text("".join(f"{line}\n" for line in sorted(both)))


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    finished = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {finished.stdout[-2000:]}{finished.stderr[-2000:]}")
    return finished.stdout
