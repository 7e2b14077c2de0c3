"""Every way in which a phone fails gives an error of its own: one sentence that names it, the next step, no hang."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from hwbench.devices.adb import AdbTransport
from hwbench.devices.adb_server import AdbServer as Server
from hwbench.devices.transport import PushFile
from hwbench.errors import (
    DeviceError,
    DeviceFull,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    HwbenchError,
    RemoteFileMissing,
    SeveralDevices,
    TransferBroken,
)
from tests.conftest import ROOT, TEST_CACHE, TINY
from tests.integration.bundles import built
from tests.phone.adb_server import AdbServer
from tests.phone.conftest import Phones
from tests.phone.faults import Faults, Moment
from tests.phone.model import PIXEL, PhoneModel
from tests.phone.phone import VirtualPhone

LIMIT_S = 100
TMP = "/data/local/tmp"


class Said(NamedTuple):
    code: int
    stderr: str

    @property
    def sentence(self) -> str:
        """What the error boundary printed."""
        lines = [line for line in self.stderr.splitlines() if line.startswith("hwbench: ")]
        assert len(lines) == 1, self.stderr
        return lines[0].removeprefix("hwbench: ")


def hwbench(server: AdbServer, folder: Path, *words: str, **environment: str) -> Said:
    """The command line as a user runs it, in a process of its own with a time limit."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.phone.command_line", *words], cwd=folder, capture_output=True, text=True,
        timeout=LIMIT_S, check=False,
        env=os.environ | server.environment | {
            "XDG_CACHE_HOME": str(TEST_CACHE), "PYTHONPATH": f"{ROOT}/host:{ROOT}", "COLUMNS": "200",
        } | environment,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert all(character.isprintable() or character in "\n\t" for character in done.stdout + done.stderr)
    assert done.returncode in (0, 2, 3), done.stderr
    return Said(done.returncode, done.stderr)


def profile(server: AdbServer, folder: Path, device: str, *words: str, **environment: str) -> Said:
    return hwbench(server, folder, "profile", "--space", TINY, "--device", device, *words, **environment)


@pytest.fixture(autouse=True)
def bundle() -> None:
    built("android-arm64")


def nothing_is_left(phone: VirtualPhone) -> bool:
    return list((phone.root / TMP[1:]).iterdir()) == []


class Case(NamedTuple):
    """What is wrong with a phone, and what is said of it."""

    says: str
    model: PhoneModel = PIXEL
    faults: Faults = Faults()
    state: str = "device"
    code: int = 3


def kind(**changes: object) -> PhoneModel:
    return msgspec.structs.replace(PIXEL, **changes)


UNREADY = {
    "unauthorized": Case(
        r"{} does not trust this computer yet\. Unlock the phone", faults=Faults(auth="reject"), state="unauthorized"
    ),
    "offline": Case(
        r"{} does not answer \(adb says offline\)\. Check that", faults=Faults(offline=True), state="offline"
    ),
    "low battery": Case(
        r"is not ready: the battery is at 9 %, below 25 % \[battery\]\. Charge it\..*--allow battery",
        model=kind(battery_percent=9, charging=False), code=2,
    ),
    "emulator": Case(r"is not ready: it is an emulator.*\[emulator\]\. Attach a phone.*--allow emulator",
                     model=kind(emulator=True), code=2),
    "full": Case(r"{} has no space left: .*No space left on device\. Free some space",
                 faults=Faults(free_bytes=1 << 20)),
    "read-only": Case(r"{} does not allow that: .*Read-only file system.*\. \S", model=kind(writable=False)),
    "32 bits": Case(r"{} runs armeabi-v7a programs; .*arm64-v8a\. Use a phone whose Android is 64-bit",
                    model=kind(abis=("armeabi-v7a",))),
    "old adb": Case(r"{} is too old: .*\. Use a phone with Android 7", model=kind(shell_v2=False)),
    "noexec": Case(r"The runner on {} may not be started there: .*noexec.*\. \S", model=kind(executable=False)),
    "gone in a push": Case(
        r"The connection to {} broke\. Check the cable", faults=Faults(moment=Moment(received_bytes=1 << 20))
    ),
    "gone at once": Case(r"{} .*\. Check the cable", faults=Faults(moment=Moment(command="# What a phone is"))),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREADY.values(), ids=UNREADY)
def test_a_phone_that_cannot_be_measured(adb_server: AdbServer, phones: Phones, tmp_path: Path, case: Case) -> None:
    late = case.state == "device"
    phone = phones(case.model, faults=Faults() if late else case.faults, connected=late)
    if late:
        phone.set_faults(case.faults)
    else:
        adb_server.connect(phone, case.state)
    said = profile(adb_server, tmp_path, f"adb:{phone.serial}")
    assert said.code == case.code
    assert re.search(case.says.replace("{}", re.escape(f"adb:{phone.serial}")), said.sentence), said.sentence
    assert not phone.alive or nothing_is_left(phone)


