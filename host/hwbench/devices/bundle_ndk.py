"""Builds the Android runner with a user's NDK instead of bringing a C library along. Not exercised by our tests.

The pinned wheels hold no libraries for Android's own C library, so the user gives theirs: a folder with
`libLiteRt.so`, with `executorch/` (its `include` and `lib`), or both.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec

from hwbench.devices import bundle
from hwbench.devices.bundle import Bundle, BundleEngine, BundleTarget
from hwbench.devices.bundle_build import compile_runner, finish_core
from hwbench.errors import UsageError
from hwbench.files import cache_folder

_PLATFORM = "android-26"
_TOOLCHAIN = Path("build") / "cmake" / "android.toolchain.cmake"
_KERNELS = "libexecutorch_backend_xnnpack.so"


def build_with_ndk(target: BundleTarget, ndk: Path, engines: Path | None) -> Bundle:
    """A bundle for android-arm64 in the cache, its engines as versions `user`.

    Raises UsageError when a folder is not what it should be, DeviceError when the compiler refuses.
    """
    if target.name != "android-arm64":
        raise UsageError(f"--ndk builds for android-arm64, not {target.name}.")
    if not (ndk / _TOOLCHAIN).is_file():
        raise UsageError(f"{ndk} is no Android NDK: it lacks {_TOOLCHAIN}.")
    if engines is None or not engines.is_dir():
        raise UsageError(
            "--ndk needs --engines: a folder with the engines' libraries for Android.",
            hint="It holds libLiteRt.so, or executorch/include and executorch/lib.",
        )
    folder = cache_folder() / "bundles" / "android-arm64-ndk"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    executorch = engines / "executorch"
    options = [f"-DCMAKE_TOOLCHAIN_FILE={ndk / _TOOLCHAIN}", "-DANDROID_ABI=arm64-v8a",
               f"-DANDROID_PLATFORM={_PLATFORM}", "-DANDROID_STL=c++_static"]  # fmt: skip
    if executorch.is_dir():
        options.append(f"-DHWBENCH_EXECUTORCH={executorch}")
    with tempfile.TemporaryDirectory(prefix="hwbench-build-") as place:
        for program in compile_runner(options, Path(place) / "build"):
            shutil.copyfile(program, folder / program.name)
    origins = {path.name: "user" for path in _libraries(engines)}
    for path in _libraries(engines):
        shutil.copyfile(path, folder / path.name)
    manifest = finish_core(target, folder, origins)
    return bundle.seal(
        folder, msgspec.structs.replace(manifest, entry=(f"{{folder}}/{bundle.RUNNER}",), engines=_engines(folder))
    )


def _libraries(engines: Path) -> list[Path]:
    return sorted([*engines.glob("libLiteRt*.so"), *(engines / "executorch" / "lib").glob("*.so")])


def _engines(folder: Path) -> dict[str, BundleEngine]:
    known = {"litert": ("ai-edge-litert", "libLiteRt.so"), "executorch": ("executorch", _KERNELS)}
    return {
        name: BundleEngine(package, "user", library, bundle.file_sha256(folder / library))
        for name, (package, library) in known.items()
        if (folder / library).is_file()
    }
