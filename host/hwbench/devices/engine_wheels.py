"""The engines' own packages: pinned wheels by hash, fetched with pip, or the installed ones of this computer."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import msgspec

from hwbench.devices.bundle import file_sha256
from hwbench.errors import DataError, DeviceError
from hwbench.files import cache_folder

_PYTHON = "3.11"
_EXECUTORCH_LIBRARIES = tuple(
    f"executorch/lib/libexecutorch{part}.so"
    for part in ("", "_backend_xnnpack", "_kernels_optimized", "_kernels_quantized", "_threadpool")
)


class EngineWheel(msgspec.Struct, frozen=True):
    """One pinned wheel. `libraries` are its files that go into a bundle, the first the one with the kernels."""

    engine: str
    package: str
    version: str
    machine: str
    platform: str
    sha256: str
    libraries: tuple[str, ...]
    licence: str

    @property
    def title(self) -> str:
        return f"{self.package} {self.version}"


_LITERT = ("ai_edge_litert/libLiteRt.so",)
_LITERT_LICENCE = "ai_edge_litert-2.3.0.dist-info/licenses/LICENSE"
_EXECUTORCH = (_EXECUTORCH_LIBRARIES[1], _EXECUTORCH_LIBRARIES[0], *_EXECUTORCH_LIBRARIES[2:])
_EXECUTORCH_LICENCE = "executorch-1.5.1.dist-info/licenses/LICENSE"

WHEELS = (
    EngineWheel("litert", "ai-edge-litert", "2.3.0", "x86_64", "manylinux_2_27_x86_64",
                "1f15078a6725d2357d9de9221664c29afa0545d807559c5f7199ce5e40b96b23", _LITERT, _LITERT_LICENCE),
    EngineWheel("litert", "ai-edge-litert", "2.3.0", "aarch64", "manylinux_2_27_aarch64",
                "853fc608f96da87bd5f3458465dfb9abbf18d5ae6b94eceacead407146f175ae", _LITERT, _LITERT_LICENCE),
    EngineWheel("executorch", "executorch", "1.5.1", "x86_64", "manylinux_2_28_x86_64",
                "274c28c2fe2b76acb03f9fa381537425c40e0098dcf886baf6d97a1a55ffe300", _EXECUTORCH, _EXECUTORCH_LICENCE),
    EngineWheel("executorch", "executorch", "1.5.1", "aarch64", "manylinux_2_28_aarch64",
                "8ee02348a3ea80ddf770822911ebf78da616b73afce0fbaaa79f23311c88c66a", _EXECUTORCH, _EXECUTORCH_LICENCE),
)  # fmt: skip


def wheels_for(machine: str) -> tuple[EngineWheel, ...]:
    return tuple(wheel for wheel in WHEELS if wheel.machine == machine)


def fetched(wheel: EngineWheel) -> Path | None:
    """The wheel's file if it was fetched before and is whole."""
    for path in sorted(_folder().glob(f"{wheel.package.replace('-', '_')}-{wheel.version}-*{wheel.machine}.whl")):
        if file_sha256(path) == wheel.sha256:
            return path
    return None


def fetch(wheel: EngineWheel) -> Path:
    """The wheel's file, downloaded with pip unless it is there. Raises DeviceError naming the package."""
    if (path := fetched(wheel)) is not None:
        return path
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
        requirements.flush()
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--only-binary", ":all:", "--platform", wheel.platform, "--python-version", _PYTHON,
            "--require-hashes", "--dest", str(folder), "--requirement", requirements.name,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    path = fetched(wheel)
    if done.returncode != 0 or path is None:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1][:300]
        raise DeviceError(
            f"The wheel of {wheel.title} for {wheel.machine} cannot be fetched: {last}.",
            hint="Check the network, or put the wheel into " + str(folder) + ".",
        )
    return path


class EngineFiles(msgspec.Struct, frozen=True):
    """Where an engine's libraries can be copied from: a wheel's file, or the folder where it is installed."""

    wheel: EngineWheel
    source: Path

    @property
    def installed(self) -> bool:
        return self.source.is_dir()

    def read(self, name: str) -> bytes:
        """One file by its name in the wheel. Raises DataError when it is not there."""
        try:
            if self.installed:
                return (self.source / name).read_bytes()
            with zipfile.ZipFile(self.source) as archive:
                return archive.read(name)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(f"{self.source} lacks {name}.", hint=f"Install {self.wheel.title} again.") from error


def available(machine: str) -> tuple[EngineFiles, ...]:
    """The engines for a machine that can be had without a network."""
    found = []
    for wheel in wheels_for(machine):
        source = fetched(wheel) or installed(wheel)
        if source is not None:
            found.append(EngineFiles(wheel, source))
    return tuple(found)


def installed(wheel: EngineWheel) -> Path | None:
    """The folder that holds the pinned version's files, installed for this computer's processor."""
    if platform.machine() != wheel.machine or platform.system() != "Linux":
        return None
    try:
        if importlib.metadata.version(wheel.package) != wheel.version:
            return None
    except importlib.metadata.PackageNotFoundError:
        return None
    spec = importlib.util.find_spec(wheel.package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))).parent
    names = (*wheel.libraries, wheel.licence)
    return folder if all((folder / name).is_file() for name in names) else None


def unpack_sdk(wheel: EngineWheel, folder: Path) -> Path:
    """The headers and libraries of the ExecuTorch wheel below `folder`, for the compiler; returns where they lie."""
    with zipfile.ZipFile(fetch(wheel)) as archive:
        names = [name for name in archive.namelist() if name.startswith(("executorch/include/", "executorch/lib/"))]
        archive.extractall(folder, names)
    return folder / "executorch"


def _folder() -> Path:
    return cache_folder() / "engines"