@contextmanager
def listening(answer: bytes) -> Iterator[int]:
    """The port of a server that takes connections, says so much and no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ends: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    end, _ = server.accept()
                except OSError:
                    return
                ends.append(end)
                end.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for end in ends:
            end.close()


def test_no_phone_and_wrong_names(adb_server: AdbServer, tmp_path: Path) -> None:
    for device, code, says in (
        ("all", 3, r"^no phone is attached\. `hwbench doctor`"),
        ("adb:R58M", 3, r"^adb lists no phone adb:R58M\. No phone is attached; `hwbench doctor`"),
        ("adb:127.0.0.1:1", 3, r"^adb:127\.0\.0\.1:1 takes no connection: .*refused\. Switch on `Wireless debugging`"),
        ("adb", 2, r"^There is no device 'adb'\. Write it as"),
    ):
        said = profile(adb_server, tmp_path, device)
        assert said.code == code
        assert re.search(says, said.sentence), said.sentence


def test_a_phone_is_found_by_its_name_among_two(adb_server: AdbServer, phones: Phones, tmp_path: Path) -> None:
    first, second = phones(), phones()
    with pytest.raises(SeveralDevices, match=r"several phones are attached: adb:.*, adb:.*\. Name one with --device"):
        AdbTransport(None, Server(adb_server.port))
    assert AdbTransport(second.serial, Server(adb_server.port)).name == f"adb:{second.serial}"
    said = profile(adb_server, tmp_path, f"adb:{first.serial}0")
    assert (said.code, "adb lists no phone" in said.sentence or "takes no connection" in said.sentence) == (3, True)


def test_a_phone_that_adb_forgot_is_connected(adb_server: AdbServer, phone: VirtualPhone) -> None:
    adb_server.run("disconnect", phone.serial)
    assert AdbTransport(phone.serial, Server(adb_server.port)).run(["true"]).code == 0


def test_no_adb_program(adb_server: AdbServer, tmp_path: Path) -> None:
    said = profile(adb_server, tmp_path, "adb:R58M", ADBUTILS_ADB_PATH="/nowhere/adb", ANDROID_ADB_SERVER_PORT="1")
    assert said.code == 3
    assert re.search(r"^ADBUTILS_ADB_PATH names /nowhere/adb, .*\. Correct it", said.sentence)


@pytest.mark.parametrize(("answer", "says"), [(b"", "hangs"), (b"HTTP/1.1 400 Bad", "is no adb server")])
def test_an_adb_server_that_is_none(adb_server: AdbServer, tmp_path: Path, answer: bytes, says: str) -> None:
    with listening(answer) as port:
        said = profile(adb_server, tmp_path, "adb:R58M", ANDROID_ADB_SERVER_PORT=str(port))
    assert said.code == 3
    assert re.search(rf"127\.0\.0\.1:{port} {says}\. \S", said.sentence), said.sentence


def raises(kind: type[HwbenchError], device: str, act: Callable[[], object]) -> None:
    """An error of exactly that class, which names the device and the next step, and ends the command with 3."""
    with pytest.raises(kind) as raised:
        act()
    assert type(raised.value) is kind
    assert device in raised.value.message
    assert raised.value.hint
    assert raised.value.exit_code == 3


@pytest.fixture
def transport(adb_server: AdbServer, phone: VirtualPhone) -> AdbTransport:
    return AdbTransport(phone.serial, Server(adb_server.port))


def test_each_way_a_transfer_fails(transport: AdbTransport, phone: VirtualPhone, tmp_path: Path) -> None:
    """On one phone, one after the other: each leaves it usable but for the last."""
    (tmp_path / "file").write_bytes(bytes(4 << 20))
    here, name = tmp_path / "pulled", transport.name

    def push(remote: str) -> Callable[[], None]:
        return lambda: transport.push([PushFile(tmp_path / "file", remote)])

    raises(DeviceRefused, name, push("/system/file"))
    raises(RemoteFileMissing, name, lambda: transport.pull(f"{TMP}/missing", here, 100))
    raises(DeviceTimeout, name, lambda: transport.run(["sleep", "600"], timeout_s=0.5))
    raises(DeviceError, name, lambda: transport.run(["cat", "/dev/zero"]))
    phone.set_faults(Faults(free_bytes=1 << 20))
    raises(DeviceFull, name, push(f"{TMP}/file"))
    phone.set_faults(Faults(free_bytes=64 << 20, moment=Moment(received_bytes=1 << 20)))
    raises(TransferBroken, name, push(f"{TMP}/file"))
    assert not here.exists()


def test_a_phone_that_is_gone_is_not_waited_for_without_end(transport: AdbTransport, phone: VirtualPhone) -> None:
    phone.set_faults(Faults(moment=Moment(command="sleep", delay_s=0.3)))
    raises(DeviceLost, transport.name, lambda: transport.run(["sleep", "60"], timeout_s=50))
    raises(DeviceLost, transport.name, lambda: transport.run(["true"]))
    raises(DeviceLost, transport.name, lambda: transport.reconnect(1.0))


def test_a_server_that_is_killed_is_started_again(
    transport: AdbTransport, adb_server: AdbServer, phone: VirtualPhone
) -> None:
    with transport.open(["sh", "-c", "echo begun; sleep 60"]) as stream:
        assert stream.read_line(20) == b"begun"
        adb_server.stop()
        raises(DeviceLost, transport.name, lambda: stream.read_line(20))
    raises(DeviceLost, transport.name, lambda: transport.run(["true"]))
    transport.reconnect(20)
    assert transport.run(["true"]).code == 0
