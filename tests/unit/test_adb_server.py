"""The adb server: real ones on a private port where no phone is needed, a scripted one for phones and for faults."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import adbutils
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.devices import adb_program
from hwbench.devices.adb_program import find_adb
from hwbench.devices.adb_server import DEFAULT_PORT, AdbServer
from hwbench.devices.phone.adb_listing import STATES
from hwbench.errors import (
    AdbUnavailable,
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
from tests.scripted_adb import ScriptedAdb, block

PHONE = "R58M device usb:1-2 product:beyond1 model:SM_G973F device:beyond1 transport_id:1\n"
BUNDLED = Path(adbutils.__file__).parent / "binaries" / "adb"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADBUTILS_ADB_PATH", "ANDROID_ADB_SERVER_PORT", "ANDROID_ADB_SERVER_HOST", "ADB_SERVER_SOCKET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(params=["installed", "bundled"])
def real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, free_port: int) -> Iterator[AdbServer]:
    """A real adb program, the environment of which names a private port."""
    if request.param == "bundled":
        monkeypatch.setenv("ADBUTILS_ADB_PATH", str(BUNDLED))
    if not (BUNDLED if request.param == "bundled" else Path("/usr/bin/adb")).exists():
        pytest.skip(f"no {request.param} adb")
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port))
    yield AdbServer()
    kill_server(free_port)


@st.composite
def listings(draw: st.DrawFn) -> bytes:
    """A well-formed answer with rows of known and made-up states."""
    rows = draw(st.lists(st.tuples(st.text(max_size=12), st.sampled_from([*STATES, "strange"])), max_size=3))
    return b"OKAY" + block("".join(f"{serial}\t{state}\n" for serial, state in rows))


def kill_server(port: int) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "ANDROID_ADB_SERVER_PORT": str(port)}
    command = [find_adb().path, "kill-server"]
    subprocess.run(command, env=environment, capture_output=True, timeout=20, check=True)
    assert not AdbServer(port).running()


def server(double: ScriptedAdb) -> AdbServer:
    return AdbServer(double.port, timeout_s=0.5)


def test_a_server_is_started_at_its_own_port_and_lists_nothing(real: AdbServer, free_port: int) -> None:
    default_before = AdbServer(DEFAULT_PORT).running()
    assert real.port == free_port
    assert not real.running()
    assert real.devices() == ()
    assert real.version() == find_adb().protocol
    assert AdbServer(DEFAULT_PORT).running() == default_before
    with pytest.raises(NoDevice, match="no phone is attached"):
        real.require()
    with pytest.raises(DeviceNotFound, match="adb:R58M"):
        real.require("R58M")
    assert next(real.track()) == ()


def test_a_refused_address_is_named_and_a_dead_server_is_started_again(real: AdbServer, free_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(DeviceLost, match="onnection refused"):
        real.reconnect(nobody, 0.5)
    assert real.devices() == ()
    kill_server(free_port)
    assert real.devices() == ()


def test_the_client_starts_no_server(free_port: int) -> None:
    before = AdbServer(DEFAULT_PORT).running()
    with pytest.raises(adbutils.AdbError):
        AdbServer(free_port).client.server_version()
    assert not AdbServer(free_port).running()
    assert AdbServer(DEFAULT_PORT).running() == before


def test_the_start_ignores_addresses_that_adb_itself_reads(real: AdbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADB_SERVER_SOCKET", "tcp:203.0.113.1:5555")
    monkeypatch.setenv("ANDROID_ADB_SERVER_ADDRESS", "203.0.113.1")
    assert real.devices() == ()


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "x", "5037 "])
def test_a_port_in_the_environment(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", port)
    if not port:
        assert AdbServer().port == DEFAULT_PORT
        return
    with pytest.raises(AdbUnavailable, match="ANDROID_ADB_SERVER_PORT"):
        AdbServer()


def test_a_remote_server_is_not_started_here(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_HOST", "127.0.0.2")
    with pytest.raises(AdbUnavailable, match=rf"127\.0\.0\.2:{free_port}"):
        AdbServer(free_port).devices()


def test_no_adb_program(monkeypatch: pytest.MonkeyPatch, free_port: int, tmp_path: Path) -> None:
    monkeypatch.setattr(adb_program, "_candidates", lambda: iter(()))
    with pytest.raises(AdbUnavailable, match="no adb program"):
        AdbServer(free_port).devices()
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(tmp_path / "missing"))
    with pytest.raises(AdbUnavailable, match=r"ADBUTILS_ADB_PATH names .*missing"):
        AdbServer(free_port).devices()


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (
            "echo 'Android Debug Bridge version 1.0.41'; [ $1 = version ] || { echo 'cannot bind: no' >&2; exit 1; }",
            "no",
        ),
        ("echo 'Android Debug Bridge version 1.0.41'; [ $1 = version ] || exit 0", "did not start"),
        ("echo something else", "does not run as adb"),
        ("exit 3", "does not run as adb"),
    ],
)
def test_adb_programs_that_do_not_work(
    script: str, problem: str, monkeypatch: pytest.MonkeyPatch, free_port: int, tmp_path: Path
) -> None:
    program = tmp_path / "adb"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(program))
    with pytest.raises(AdbUnavailable, match=problem):
        AdbServer(free_port).devices()


def test_adb_programs_that_hang(monkeypatch: pytest.MonkeyPatch, free_port: int, tmp_path: Path) -> None:
    monkeypatch.setattr(adb_program, "TIMEOUT_S", 0.3)
    monkeypatch.setattr("hwbench.devices.adb_server._START_TIMEOUT_S", 0.3)
    program = tmp_path / "adb"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(program))
    with pytest.raises(AdbUnavailable, match="does not run as adb"):
        AdbServer(free_port).devices()
    program.write_text(
        "#!/bin/sh\n[ $1 = version ] && exec echo 'Android Debug Bridge version 1.0.41'\nexec sleep 60\n"
    )
    with pytest.raises(AdbUnavailable, match="TimeoutExpired"):
        AdbServer(free_port).devices()


def test_the_order_of_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "adb"
    program.write_text("#!/bin/sh\necho Android Debug Bridge version 1.0.99\necho Version 99.1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert find_adb() == adb_program.AdbProgram(str(program), "PATH", 99, "99.1")
    program.write_text("#!/bin/sh\nexit 1\n")
    assert find_adb().origin == "bundled"
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(BUNDLED))
    assert find_adb().origin == "ADBUTILS_ADB_PATH"


def test_the_only_phone() -> None:
    with ScriptedAdb(PHONE) as double:
        assert server(double).require() == server(double).require("R58M")
        assert server(double).require().model == "SM_G973F"


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ("R58M\tunauthorized usb:1-2 transport_id:2", DeviceUnauthorized),
        ("R58M\tauthorizing transport_id:2", DeviceUnauthorized),
        (
            "R58M\tno permissions (user in plugdev group; are your udev rules wrong?); see [http://x]",
            DeviceNoPermissions,
        ),
        ("R58M\toffline", DeviceOffline),
        ("R58M\tconnecting", DeviceOffline),
        ("R58M\thost", DeviceOffline),
        ("R58M\tunknown", DeviceOffline),
        ("R58M\trecovery product:a model:b device:c", DeviceNotBooted),
        ("R58M\tsideload", DeviceNotBooted),
        ("R58M\trescue", DeviceNotBooted),
        ("R58M\tbootloader", DeviceNotBooted),
    ],
)
def test_each_state_has_its_error_and_its_next_step(
    row: str, error: type[DeviceError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwbench.devices.adb_server._SETTLE_S", 0.1)
    with ScriptedAdb(row + "\n") as double:
        for serial in (None, "R58M"):
            with pytest.raises(error) as caught:
                server(double).require(serial)
            assert type(caught.value) is error
            assert "adb:R58M" in caught.value.message
            assert caught.value.hint
            assert caught.value.exit_code == 3


def test_a_phone_that_is_still_connecting_is_waited_for() -> None:
    with ScriptedAdb() as double:
        listings = iter(["R58M\tconnecting\n", "R58M\tauthorizing\n"])
        double.answers["host:devices-l"] = lambda: b"OKAY" + block(next(listings, PHONE))
        assert server(double).require().state == "device"


def test_several_phones_are_named_and_one_can_be_chosen() -> None:
    twice = PHONE + "adb-R58M-x (2)._adb-tls-connect._tcp device product:beyond1 model:SM_G973F device:beyond1\n"
    with ScriptedAdb(twice) as double:
        with pytest.raises(SeveralDevices, match=r"adb:R58M, adb:adb-R58M-x \(2\)") as caught:
            server(double).require()
        assert caught.value.exit_code == 2
        assert "--device adb:R58M" in str(caught.value)
        assert "twice" in str(caught.value)
        assert server(double).require("adb-R58M-x (2)._adb-tls-connect._tcp").serial.startswith("adb-R58M-x (2)")
        with pytest.raises(DeviceNotFound, match="Attached: adb:R58M, "):
            server(double).require("r58m")
        double.listing = PHONE + "emulator-5554 device product:sdk model:sdk device:emu\n"
        with pytest.raises(SeveralDevices) as caught:
            server(double).require()
        assert "twice" not in str(caught.value)


@pytest.mark.parametrize(
    ("service", "answer", "problem"),
    [
        ("host:version", None, "hangs"),
        ("host:version", b"", "closed the connection"),
        ("host:version", b"HTTP/1.1 400 Bad Request\r\n", "no adb server"),
        ("host:version", b"OKAY", "closed the connection"),
        ("host:version", b"OKAY00", "closed the connection"),
        ("host:version", b"OKAY  1f", "no adb server"),
        ("host:version", b"OKAY00040x29", "no adb server"),
        ("host:version", "0028", "has version 40"),
        ("host:version", b"FAIL" + block("device offline"), "refused host:version: device offline"),
        ("host:devices-l", None, "hangs"),
        ("host:devices-l", b"OKAY0010short", "closed the connection"),
        ("host:devices-l", b"\xff\xfe\x00\x00\x00\x00", "no adb server"),
        ("host:devices-l", "\x00\x01 no row of adb\n", "no state in the row"),
        ("host:devices-l", b"FAIL" + block("unknown host service"), "refused host:devices-l"),
    ],
)
def test_servers_that_misbehave(service: str, answer: str | bytes | None, problem: str) -> None:
    with ScriptedAdb(PHONE, **{service: answer}) as double:
        started = time.monotonic()
        with pytest.raises(AdbUnavailable, match=problem) as caught:
            server(double).require()
        assert time.monotonic() - started < 10
        assert caught.value.hint
        assert caught.value.exit_code == 3


def test_a_server_that_trickles_has_a_limit() -> None:
    with ScriptedAdb(**{"host:devices-l": [b"OKAY", b"00ff", *[b"x"] * 50]}) as double:
        with pytest.raises(AdbUnavailable, match="hangs"):
            server(double).devices()


def test_reconnect_waits_for_a_phone_on_a_cable() -> None:
    with ScriptedAdb() as double:
        listings = iter(["", "R58M offline\n", "R58M unauthorized\n"])
        double.answers["host:devices-l"] = lambda: b"OKAY" + block(next(listings, PHONE))
        assert server(double).reconnect("R58M", 10).model == "SM_G973F"
        assert not any(service.startswith(("host:connect", "host:disconnect")) for service in double.asked)


def test_reconnect_lets_go_of_an_offline_address_before_it_connects() -> None:
    with ScriptedAdb("10.0.0.5:5555 offline\n") as double:

        def connect() -> bytes:
            double.listing = "10.0.0.5:5555 device product:a model:b device:c\n"
            return b"OKAY" + block("connected to 10.0.0.5:5555")

        double.answers["host:disconnect:10.0.0.5:5555"] = "disconnected 10.0.0.5:5555"
        double.answers["host:connect:10.0.0.5:5555"] = connect
        assert server(double).reconnect("10.0.0.5:5555", 10).state == "device"
        calls = [service for service in double.asked if "connect:" in service]
        assert calls == ["host:disconnect:10.0.0.5:5555", "host:connect:10.0.0.5:5555"]


@pytest.mark.parametrize(
    "said",
    [
        "failed to connect to '10.0.0.5:5555': No route to host",
        "failed to authenticate to 10.0.0.5:5555",
        "unable to connect to 10.0.0.5:5555",
    ],
)
def test_reconnect_reports_what_connect_only_says(said: str) -> None:
    with ScriptedAdb(**{"host:connect:10.0.0.5:5555": said}) as double:
        with pytest.raises(DeviceLost) as caught:
            server(double).reconnect("10.0.0.5:5555", 0.4)
        assert said in caught.value.message
        assert caught.value.hint


def test_reconnect_leaves_the_dialog_on_the_phone_alone() -> None:
    with ScriptedAdb("10.0.0.5:5555 unauthorized\n") as double:
        with pytest.raises(DeviceLost, match="its state is unauthorized"):
            server(double).reconnect("10.0.0.5:5555", 0.6)
        assert not any("connect:" in service for service in double.asked)


@pytest.mark.parametrize("fault", [None, b"", b"garbage!"])
def test_reconnect_ends_when_the_server_misbehaves(fault: bytes | None) -> None:
    with ScriptedAdb(**{"host:devices-l": fault}) as double:
        started = time.monotonic()
        with pytest.raises(DeviceLost, match="did not come back within"):
            server(double).reconnect("10.0.0.5:5555", 0.6)
        assert time.monotonic() - started < 10


def test_track_yields_each_change_once() -> None:
    with ScriptedAdb() as double:
        listings = server(double).track()
        assert next(listings) == ()
        double.change("R58M unauthorized\n")
        assert [device.state for device in next(listings)] == ["unauthorized"]
        double.change("R58M unauthorized\n")
        double.change(PHONE)
        assert [device.state for device in next(listings)] == ["device"]
        double.change("")
        assert next(listings) == ()
        listings.close()


@pytest.mark.parametrize("answer", [None, b"", b"FAIL" + block("no such service"), b"OKAYzzzz", b"OKAY0004"])
def test_track_of_a_server_that_misbehaves(answer: bytes | None) -> None:
    with ScriptedAdb(**{"host:track-devices": answer}) as double, pytest.raises(AdbUnavailable):
        next(server(double).track())


def test_track_ends_when_the_server_goes_away_or_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwbench.devices.adb_server._IDLE_PROBE_S", 0.1)
    with ScriptedAdb() as double:
        listings = server(double).track()
        assert next(listings) == ()
        double.answers["host:version"] = None
        with pytest.raises(AdbUnavailable, match="hangs"):
            next(listings)
    with ScriptedAdb() as double:
        listings = server(double).track()
        assert next(listings) == ()
        double.stop()
        with pytest.raises(AdbUnavailable):
            next(listings)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["host:version", "host:devices-l"]), st.binary(max_size=60) | listings())
def test_whatever_a_server_answers_is_an_answer_or_a_sentence(service: str, answer: bytes) -> None:
    refused: HwbenchError | None = None
    with ScriptedAdb(PHONE, **{service: answer}) as double, pytest.MonkeyPatch.context() as patch:
        patch.setattr("hwbench.devices.adb_server._SETTLE_S", 0.0)
        try:
            assert server(double).require().state == "device"
        except HwbenchError as error:
            refused = error
    if refused is not None:
        assert refused.hint
        assert refused.exit_code == (2 if isinstance(refused, SeveralDevices) else 3)
