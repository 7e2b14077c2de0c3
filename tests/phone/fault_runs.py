"""Runs of six jobs on a phone that fails: what befalls it is drawn from a seed, and each run is resumed to its end."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import msgspec
import pytest

from hwbench import spaces
from hwbench.devices.engine_wheels import fetched, wheels_for
from hwbench.errors import HwbenchError
from hwbench.measure.estimate import estimate
from hwbench.measure.gate import judge
from hwbench.measure.results import LaunchResult, parse_results
from hwbench.measure.samples import collect
from hwbench.measure.session import Session
from hwbench.spaces.blocks import ConvBlock
from hwbench.workflows.model_rows import RowModel, block_models, write_rows
from hwbench.workflows.settings import MeasureOptions
from tests.conftest import ROOT, TEST_CACHE, TINY
from tests.integration.bundles import built, own_cache
from tests.phone import binfmt
from tests.phone.adb_server import DEBIAN, AdbServer
from tests.phone.fault_attempt import PRESET, SETTINGS, attempt, open_session, rows_of
from tests.phone.faults import Faults
from tests.phone.misfortunes import NONE, Extent, Misfortune, draw
from tests.phone.phone import VirtualPhone
from tests.phone.witness import Witness, Written

MOST_ATTEMPTS = 6
# How likely it is that the second and the third attempt fail too; the others are left alone.
_AGAIN = (1.0, 0.4, 0.2)
_SETTLE_S = 10.0
_CACHED = {"bundles", "cores", "engines", "serial-salt"}
_BRIGHTNESS = "137"


class Run(msgspec.Struct, frozen=True):
    """How one run went: what befell its attempts, how each ended, and what of the promise was not kept.

    `restored_later`: the phone was gone when the last attempt put things back, which the next session did instead.
    """

    seed: int
    misfortunes: tuple[str, ...]
    endings: tuple[str, ...]
    broken: tuple[str, ...]
    restored_later: bool
    seconds: float

    @property
    def attempts(self) -> int:
        return len(self.endings)


class FaultRuns:
    """One phone and one adb server for many runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        # A phone ends with the thread that has turned it on.
        self._meddler = ThreadPoolExecutor(1)
        self._server = AdbServer(DEBIAN, folder / "adb")
        self._phone: VirtualPhone | None = None
        self._witness: Witness | None = None
        self._temporary = folder / "tmp"
        self._temporary.mkdir()
        self._cache = folder / "cache"
        _serve(self._cache / "hwbench")
        self._jobs = _jobs(folder / "jobs")
        self._extent: Extent | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What attempts are made in."""
        known = {name: self._server.environment[name] for name in ("ADBUTILS_ADB_PATH", "ANDROID_ADB_SERVER_PORT")}
        return {**known, "XDG_CACHE_HOME": str(self._cache), "TMPDIR": str(self._temporary)}

    def run(self, seed: int) -> Run:
        """A run with what the seed brings."""
        rng = random.Random(seed)
        extent = self._extent or self._measured()
        return self._run(seed, [draw(rng, extent, seed if not n else None) if rng.random() < again else NONE
                                for n, again in enumerate(_AGAIN)])  # fmt: skip

    def _measured(self) -> Extent:
        """What a run takes that nothing befalls; that it keeps the promise shows that the others can."""
        run = self._run(-1, [])
        assert not run.broken, run
        bundles = self._cache / "hwbench/bundles"
        size = sum(path.stat().st_size for path in bundles.rglob("*") if path.is_file())
        self._extent = Extent(run.seconds, size)
        return self._extent

    def stop(self) -> None:
        self._discard()
        self._server.stop()
        self._meddler.shutdown()

    def _run(self, seed: int, misfortunes: list[Misfortune]) -> Run:
        if self._phone is None:
            self._phone, self._witness = self._new_phone()
        assert self._witness is not None
        self._number += 1
        folder = self._folder / f"run-{self._number}"
        folder.mkdir()
        (folder / "jobs").symlink_to(self._jobs)
        self._witness.forget()
        before = _settings(self._phone)
        begin = time.monotonic()
        endings: list[str] = []
        names: list[str] = []
        while len(endings) < MOST_ATTEMPTS and "done" not in endings:
            misfortune = misfortunes.pop(0) if misfortunes else NONE
            names.append(misfortune.name)
            endings.append(self._attempt(self._phone, folder, misfortune))
        seconds = time.monotonic() - begin
        written = self._witness.written()
        later = endings[-1] == "done" and names[-1] != NONE.name and any(_not_restored(self._phone, before))
        if later:
            # It came when all was measured: what it left is for the next session to put right.
            self._next_session(self._phone)
        broken = [*self._promises(folder, self._phone, written, before)]
        if endings[-1] != "done":
            broken.insert(0, f"it did not end within {MOST_ATTEMPTS} attempts")
        if broken:
            self._discard()
        else:
            shutil.rmtree(folder)
        return Run(seed, tuple(names), tuple(endings), tuple(broken), later, round(seconds, 1))

    def _attempt(self, phone: VirtualPhone, folder: Path, misfortune: Misfortune) -> str:
        """How it ended: `done`, or the kind of the error; the phone is well again afterwards."""
        phone.set_faults(misfortune.faults)
        ended = threading.Event()
        meddling = self._meddler.submit(_meddle, phone, misfortune, ended)
        try:
            if misfortune.host_dies_s is not None:
                ending = self._in_process(phone, folder, misfortune.host_dies_s)
            else:
                attempt(folder, phone.serial)
                ending = "done"
        except HwbenchError as error:
            ending = f"{type(error).__name__}: {error.message}"
        finally:
            ended.set()
            meddling.result()
        _put_right(phone)
        self._server.connect(phone)
        return ending

    def _in_process(self, phone: VirtualPhone, folder: Path, dies_s: float) -> str:
        command = [sys.executable, "-m", "tests.phone.fault_attempt", str(folder), phone.serial]
        with open(self._folder / "errors", "w+") as errors:
            process = subprocess.Popen(command, cwd=ROOT, stderr=errors)
            try:
                code = process.wait(dies_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                return "killed"
            errors.seek(0)
            return "done" if code == 0 else errors.read()[-500:]

    def _next_session(self, phone: VirtualPhone) -> None:
        folder = self._folder / f"after-{self._number}"
        folder.mkdir()
        (folder / "jobs").symlink_to(self._jobs)
        attempt(folder, phone.serial)
        shutil.rmtree(folder)

    def _promises(
        self, folder: Path, phone: VirtualPhone, written: Written, before: dict[str, dict[str, str]]
    ) -> Iterator[str]:
        """Each of the promise's parts that was not kept."""
        session = open_session(folder)
        yield from _invented(session, written)
        yield from _incomplete(session, folder)
        yield from _not_restored(phone, before)
        yield from _elsewhere(folder, self._cache / "hwbench", self._temporary)

    def _new_phone(self) -> tuple[VirtualPhone, Witness]:
        phone = VirtualPhone(self._folder / f"phone-{self._number}")
        phone.start()
        self._server.connect(phone)
        self._server.shell(phone, f"settings put system screen_brightness {_BRIGHTNESS}").check_returncode()
        return phone, Witness(phone)

    def _discard(self) -> None:
        if self._phone is not None and self._witness is not None:
            self._witness.stop()
            self._phone.stop()
        self._phone = self._witness = None


