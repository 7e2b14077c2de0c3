"""A machine at the other end of a transport, measured through a bundle of ours and brought back as it was."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from hwbench import files
from hwbench.devices import bundle_store
from hwbench.devices.base import LaunchReport, LaunchRequest, Pulse
from hwbench.devices.bundle import Bundle, file_sha256
from hwbench.devices.installation import Installation, describe_holder
from hwbench.devices.local_runner import Selftest
from hwbench.devices.lock import exclusive
from hwbench.devices.platform import Platform, Watched
from hwbench.devices.remote_launch import Patience, RemoteLaunches
from hwbench.devices.transport import PushFile, Transport
from hwbench.errors import DeviceError, DeviceFull, DeviceLost, DeviceTimeout, HwbenchError
from hwbench.records import DeviceRecord, EngineRecord

_BUDGET_BYTES = 1 << 30
_SPARE_BYTES = 64 << 20
_WORK_FILE = "device.json"
_CLEAN_S = 60.0


class _Work(msgspec.Struct, frozen=True):
    """Where the device keeps what belongs to a session's folder."""

    device: str
    folder: str


class RemoteDevice:
    """A phone or a board. Nothing is changed on it before `engine` or `lock`, nothing of ours is left after `lock`."""

    def __init__(self, transport: Transport, platform: Platform, patience: Patience | None = None) -> None:
        self._transport = transport
        self._platform = platform
        self._patience = patience or Patience()
        self._installed: Installation | None = None
        self._bundle: Bundle | None = None
        self._selftests: dict[str, Selftest] = {}
        self._record: DeviceRecord | None = None
        self._works: dict[Path, RemoteLaunches] = {}
        self._provided: set[Path] = set()
        self._overridden: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self._transport.name

    @property
    def regime(self) -> str:
        return self._platform.regime

    @property
    def notes(self) -> tuple[str, ...]:
        return self._platform.notes

    @property
    def runner(self) -> str:
        return (next(iter(self._selftests.values()), None) or self._selftest("litert")).runner

    def record(self) -> DeviceRecord:
        """The record as it was at first contact."""
        if self._record is None:
            self._record = self._platform.record()
        return self._record

    def engine(self, name: str) -> EngineRecord:
        target = self._platform.bundle_target().name
        return self._selftest(name).engine(
            name, f"the runner on {self.name}", f"Run `hwbench runner build --target {target}`, which makes it anew."
        )

    def memory_budget_bytes(self) -> int:
        """The smaller of a quarter of the available memory and 1 GiB."""
        return min(self._platform.available_memory_bytes() // 4, _BUDGET_BYTES)

    def choose_cores(self, threads: int, wanted: tuple[int, ...]) -> tuple[int, ...]:
        return self._platform.choose_cores(threads, wanted)

    def describe_cores(self, threads: int, wanted: tuple[int, ...]) -> str:
        return self._platform.describe_cores(threads, wanted)

    def parent_pid(self) -> int:
        """0: the runner goes on when the cable is pulled."""
        return 0

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the device on this computer and on the device itself, sets it up, and puts everything back.

        Raises DeviceBusy, NotReady.
        """
        with exclusive(_lock_name(self.name), self.name):
            installation = self._installation()
            installation.lock(describe_holder())
            try:
                self._overridden = self._platform.prepare()
                yield
                self._finish()
            finally:
                self._leave()

    def launch(self, request: LaunchRequest, progress: Callable[[Pulse], None]) -> LaunchReport:
        folder = request.plan.parent
        launches = self._launches(folder)
        if folder not in self._provided:
            launches.steadily(lambda: self._provide(folder, launches.folder))
            self._provided.add(folder)
        flags = launches.steadily(lambda: self._platform.gate(progress))
        cores = msgspec.json.decode(request.plan.read_bytes(), type=_Cores).cores
        launches.launch(self._installation().command, request, self._platform.watched(cores), progress)
        report = launches.steadily(self._platform.after)
        return LaunchReport((*self._overridden, *flags, *report.flags), report.redo)

    def recover(self, request: LaunchRequest, progress: Callable[[Pulse], None]) -> None:
        if (request.plan.parent / _WORK_FILE).exists():
            self._launches(request.plan.parent).recover(request, Watched(), progress)

    def close(self) -> None:
        """Removes what a first contact has left and lets go of the connection."""
        if self._installed is not None:
            with suppress(DeviceError):
                self._clean()
        self._transport.close()

    def _installation(self) -> Installation:
        if self._installed is None:
            self._bundle = self._bundle or bundle_store.require(self._platform.bundle_target())
            installation = Installation(self._transport, self._bundle)
            try:
                installation.install()
            except BaseException:
                with suppress(DeviceError):
                    self._remove(installation.places)
                raise
            self._installed = installation
        return self._installed

    def _selftest(self, engine: str) -> Selftest:
        if engine not in self._selftests:
            self._selftests[engine] = self._installation().selftest(engine)
        return self._selftests[engine]

    def _launches(self, folder: Path) -> RemoteLaunches:
        """The device's side of a session's folder."""
        if folder not in self._works:
            self._works[folder] = RemoteLaunches(
                self._transport,
                self._installation().script,
                self._remembered(folder),
                self._patience,
                self._take_lock_again,
            )
        return self._works[folder]

    def _remembered(self, folder: Path) -> str:
        path = folder / _WORK_FILE
        with suppress(HwbenchError):
            known = files.load(path, "device-work", 1, _Work)
            prefix = f"{self._transport.folder}/work-"
            if known.device == self.name and known.folder.removeprefix(prefix).isalnum():
                return known.folder
        work = f"{self._transport.folder}/work-{secrets.token_hex(8)}"
        files.save(path, "device-work", 1, _Work(self.name, work))
        return work

    def _provide(self, folder: Path, work: str) -> None:
        """Removes what earlier runs have left, and pushes a session's models. Raises DeviceFull."""
        self._sweep(work)
        installation = self._installation()
        models = sorted(path for path in (folder / "models").iterdir() if path.is_file())
        needed = sum(path.stat().st_size for path in models) + _SPARE_BYTES
        free = installation.free_bytes()
        if free < needed:
            raise DeviceFull(
                f"{self.name} has {free >> 20} MB free, the models need {needed >> 20} MB.",
                hint="Free some space there and try again.",
            )
        self._transport.push([PushFile(path, f"{work}/models/{path.name}") for path in models])
        installation.check(f"{work}/models", {path.name: file_sha256(path) for path in models})

    def _sweep(self, *works: str) -> None:
        """Ends and removes what earlier runs have left, but for the folders `works`."""
        installation = self._installation()
        sweep = ["sh", installation.script, "sweep", self._transport.folder, installation.folder, *works]
        self._transport.run(sweep, timeout_s=_CLEAN_S)

    def _take_lock_again(self) -> None:
        """After a lost connection, which has ended the device's own lock."""
        installation = self._installation()
        installation.unlock()
        installation.lock(describe_holder())

    def _finish(self) -> None:
        """After a run that came to its end: puts things back, again when the connection breaks meanwhile."""
        with suppress(HwbenchError):
            try:
                self._put_back()
            except (DeviceLost, DeviceTimeout):
                self._transport.reconnect(min(self._patience.reconnect_s, _CLEAN_S))
                self._take_lock_again()
                self._put_back()

    def _put_back(self) -> None:
        self._platform.restore()
        # An earlier run's last launch may be all that there was to bring back: then none has swept.
        self._sweep(*(launches.folder for launches in self._works.values()))

    def _leave(self) -> None:
        """Puts everything back. A device that is gone is put right at its next start."""
        try:
            self._platform.restore()
            self._clean()
        except DeviceError:
            pass
        finally:
            if self._installed is not None:
                self._installed.unlock()
                self._installed = None
            self._works.clear()
            self._provided.clear()

    def _clean(self) -> None:
        """Removes what is ours, but for results that could not be brought back and a lock that others hold."""
        places = [launches.folder for launches in self._works.values() if not launches.owing]
        places += self._installed.places if self._installed is not None else ()
        self._remove(places)

    def _remove(self, places: Sequence[str]) -> None:
        remove = 'rm -rf "$@" "$0/undo/running"; rmdir "$0/undo" "$0" 2>/dev/null; true'
        self._transport.run(["sh", "-c", remove, self._transport.folder, *places], timeout_s=_CLEAN_S)


class _Cores(msgspec.Struct, frozen=True):
    cores: tuple[int, ...]


def _lock_name(device: str) -> str:
    return hashlib.sha256(device.encode()).hexdigest()[:16]
