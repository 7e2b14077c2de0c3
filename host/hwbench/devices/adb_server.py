"""The adb server of this computer: which phones it sees, and in what state. Nothing here waits without a limit."""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

from adbutils import AdbClient, AdbConnection, AdbError
from adbutils.errors import AdbConnectionError

from hwbench.devices.adb_program import AdbProgram, find_adb
from hwbench.devices.phone.adb_listing import AdbDevice, adb_devices
from hwbench.devices.phone.advice import error_advice, state_advice, unlisted_advice
from hwbench.devices.phone.text import printable
from hwbench.devices.usb import maker_at, usb_devices
from hwbench.errors import (
    AdbUnavailable,
    ConnectionRefused,
    DataError,
    DeviceError,
    DeviceLost,
    DeviceNoPermissions,
    DeviceNotBooted,
    DeviceNotFound,
    DeviceOffline,
    DeviceUnauthorized,
    HwbenchError,
    NoDevice,
    SeveralDevices,
)

DEFAULT_PORT = 5037
_START_TIMEOUT_S = 20.0
_SETTLE_S = 3.0
_POLL_S = 0.25
_RECONNECT_EVERY_S = 2.0
_IDLE_PROBE_S = 10.0
_LOCAL = ("127.0.0.1", "localhost", "::1")
_KILL = "`adb kill-server`, then try again."
_NETWORK_SERIAL = re.compile(r"(?:[^\s:]+|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}")
_PASSING_STATES = ("authorizing", "connecting")
_STATE_ERRORS: dict[str, tuple[type[DeviceError], str]] = {
    "unauthorized": (DeviceUnauthorized, "does not trust this computer yet"),
    "authorizing": (DeviceUnauthorized, "is still deciding whether to trust this computer"),
    "no permissions": (DeviceNoPermissions, "cannot be opened: this computer gives no access to its USB"),
    "bootloader": (DeviceNotBooted, "is in its boot loader"),
    "recovery": (DeviceNotBooted, "is in recovery"),
    "sideload": (DeviceNotBooted, "is in recovery, waiting for a sideload"),
    "rescue": (DeviceNotBooted, "is in rescue mode"),
}


class _Connection(AdbConnection):
    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._address = (host, port)
        self._timeout_s = timeout_s
        super().__init__(host, port)

    def _safe_connect(self) -> socket.socket:
        # That of adbutils starts a server on the default port when none answers at this one.
        try:
            return socket.create_connection(self._address, timeout=self._timeout_s)
        except OSError as error:
            raise AdbConnectionError(str(error)) from None


class _Client(AdbClient):
    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        super().__init__(host, port, timeout_s)
        self._timeout_s = timeout_s

    def make_connection(self, timeout: float | None = None) -> AdbConnection:
        connection = _Connection(self.host, self.port, self._timeout_s)
        connection.conn.settimeout(timeout or self._timeout_s)
        return connection