def run_all(folder: Path, seeds: Sequence[int], workers: int) -> list[Run]:
    """A run for each seed, in several processes with a phone each; before them each makes an undisturbed one.

    Raises AssertionError if an undisturbed run breaks the promise.
    """
    binfmt.enable()
    built("android-arm64")
    parts = [seeds[start::workers] for start in range(workers)]
    done: list[Run] = []
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for runs in pool.map(partial(_runs_of, folder), range(workers), parts):
            done += runs
    return sorted(done, key=lambda run: run.seed)


def _runs_of(folder: Path, worker: int, seeds: Sequence[int]) -> list[Run]:
    place = folder / f"worker-{worker}"
    place.mkdir()
    with fault_runs(place) as runs:
        done = []
        for seed in seeds:
            done.append(runs.run(seed))
            print(done[-1], file=sys.stderr, flush=True)
        return done


@contextmanager
def fault_runs(folder: Path) -> Iterator[FaultRuns]:
    """Runs in an empty folder."""
    runs = FaultRuns(folder)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in runs.environment.items():
                patch.setenv(name, value)
            patch.setattr(tempfile, "tempdir", runs.environment["TMPDIR"])
            yield runs
    finally:
        runs.stop()


def _jobs(folder: Path) -> Path:
    """Three anchors and three blocks, all tiny: the real anchors are slow under qemu."""
    (folder / "models").mkdir(parents=True)
    anchors = [
        RowModel(f"anchor-{size}", f"anchor-{size}", (spaces.NamedBlock("block", ConvBlock((4, 4, size), 8, 1)),), True)
        for size in (4, 8, 16)
    ]
    rows = write_rows([*anchors, *block_models(spaces.get(TINY))[:3]], MeasureOptions(), folder)
    (folder / "rows.json").write_bytes(msgspec.json.encode(rows))
    return folder


def _serve(cache: Path) -> None:
    """A core and one engine, of which a bundle is made that is half as large as with both."""
    cache.mkdir(parents=True)
    known = TEST_CACHE / "hwbench"
    (cache / "cores").symlink_to(known / "cores")
    (cache / "engines").mkdir()
    with own_cache():
        for wheel in wheels_for("aarch64"):
            if wheel.engine == SETTINGS.engine and (found := fetched(wheel)):
                (cache / "engines" / found.name).symlink_to(found)


