"""A virtual phone, for tests: its power, its cable, its heat, its faults, and what a host has asked of it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.conftest import ROOT
from tests.phone.daemon import Service, Setup
from tests.phone.faults import NO_FAULTS, Do, Faults, Heat, Request, SetFaults
from tests.phone.heat import set_heat
from tests.phone.model import PIXEL, PhoneModel
from tests.phone.namespaces import Storage
from tests.phone.rootfs import make_root


class VirtualPhone:
    """A phone with its own files, on 127.0.0.1. Off when made; `stop` also unmounts its storage."""

    def __init__(self, folder: Path, model: PhoneModel = PIXEL) -> None:
        """Makes its root file system in an empty folder."""
        self.model = model
        self._folder = folder
        self._root = folder / "root"
        self._root.mkdir(parents=True)
        make_root(self._root, model)
        self._storage = Storage(self._root, model.storage_bytes, options=_options(model))
        self._daemon: subprocess.Popen[str] | None = None
        self._port = 0
        self._services = folder / "services.jsonl"
        self._services.touch()

    @property
    def serial(self) -> str:
        """What adb calls it, host and port; the same for all its life."""
        return f"127.0.0.1:{self._port}"

    @property
    def root(self) -> Path:
        """The phone's `/` as this computer's root user sees it, storage included."""
        return Path(f"/proc/{self._storage.process}/root{self._root}")

    @property
    def alive(self) -> bool:
        """Whether it is on."""
        return self._daemon is not None and self._daemon.poll() is None

    @property
    def daemon_process(self) -> int:
        """The process of its daemon, while it is on."""
        assert self._daemon is not None
        return self._daemon.pid

    def start(self, faults: Faults = NO_FAULTS) -> None:
        """Turns it on, its cable plugged in. A port that it once had stays its own.

        It dies with the thread that turned it on.
        """
        if self._daemon is not None:
            # Its connections end a moment before it does.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._daemon.wait(5)
        assert not self.alive
        self.die()
        setup = Setup(
            root=str(self._root), storage=self._storage.process, services_file=str(self._services),
            control_socket=str(self._control), model=self.model, port=self._port, faults=faults,
        )  # fmt: skip
        (self._folder / "setup.json").write_bytes(msgspec.json.encode(setup))
        self._control.unlink(missing_ok=True)
        self._daemon = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.phone.daemon", self._folder / "setup.json"],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._daemon.stdout is not None
        self._port = int(self._daemon.stdout.readline())

    def die(self) -> None:
        """Takes its battery out; `start` turns it on again, with its files."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            assert self._daemon.stdout is not None
            self._daemon.stdout.close()
            self._daemon = None

    def stop(self) -> None:
        """Ends it and everything in it, and removes its files."""
        self.die()
        self._storage.stop()
        shutil.rmtree(self._root)

    def set_faults(self, faults: Faults = NO_FAULTS) -> None:
        """Its faults from now on; no argument: all is well again."""
        self._ask(SetFaults(faults))

    def pull_cable(self) -> None:
        """Breaks its connections; what runs on it runs on."""
        self._ask(Do("pull_cable"))

    def plug_in(self) -> None:
        """Undoes `pull_cable`."""
        self._ask(Do("plug_in"))

    def reboot(self) -> None:
        """Returns when it has booted again; it has its files and a new boot id."""
        self._ask(Do("reboot"))

    def kill(self, victim: str) -> None:
        """SIGKILL for each of its processes whose command line contains a text, as soon as there is one."""
        self._ask(Do("kill", victim))

    def set_temperature(self, celsius: float, *, status: int = 0, frequency_share: float = 1.0) -> None:
        """How hot it is from now on; `frequency_share` of the highest clock is what its cores show."""
        set_heat(self._root, self.model, Heat(0, celsius, status, frequency_share))

    def services(self) -> list[Service]:
        """Every service that a host has opened since it was made, over all its lives."""
        return [msgspec.json.decode(line, type=Service) for line in self._services.read_bytes().splitlines()]

    def commands(self) -> list[str]:
        """Every command line that a host has sent."""
        return [service.argument for service in self.services() if service.kind in ("shell", "exec", "abb_exec")]

    def round_trips(self) -> int:
        """How many services a host has opened."""
        return len(self.services())

    def settings(self, namespace: str) -> dict[str, str]:
        """What `settings put` has put."""
        folder = self.root / "data/system/settings" / namespace
        return {file.name: file.read_text().rstrip("\n") for file in folder.iterdir()} if folder.is_dir() else {}

    @property
    def _control(self) -> Path:
        return self._folder / "control"

    def _ask(self, request: Request) -> None:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(30)
            control.connect(str(self._control))
            control.sendall(msgspec.json.encode(request) + b"\n")
            if control.recv(16) != b"done\n":
                raise RuntimeError(f"the phone's daemon did not do {request}")


def _options(model: PhoneModel) -> str:
    """Mount options of the folder that everybody may use."""
    return ",".join(name for name, wanted in (("ro", not model.writable), ("noexec", not model.executable)) if wanted)