class AdbServer:
    """The server at `port`, else at ANDROID_ADB_SERVER_PORT, else at 5037, on ANDROID_ADB_SERVER_HOST.

    It is started by the first question when none runs on this computer, and is left running, as by adb itself.
    Every question raises AdbUnavailable when there is no adb, or when its server does not start, or does not answer
    within `timeout_s`.
    """

    def __init__(self, port: int | None = None, *, timeout_s: float = 5.0) -> None:
        self.host = os.environ.get("ANDROID_ADB_SERVER_HOST") or "127.0.0.1"
        self.port = _port_of_environment() if port is None else port
        self.timeout_s = timeout_s
        self._answered = False

    @property
    def endpoint(self) -> str:
        """Where it listens, e.g. `127.0.0.1:5037`."""
        return f"{self.host}:{self.port}"

    @property
    def client(self) -> AdbClient:
        """An adbutils client of this server, which starts none: a connection it cannot make raises an AdbError."""
        return _Client(self.host, self.port, self.timeout_s)

    def running(self) -> bool:
        """Whether something listens at the address. Starts nothing."""
        try:
            socket.create_connection((self.host, self.port), timeout=self.timeout_s).close()
        except OSError:
            return False
        return True

    def version(self) -> int:
        """The version of the running server, e.g. 41. Starts one when none runs."""
        self._ensure()
        return self._version()

    def listing(self) -> str:
        """What `adb devices -l` prints below its heading, as it is."""
        self._ensure()
        return self._ask("host:devices-l")

    def devices(self) -> tuple[AdbDevice, ...]:
        """What adb sees, with states such as unauthorized and recovery; empty when nothing is attached."""
        try:
            return adb_devices("List of devices attached\n" + self.listing())
        except DataError as error:
            raise AdbUnavailable(f"the adb server at {self.endpoint} sent {error.message}", hint=_KILL) from None

    def features(self, serial: str) -> frozenset[str]:
        """What the phone's daemon can do, e.g. `shell_v2`."""
        self._ensure()
        return frozenset(self._ask(f"host-serial:{serial}:features").strip().split(","))

    def require(self, serial: str | None = None) -> AdbDevice:
        """The phone of that serial, or the only one; it is ready for commands. A network address is connected first.

        Raises NoDevice, SeveralDevices, DeviceNotFound, ConnectionRefused, and by its state DeviceUnauthorized,
        DeviceNoPermissions, DeviceOffline or DeviceNotBooted, each with the next step.
        """
        settled = time.monotonic() + _SETTLE_S
        while (device := self._chosen(serial)).state in _PASSING_STATES and time.monotonic() < settled:
            time.sleep(_POLL_S)
        if device.state == "device":
            return device
        raise state_error(device)

    def reconnect(self, serial: str, timeout_s: float) -> AdbDevice:
        """Waits until the phone is ready again; one with a network address is connected anew meanwhile.

        Raises DeviceLost when it is not ready in time, with its last state or what adb said last.
        """
        deadline = time.monotonic() + timeout_s
        again_at = 0.0
        refused: str | None = None
        while True:
            hint: str | None = error_advice(DeviceLost)
            try:
                device = next((device for device in self.devices() if device.serial == serial), None)
                if device is not None and device.state == "device":
                    return device
                said = "adb no longer lists it"
                if device is not None:
                    said, hint = f"its state is {device.state}", state_advice(device, maker_at(device.usb))
                # Not while its owner is asked: a new connection takes the dialog away.
                gone = device is None or device.state == "offline"
                if gone and _NETWORK_SERIAL.fullmatch(serial) and time.monotonic() >= again_at:
                    refused = self._connect_anew(serial, deadline)
                    again_at = time.monotonic() + _RECONNECT_EVERY_S
            except AdbUnavailable as error:
                said, hint = error.message.removesuffix("."), error.hint
            if time.monotonic() >= deadline:
                raise DeviceLost(
                    f"{address(serial)} did not come back within {timeout_s:g} s: {refused or said}.", hint=hint
                )
            time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))

    def track(self) -> Iterator[tuple[AdbDevice, ...]]:
        """The listing now and after each change, without end.

        Raises AdbUnavailable when the server goes away, or no longer answers while nothing changes.
        """
        self._ensure()
        with self._accepted("host:track-devices", time.monotonic() + self.timeout_s) as connection:
            before: tuple[AdbDevice, ...] | None = None
            while True:
                readable, _, _ = select.select([connection.conn], [], [], _IDLE_PROBE_S)
                if not readable:
                    self._version()
                    continue
                # It says that something changed; the long listing has what this one lacks.
                self._block(connection.conn, time.monotonic() + self.timeout_s)
                listing = self.devices()
                if listing != before:
                    before = listing
                    yield listing

    def _chosen(self, serial: str | None) -> AdbDevice:
        devices = self.devices()
        refused = None
        if serial is not None and _NETWORK_SERIAL.fullmatch(serial) and serial not in {d.serial for d in devices}:
            refused = self._connect_anew(serial, time.monotonic() + self.timeout_s)
            devices = self.devices()
        known = ", ".join(address(device.serial) for device in devices)
        if serial is not None:
            for device in devices:
                if device.serial == serial:
                    return device
            if refused is not None and "refused" in refused.lower():
                raise ConnectionRefused(
                    f"{address(serial)} takes no connection: {printable(refused[:200])}.",
                    hint=error_advice(ConnectionRefused),
                )
            attached = f"Attached: {known}." if known else "No phone is attached; `hwbench doctor` says what to check."
            raise DeviceNotFound(f"adb lists no phone {address(serial)}.", hint=attached)
        if not devices:
            raise NoDevice("no phone is attached.", hint=unlisted_advice(usb_devices()))
        if len(devices) > 1:
            raise SeveralDevices(f"several phones are attached: {known}.", hint=_which_of(devices))
        return devices[0]

    def _connect_anew(self, serial: str, deadline: float) -> str | None:
        # While offline, connect only says "already connected".
        limit = min(deadline, time.monotonic() + self.timeout_s)
        with contextlib.suppress(AdbError, AdbUnavailable):
            self._exchange(f"host:disconnect:{serial}", limit)
        try:
            said = self._exchange(f"host:connect:{serial}", limit)
        except (AdbError, AdbUnavailable) as error:
            return str(error).removesuffix(".")
        return None if said.startswith(("connected to ", "already connected to ")) else said.strip().removesuffix(".")

    def _ensure(self) -> None:
        if self._answered and self.running():
            return
        program = None
        if not self.running():
            program = self._start()
        version = self._version()
        program = program or _installed()
        if program is not None and program.protocol != version:
            raise AdbUnavailable(
                f"the adb server at {self.endpoint} has version {version}, and {program.path} has {program.protocol}.",
                hint=f"End the server with the adb that started it, or with {_KILL}",
            )
        self._answered = True

    def _start(self) -> AdbProgram:
        if self.host not in _LOCAL:
            raise AdbUnavailable(f"no adb server answers at {self.endpoint}.", hint="Start it on that computer.")
        program = find_adb()
        environment = {name: value for name, value in os.environ.items() if name != "ADB_SERVER_SOCKET"}
        environment["ANDROID_ADB_SERVER_PORT"] = str(self.port)
        environment.pop("ANDROID_ADB_SERVER_ADDRESS", None)
        # A file and no pipe: the server would hold a pipe open, and we would wait for its end.
        with tempfile.TemporaryFile() as printed:
            try:
                finished = subprocess.run(
                    [program.path, "start-server"],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=printed,
                    timeout=_START_TIMEOUT_S,
                    check=False,
                    start_new_session=True,
                )
                code = str(finished.returncode)
            except (OSError, subprocess.TimeoutExpired) as error:
                code = type(error).__name__
            printed.seek(0)
            lines = printed.read(4000).decode(errors="replace").split("\n")
        if code != "0" or not self.running():
            said = next((line.strip()[:200] for line in reversed(lines) if line.strip()), "nothing")
            raise AdbUnavailable(
                f"{program.path} did not start a server at {self.endpoint} ({code}): {said}.", hint=_KILL
            )
        return program

    def _version(self) -> int:
        printed = self._ask("host:version")
        if not re.fullmatch(r"[0-9A-Fa-f]{1,4}", printed):
            raise self._foreign()
        return int(printed, 16)

    def _ask(self, command: str) -> str:
        deadline = time.monotonic() + self.timeout_s
        with self._accepted(command, deadline) as connection:
            return self._block(connection.conn, deadline)

    def _accepted(self, command: str, deadline: float) -> AdbConnection:
        try:
            return self._open(command, deadline)
        except AdbError as error:
            raise AdbUnavailable(f"the adb server at {self.endpoint} refused {command}: {error}.", hint=_KILL) from None

    def _exchange(self, command: str, deadline: float) -> str:
        with self._open(command, deadline) as connection:
            return self._block(connection.conn, deadline)

    def _open(self, command: str, deadline: float) -> AdbConnection:
        try:
            connection = self.client.make_connection()
        except (AdbError, OSError) as error:
            raise AdbUnavailable(f"the adb server at {self.endpoint} cannot be reached: {error}.", hint=_KILL) from None
        try:
            connection.send_command(command)
            status = self._exactly(connection.conn, 4, deadline)
            if status == b"FAIL":
                raise AdbError(self._block(connection.conn, deadline).strip())
            if status != b"OKAY":
                raise self._foreign()
        except OSError as error:
            connection.close()
            raise self._broken(error) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _block(self, connection: socket.socket, deadline: float) -> str:
        size = self._exactly(connection, 4, deadline)
        if not re.fullmatch(rb"[0-9A-Fa-f]{4}", size):
            raise self._foreign()
        return self._exactly(connection, int(size, 16), deadline).decode(errors="replace")

    def _exactly(self, connection: socket.socket, size: int, deadline: float) -> bytes:
        received = b""
        while len(received) < size:
            try:
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                part = connection.recv(size - len(received))
            except TimeoutError:
                raise AdbUnavailable(f"the adb server at {self.endpoint} hangs.", hint=_KILL) from None
            except OSError as error:
                raise self._broken(error) from None
            if not part:
                raise self._broken("it closed the connection")
            received += part
        return received

    def _broken(self, reason: object) -> AdbUnavailable:
        return AdbUnavailable(f"the adb server at {self.endpoint} broke off: {reason}.", hint=_KILL)

    def _foreign(self) -> AdbUnavailable:
        return AdbUnavailable(
            f"what listens at {self.endpoint} is no adb server.",
            hint="Set ANDROID_ADB_SERVER_PORT to a free port, or end that program.",
        )


