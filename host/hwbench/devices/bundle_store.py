"""Finds, makes and keeps bundles: a core from the wheel or the cache, put together with the engines at hand."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from hwbench import files
from hwbench.devices import bundle
from hwbench.devices.bundle import TARGETS, Bundle, BundleEngine, BundleTarget
from hwbench.devices.bundle_build import PLUGIN, build_core
from hwbench.devices.engine_wheels import EngineFiles, available, fetch, wheels_for
from hwbench.devices.runner_files import prebuilt_cores, source_sha256
from hwbench.errors import CorruptFile, DataError, DeviceError
from hwbench.files import cache_folder


def find(target: BundleTarget) -> Bundle | None:
    """The bundle for a target if everything it needs is on this computer; nothing is fetched or compiled."""
    core = find_core(target)
    if core is None:
        return None
    engines = [engine for engine in available(target.machine) if _supported(core, engine)]
    return assemble(core, engines) if engines else None


def require(target: BundleTarget) -> Bundle:
    """`find`, the engines fetched where only they are missing. Raises DeviceError naming the command that helps."""
    found = find(target) or (fetch_engines(target) if find_core(target) is not None else None)
    if found is None:
        raise DeviceError(
            f"There is no runner bundle for {target.name}.", hint=f"Run `hwbench runner build --target {target.name}`."
        )
    return found


def build(target: BundleTarget) -> Bundle:
    """Compiles the core anew, fetches the engines, and puts both together."""
    return assemble(keep_core(target, cache_folder() / "cores" / target.name), _fetched(target))


def fetch_engines(target: BundleTarget) -> Bundle | None:
    """Fetches the engines' wheels; the bundle if there is a core to go with them."""
    engines = _fetched(target)
    core = find_core(target)
    return None if core is None else assemble(core, engines)


class BundleState(msgspec.Struct, frozen=True):
    """What is there for a target: `ready`, `damaged`, `no engines` (fetch them) or `not built`."""

    target: str
    state: str
    engines: tuple[str, ...] = ()
    folder: Path | None = None


def overview() -> list[BundleState]:
    """The state of every target's bundle; each file is checked against its hash."""
    return [_state(target) for target in TARGETS.values()]


def _state(target: BundleTarget) -> BundleState:
    found = find(target)
    if found is None:
        return BundleState(target.name, "not built" if find_core(target) is None else "no engines")
    engines = tuple(f"{engine.package} {engine.version}" for engine in found.manifest.engines.values())
    try:
        bundle.verify(found)
    except CorruptFile:
        return BundleState(target.name, "damaged", engines, found.folder)
    return BundleState(target.name, "ready", engines, found.folder)


def find_core(target: BundleTarget) -> Bundle | None:
    """The core that the wheel carries, or the one built here, if it was made from this version's source."""
    for folder in (prebuilt_cores() / target.name, cache_folder() / "cores" / target.name):
        try:
            core = bundle.load(folder)
        except DataError:
            continue
        if core.manifest.source_sha256 == source_sha256():
            return core
    return None


def keep_core(target: BundleTarget, folder: Path) -> Bundle:
    """Builds the core of a target into `folder`, replacing what was there."""
    with _new_folder(folder.parent) as place:
        bundle.seal(place, build_core(target, place))
        _replace(place, folder)
    return bundle.load(folder)


def assemble(core: Bundle, engines: Sequence[EngineFiles]) -> Bundle:
    """The core with its engines' libraries and licences; what was put together before is used again."""
    parts = [core.manifest, [(e.wheel.title, e.wheel.sha256, e.installed) for e in engines]]
    key = files.sha256(msgspec.json.encode(parts))[:16]
    folder = cache_folder() / "bundles" / f"{core.manifest.target}-{key}"
    try:
        return bundle.load(folder)
    except DataError:
        pass
    with _new_folder(folder.parent) as place:
        shutil.copytree(core.folder, place, dirs_exist_ok=True)
        origins = {file.path: file.origin for file in core.manifest.files}
        described = {engine.wheel.engine: _copy_engine(engine, place, origins) for engine in engines}
        # An installer of wheels may drop the permission to run.
        for name in filter(bundle.is_program, origins):
            (place / name).chmod(0o755)
        whole = msgspec.structs.replace(core.manifest, engines=described, files=bundle.describe(place, origins))
        bundle.seal(place, whole)
        _replace(place, folder)
    return bundle.load(folder)


def _copy_engine(engine: EngineFiles, folder: Path, origins: dict[str, str]) -> BundleEngine:
    wheel = engine.wheel
    for name in wheel.libraries:
        (folder / Path(name).name).write_bytes(engine.read(name))
        origins[Path(name).name] = wheel.title
    licence = f"licences/{wheel.package}.txt"
    (folder / licence).write_bytes(engine.read(wheel.licence))
    origins[licence] = wheel.title
    library = Path(wheel.libraries[0]).name
    return BundleEngine(wheel.package, wheel.version, library, bundle.file_sha256(folder / library))


def _supported(core: Bundle, engine: EngineFiles) -> bool:
    """A core that was built without ExecuTorch has no plugin for it."""
    return engine.wheel.engine != "executorch" or (core.folder / PLUGIN).is_file()


def _fetched(target: BundleTarget) -> list[EngineFiles]:
    return [EngineFiles(wheel, fetch(wheel)) for wheel in wheels_for(target.machine)]


@contextmanager
def _new_folder(parent: Path) -> Iterator[Path]:
    """An empty folder that becomes another one's successor, or goes."""
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=parent, ignore_cleanup_errors=True) as place:
        folder = Path(place) / "bundle"
        folder.mkdir()
        yield folder


def _replace(new: Path, folder: Path) -> None:
    """Puts `new` where `folder` is; the old one goes last, so that a crash leaves one of both."""
    old = new.with_name("old")
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
