"""Builds the core of a bundle from source: the runner, and the C library it brings along."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import hwbench
from hwbench.devices import bundle
from hwbench.devices.bundle import BundleTarget, Manifest
from hwbench.devices.engine_wheels import unpack_sdk, wheels_for
from hwbench.devices.runner_files import runner_source, selftest_models, source_sha256
from hwbench.errors import DeviceError

PLUGIN = "libhwbench-executorch.so"
_C_LIBRARY = (
    "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libstdc++.so.6", "libgcc_s.so.1",
)  # fmt: skip
# Debian's package of each of those files, for this machine's compiler and for a cross compiler.
_PACKAGES = {"libstdc++.so.6": ("libstdc++6", "libstdc++6-arm64-cross"),
             "libgcc_s.so.1": ("libgcc-s1", "libgcc-s1-arm64-cross")}  # fmt: skip
_GLIBC = ("libc6", "libc6-arm64-cross")
_JSON = "nlohmann-json3-dev"
_LAST_LINES = 12


def build_core(target: BundleTarget, folder: Path) -> Manifest:
    """Compiles the runner for a target and lays everything but the engines into `folder`, which must be empty.

    Raises DeviceError when a tool is missing or the compiler refuses.
    """
    _require(target)
    with tempfile.TemporaryDirectory(prefix="hwbench-build-") as place:
        (wheel,) = (found for found in wheels_for(target.machine) if found.engine == "executorch")
        options = [f"-DHWBENCH_EXECUTORCH={unpack_sdk(wheel, Path(place))}"]
        if target.toolchain is not None:
            options.append(f"-DCMAKE_TOOLCHAIN_FILE={runner_source() / 'toolchains' / target.toolchain}")
        if target.sanitized:
            options.append("-DHWBENCH_SANITIZE=ON")
        programs = compile_runner(options, Path(place) / "build")
        origins: dict[str, str] = {}
        for program in programs:
            shutil.copyfile(program, folder / program.name)
            if not target.sanitized:
                _run([f"{target.tools}strip", "--strip-unneeded", str(folder / program.name)])
    if not target.sanitized:
        origins |= _copy_c_library(target, folder)
    return finish_core(target, folder, origins)


def compile_runner(options: Sequence[str], build: Path) -> list[Path]:
    """Runs CMake and Ninja; returns the programs and libraries that came of it."""
    source = runner_source()
    _run(["cmake", "-G", "Ninja", "-S", str(source), "-B", str(build), *options,
          f"-DCMAKE_CXX_FLAGS=-ffile-prefix-map={build.parent}=."])  # fmt: skip
    _run(["cmake", "--build", str(build)])
    return [path for name in (bundle.RUNNER, PLUGIN) if (path := build / name).is_file()]


def finish_core(target: BundleTarget, folder: Path, origins: dict[str, str]) -> Manifest:
    """Adds the self-test models and licences, marks what is started, and describes the whole."""
    for model in selftest_models():
        shutil.copyfile(model, folder / model.name)
    _copy_licences(folder, sorted(set(origins.values()) | {_JSON}))
    for path in folder.iterdir():
        if path.is_file():
            path.chmod(0o755 if bundle.is_program(path.name) else 0o644)
    return Manifest(
        target=target.name,
        machine=target.machine,
        hwbench_version=hwbench.__version__,
        source_sha256=source_sha256(),
        entry=bundle.entry(target),
        engines={},
        files=bundle.describe(folder, origins),
    )


def _require(target: BundleTarget) -> None:
    missing = [tool for tool in ("cmake", "ninja", f"{target.tools}g++") if shutil.which(tool) is None]
    if missing:
        raise DeviceError(
            f"The runner for {target.name} cannot be built: {', '.join(missing)} not found.",
            hint=f"On Debian or Ubuntu: apt-get install {' '.join(target.packages)}.",
        )


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:]
        raise DeviceError(f"{command[0]} failed: " + " | ".join(line.strip() for line in lines))
    return done.stdout


def _copy_c_library(target: BundleTarget, folder: Path) -> dict[str, str]:
    """The C library that the compiler links against; returns the package of each file."""
    origins = {}
    cross = bool(target.tools)
    for name in (target.loader, *_C_LIBRARY):
        found = Path(_run([f"{target.tools}g++", f"-print-file-name={name}"]).strip())
        if not found.is_absolute():
            found = Path(_run([f"{target.tools}g++", "-print-file-name=libc.so.6"]).strip()).parent / name
        if not found.exists():
            raise DeviceError(f"The compiler for {target.name} has no {name}.")
        shutil.copyfile(found.resolve(), folder / name)
        origins[name] = _PACKAGES.get(name, _GLIBC)[cross]
    return origins


def _copy_licences(folder: Path, packages: Sequence[str]) -> None:
    (folder / "licences").mkdir()
    for package in packages:
        source = Path("/usr/share/doc") / package / "copyright"
        text = source.read_text(errors="replace") if source.is_file() else _NOTICES.get(package, package)
        (folder / "licences" / f"{package}.txt").write_text(text)
    (folder / "licences" / "hwbench.txt").write_text(
        "hwbench: Apache License 2.0, see the LICENSE file of its source.\n"
    )


# Said where a package's own copyright file is not at hand.
_LGPL = "GNU C Library: LGPL-2.1-or-later. Source: the glibc source package of the distribution it was built on.\n"
_GCC = "GCC runtime library: GPL-3.0-or-later with the GCC Runtime Library Exception 3.1.\n"
_NOTICES = {
    **dict.fromkeys(_GLIBC, _LGPL),
    **{package: _GCC for pair in _PACKAGES.values() for package in pair},
    _JSON: "JSON for Modern C++ by Niels Lohmann: MIT License.\n",
}