def _put_right(phone: VirtualPhone) -> None:
    while True:
        if not phone.alive:
            _turn_on(phone)
        try:
            phone.set_faults(Faults(free_bytes=phone.model.storage_bytes))
            phone.plug_in()
            return
        except OSError:
            # Its time had come just now.
            phone.die()


def _turn_on(phone: VirtualPhone) -> None:
    phone.die()
    phone.start()


def _meddle(phone: VirtualPhone, misfortune: Misfortune, ended: threading.Event) -> None:
    """Does what its steps say, and turns a phone that died on again in time, until the attempt has ended."""
    begin = time.monotonic()
    for step in misfortune.steps:
        if ended.wait(max(begin + step.after_s - time.monotonic(), 0)):
            return
        _do(phone, step.deed)
    while misfortune.back_s is not None and not ended.wait(0.02):
        if not phone.alive:
            if not ended.wait(misfortune.back_s):
                _turn_on(phone)
            return


def _do(phone: VirtualPhone, deed: str) -> None:
    match deed:
        case "pull_cable":
            phone.pull_cable()
        case "plug_in":
            phone.plug_in()
        case "go_offline":
            phone.set_faults(Faults(offline=True))
        case "come_online":
            phone.set_faults()
        case "fill":
            phone.set_faults(Faults(free_bytes=0))


def _invented(session: Session, written: Written) -> Iterator[str]:
    """Result files are what a runner has written, from its first line on; a whole one is there whole."""
    for planned in session.launches:
        path = session.results_path(planned.launch)
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        originals = written.get(path.name, [])
        if whole and not any(original.startswith(whole) for original in originals):
            yield f"{path.name} holds what no runner wrote"
        for original in originals:
            if (
                parse_results(original, planned.launch, planned.jobs, "the phone's own file").complete
                and data != original
            ):
                yield f"{path.name} was finished on the phone and is not whole here"
    for name in written.keys() - {session.results_path(planned.launch).name for planned in session.launches}:
        yield f"{name} was measured and not planned"


def _incomplete(session: Session, folder: Path) -> Iterator[str]:
    """Every row has its rounds, none twice, and a measurement."""
    rows = rows_of(folder)
    results = session.results()
    samples = collect(results, SETTINGS.estimator)
    for number, result in enumerate(results):
        yield from _twice(number, result)
    for row in rows:
        have = samples.rounds_of(row.id)
        if have < PRESET.base_rounds or (have > PRESET.base_rounds and not row.anchor):
            yield f"{row.id} has {have} rounds, not {PRESET.base_rounds}"
    if samples.failures:
        yield f"jobs failed: {samples.failures}"
    gate = judge(samples, [row.id for row in rows if row.anchor], SETTINGS.estimator)
    lacking = {row.id for row in rows} - estimate(samples, SETTINGS.estimator, gate, 0).measurements.keys()
    if lacking:
        yield f"no measurement of {sorted(lacking)}"
    if session.unfinished:
        yield f"launches without an end: {session.unfinished}"


def _twice(number: int, result: LaunchResult) -> Iterator[str]:
    seen: set[tuple[str, int]] = set()
    for visit in result.visits:
        if (visit.job, visit.round) in seen:
            yield f"launch {number} has round {visit.round} of {visit.job} twice"
        seen.add((visit.job, visit.round))


def _not_restored(phone: VirtualPhone, before: dict[str, dict[str, str]]) -> Iterator[str]:
    """The phone is as it was: its settings, its storage, its processes."""
    if _settings(phone) != before:
        yield f"settings were {before}, are {_settings(phone)}"
    left = list((phone.root / "data/local/tmp").rglob("*"))
    if left:
        yield f"on the phone are {[str(path.relative_to(phone.root)) for path in left[:10]]}"
    deadline = time.monotonic() + _SETTLE_S
    while (running := _running(phone)) and time.monotonic() < deadline:
        time.sleep(0.1)
    if running:
        yield f"on the phone run {running}"


def _elsewhere(folder: Path, cache: Path, temporary: Path) -> Iterator[str]:
    """Nothing was written on this computer but the session, the salt and the lock."""
    places = {folder: {"jobs", "session"}, cache: _CACHED}
    for place, known in places.items():
        if unknown := {path.name for path in place.iterdir()} - known:
            yield f"in {place.name} are {sorted(unknown)}"
    if unknown := {path.name for path in temporary.iterdir() if not path.match("hwbench-*.lock")}:
        yield f"among the temporary files are {sorted(unknown)}"


def _settings(phone: VirtualPhone) -> dict[str, dict[str, str]]:
    return {namespace: phone.settings(namespace) for namespace in ("global", "system", "secure")}


def _running(phone: VirtualPhone) -> list[str]:
    """The command lines of what hwbench has started in the phone."""
    found = []
    root = os.stat(phone.root)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.path.samestat(os.stat(entry / "root"), root):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in found if "hwbench" in line]