def address(serial: str) -> str:
    """How the command line calls the phone of that serial, e.g. `adb:R58M`."""
    return f"adb:{printable(serial)}"


def state_error(device: AdbDevice) -> DeviceError:
    """The error for a phone that is listed and not ready, with the next step as its hint."""
    kind, words = _STATE_ERRORS.get(device.state, (DeviceOffline, f"does not answer (adb says {device.state})"))
    return kind(f"{address(device.serial)} {words}.", hint=state_advice(device, maker_at(device.usb)))


def _which_of(devices: tuple[AdbDevice, ...]) -> str:
    hint = f"Name one with --device {address(devices[0].serial)}."
    described = {(device.product, device.model, device.device) for device in devices}
    if len(described) == 1 and devices[0].model is not None:
        hint += " One phone on a cable and over Wi-Fi is listed twice: prefer the cable."
    return hint


def _installed() -> AdbProgram | None:
    try:
        return find_adb()
    except HwbenchError:
        return None


def _port_of_environment() -> int:
    text = os.environ.get("ANDROID_ADB_SERVER_PORT")
    if not text:
        return DEFAULT_PORT
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise AdbUnavailable(
            f"ANDROID_ADB_SERVER_PORT is {text[:40]!r}, which is no port.", hint="Correct or unset it."
        )
    return int(text)
