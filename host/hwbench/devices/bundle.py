"""Bundles: a folder or archive that holds everything a device needs to run plans.

A bundle is flat: the runner, the libraries of its engines, the C library with its loader (so that it runs where there
is none, or an older one), the licences of all of it, and `manifest.json` with the hash of every file. What is built
from our source is its *core*; the engines come from their own packages.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import msgspec

from hwbench import files
from hwbench.errors import CorruptFile, UsageError

MANIFEST = "manifest.json"
RUNNER = "hwbench-runner"
_KIND, _VERSION = "bundle", 1


class BundleTarget(msgspec.Struct, frozen=True):
    """A kind of device. `tools` is the prefix of the compiler's names, `loader` the C library's loader."""

    name: str
    machine: str
    tools: str
    loader: str
    toolchain: str | None
    packages: tuple[str, ...]
    sanitized: bool = False


_AARCH64 = ("aarch64", "aarch64-linux-gnu-", "ld-linux-aarch64.so.1", "aarch64-linux-gnu.cmake",
            ("cmake", "ninja-build", "nlohmann-json3-dev", "g++-aarch64-linux-gnu"))  # fmt: skip
_X86_64 = ("x86_64", "", "ld-linux-x86-64.so.2", None, ("cmake", "ninja-build", "nlohmann-json3-dev", "g++"))

TARGETS = {
    target.name: target
    for target in (
        BundleTarget("linux-x86_64", *_X86_64),
        BundleTarget("android-arm64", *_AARCH64),
        BundleTarget("linux-arm64", *_AARCH64),
    )
}
# Never shipped: the runner with its memory and undefined-behaviour checks on, for its own tests.
SANITIZED = BundleTarget("linux-x86_64-sanitized", *_X86_64, sanitized=True)


class BundleEngine(msgspec.Struct, frozen=True):
    """An engine of a bundle; `sha256` is of its library, which the runner checks before it loads it."""

    package: str
    version: str
    library: str
    sha256: str


class BundleFile(msgspec.Struct, frozen=True):
    """`origin` is the package a file was taken from; its licence lies in licences/."""

    path: str
    sha256: str
    bytes: int
    origin: str


class Manifest(msgspec.Struct, frozen=True):
    target: str
    machine: str
    hwbench_version: str
    source_sha256: str
    entry: tuple[str, ...]
    engines: dict[str, BundleEngine]
    files: tuple[BundleFile, ...]


class Bundle(msgspec.Struct, frozen=True):
    """An unpacked bundle."""

    folder: Path
    manifest: Manifest

    @property
    def command(self) -> tuple[str, ...]:
        """What starts its runner on the machine where it lies."""
        return tuple(word.replace("{folder}", str(self.folder)) for word in self.manifest.entry)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.manifest.files)


def find_target(name: str) -> BundleTarget:
    """Raises UsageError for a target there is no bundle for."""
    if name not in TARGETS:
        raise UsageError(f"There is no bundle for {name!r}.", hint=f"Targets are {', '.join(TARGETS)}.")
    return TARGETS[name]


def entry(target: BundleTarget) -> tuple[str, ...]:
    """The command of a target's runner, `{folder}` standing for where the bundle lies."""
    if target.sanitized:
        return (f"{{folder}}/{RUNNER}",)
    return (f"{{folder}}/{target.loader}", "--library-path", "{folder}", f"{{folder}}/{RUNNER}")


def load(folder: Path) -> Bundle:
    """Raises DataError or CorruptFile when no bundle lies there."""
    return Bundle(folder, files.load(folder / MANIFEST, _KIND, _VERSION, Manifest))


def seal(folder: Path, manifest: Manifest) -> Bundle:
    """Writes the manifest of a folder that is complete but for it."""
    files.save(folder / MANIFEST, _KIND, _VERSION, manifest)
    return Bundle(folder, manifest)


def describe(folder: Path, origins: dict[str, str]) -> tuple[BundleFile, ...]:
    """Every file below a folder by name; `origins` says which package each was taken from."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST):
        name = path.relative_to(folder).as_posix()
        data = path.read_bytes()
        found.append(BundleFile(name, files.sha256(data), len(data), origins.get(name, "hwbench")))
    return tuple(found)


def verify(bundle: Bundle) -> None:
    """Raises CorruptFile naming the first file that is not as the manifest says."""
    for file in bundle.manifest.files:
        path = bundle.folder / file.path
        if not path.is_file() or file_sha256(path) != file.sha256:
            raise CorruptFile(
                f"{path} is not as {MANIFEST} says.",
                hint=f"Delete {bundle.folder} and run `hwbench runner fetch --target {bundle.manifest.target}`.",
            )


def archive(bundle: Bundle, path: Path) -> None:
    """The bundle as a .tar.gz whose bytes depend on its files alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted([MANIFEST, *(file.path for file in bundle.manifest.files)]):
            data = (bundle.folder / name).read_bytes()
            info = tarfile.TarInfo(f"hwbench-runner-{bundle.manifest.target}/{name}")
            info.size = len(data)
            info.mode = 0o755 if is_program(name) else 0o644
            tar.addfile(info, io.BytesIO(data))
    files.write_atomically(path, gzip.compress(buffer.getvalue(), compresslevel=9, mtime=0))


def is_program(name: str) -> bool:
    """Whether a file of a bundle is started, so that it must be executable."""
    return name == RUNNER or name.startswith("ld-linux")


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
