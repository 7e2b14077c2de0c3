"""A server of the real adb on a port of its own, and how a phone is connected to it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import adbutils  # type: ignore[import-untyped]

from tests.phone.phone import VirtualPhone

DEBIAN = "Debian's adb"
BUNDLED = "adbutils' adb"
BOTH_ADBS = [DEBIAN, BUNDLED]


class AdbServer:
    """One adb program and its server, with a key and a home folder of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        """Starts the server. `program` is DEBIAN or BUNDLED."""
        self.program = program
        self.path = "/usr/bin/adb" if program == DEBIAN else str(Path(adbutils.__file__).parent / "binaries" / "adb")
        self.port = _free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "ADBUTILS_ADB_PATH": self.path, "ADB_MDNS": "0", "ADB_MDNS_AUTO_CONNECT": "0",
            "ANDROID_ADB_SERVER_PORT": str(self.port), "ANDROID_USER_HOME": str(folder), "HOME": str(folder),
            "TMPDIR": str(folder),
        }  # fmt: skip
        self._server: subprocess.Popen[bytes] | None = None
        self.ensure()

    def ensure(self) -> None:
        """Starts the server if it is not there; it is killed when this process ends, however that happens."""
        if self._server is None or self._server.poll() is not None:
            held = ["setpriv", "--pdeathsig", "KILL", self.path, "nodaemon", "server"]
            self._server = subprocess.Popen(
                held, env=os.environ | self.environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            # Not by asking adb: it would start a server of its own.
            eventually(lambda: _listening(self.port), "adb's server does not listen")

    def run(
        self, *words: str | Path, phone: VirtualPhone | None = None, stdin: bytes = b"", timeout_s: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs `adb WORDS`, for one phone."""
        chosen = ["-s", phone.serial] if phone else []
        return subprocess.run(
            [self.path, *chosen, *map(str, words)], input=stdin, capture_output=True, timeout=timeout_s, check=False,
            env=os.environ | self.environment,
        )  # fmt: skip

    def shell(self, phone: VirtualPhone, command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Runs a command line in a phone's shell."""
        return self.run("shell", command, phone=phone, stdin=stdin)

    def connect(self, phone: VirtualPhone, state: str = "device") -> None:
        """Connects a phone that is on, and waits until adb calls it so.

        adb may still be busy with a connection that was lost; then it is asked again.
        """

        def connected() -> bool:
            self.run("disconnect", phone.serial)
            self.run("connect", phone.serial)
            return became(lambda: self.states().get(phone.serial) == state, 3)

        eventually(connected, f"{phone.serial} never was {state}", timeout_s=60)

    def wait_for(self, phone: VirtualPhone, state: str) -> None:
        """Waits until a phone is listed in a state."""
        eventually(lambda: self.states().get(phone.serial) == state, f"{phone.serial} never was {state}")

    def states(self) -> dict[str, str]:
        """The state of each connected phone by serial."""
        lines = self.run("devices").stdout.decode().splitlines()
        return dict(line.split("\t", 1) for line in lines if "\t" in line)

    def stop(self) -> None:
        """Ends the server."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()


def became(true: Callable[[], bool], timeout_s: float) -> bool:
    """Whether something comes to be true in a time; returns as soon as it is."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def eventually(true: Callable[[], bool], otherwise: str, timeout_s: float = 30) -> None:
    """Returns as soon as something is true. Raises AssertionError if it does not come to be."""
    assert became(true, timeout_s), otherwise


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
