"""A phone on a cable or over Wi-Fi, through the adb server."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from hwbench.devices.adb_server import AdbServer
from hwbench.devices.adb_service import open_service
from hwbench.devices.adb_shell import STDERR, STDOUT, AdbShell, AdbStream
from hwbench.devices.adb_sync import pull_file, push_files
from hwbench.devices.phone.advice import error_advice
from hwbench.devices.transport import OUTPUT_LIMIT_BYTES, Finished, PushFile, quoted
from hwbench.errors import DeviceError

PREFIX = "adb:"
_FOLDER = "/data/local/tmp/hwbench"
_OPEN_S = 15.0
_SILENCE_S = 60.0


class AdbTransport:
    """The phone of a serial, or the only one.

    Raises what `AdbServer.require` raises, and DeviceError for a phone that lacks the shell protocol's version 2,
    without which there are no exit codes.
    """

    def __init__(self, serial: str | None = None, server: AdbServer | None = None) -> None:
        self._server = server or AdbServer()
        self._serial = self._server.require(serial).serial
        if "shell_v2" not in self._server.features(self._serial):
            raise DeviceError(
                f"{self.name} is too old: its adb has no shell with exit codes.",
                hint="Use a phone with Android 7 or later.",
            )

    @property
    def name(self) -> str:
        return f"{PREFIX}{self._serial}"

    @property
    def folder(self) -> str:
        return _FOLDER

    def run(self, command: Sequence[str], *, timeout_s: float = 30.0, stdin: bytes = b"") -> Finished:
        deadline = time.monotonic() + timeout_s
        outputs: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
        room = OUTPUT_LIMIT_BYTES
        shell = self._shell(command, timeout_s)
        try:
            shell.send(stdin)
            shell.end_input()
            while shell.code is None:
                for kind, data in shell.step(deadline):
                    outputs[kind].append(data)
                    room -= len(data)
                if room < 0:
                    raise DeviceError(
                        f"A command on {self.name} printed more than {OUTPUT_LIMIT_BYTES >> 20} MiB.",
                        hint=error_advice(DeviceError),
                    )
            return Finished(shell.code, b"".join(outputs[STDOUT]), b"".join(outputs[STDERR]))
        finally:
            shell.close()

    def open(self, command: Sequence[str]) -> AdbStream:
        return AdbStream(self._shell(command, _OPEN_S), self.name)

    def push(self, files: Sequence[PushFile]) -> None:
        if files:
            with open_service(self._server, self._serial, "sync:", _OPEN_S) as connection:
                push_files(connection, files, self._serial, _SILENCE_S)

    def pull(self, remote: str, local: Path, limit_bytes: int) -> None:
        with open_service(self._server, self._serial, "sync:", _OPEN_S) as connection:
            pull_file(connection, remote, local, limit_bytes, self._serial, _SILENCE_S)

    def reconnect(self, timeout_s: float) -> None:
        self._server.reconnect(self._serial, timeout_s)

    def close(self) -> None:
        """Nothing is held between calls; the server is left running, as adb leaves it."""

    def _shell(self, command: Sequence[str], timeout_s: float) -> AdbShell:
        # With exec it is the program itself that is told when the connection ends.
        service = f"shell,v2,raw:exec {quoted(command)}"
        return AdbShell(open_service(self._server, self._serial, service, min(timeout_s, _OPEN_S)), self.name)
