"""What is said of attached phones: the listing, its changes, the doctor's findings, the report without secrets."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.devices import adb_program
from hwbench.devices.adb_program import AdbProgram
from hwbench.devices.adb_server import AdbServer
from hwbench.devices.phone import adb_listing
from hwbench.devices.phone.record import PhoneOutputs, phone_record
from hwbench.devices.usb import UsbDevice, usb_devices
from hwbench.errors import AdbUnavailable, DeviceLost
from hwbench.reports.phones import change_lines, finding_lines, phone_lines, report_text
from hwbench.workflows.attached import attached_phones, changes
from hwbench.workflows.diagnosing import phones as doctor_phones
from hwbench.workflows.diagnosing.findings import Finding
from hwbench.workflows.diagnosing.phones import phone_findings
from hwbench.workflows.diagnosing.report import Report, masked, serials_of
from tests import usb_trees
from tests.scripted_adb import ScriptedAdb
from tests.usb_trees import plug_in

READY = "R58M device usb:9-9 product:beyond1 model:SM_G973F device:beyond1 transport_id:1\n"
WAITING = "R58M unauthorized usb:9-9 transport_id:1\n"
PROPS = (
    "[ro.product.manufacturer]: [Acme]\n[ro.product.model]: [One]\n[ro.soc.model]: [SoC 7]\n"
    "[ro.build.version.release]: [15]\n"
)


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> ScriptedAdb:
    double = ScriptedAdb(READY)
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(double.port))
    return double


def test_a_ready_phone_is_described_by_its_listing_and_better_by_its_record(double: ScriptedAdb) -> None:
    with double:
        (phone,) = attached_phones(AdbServer())
        assert phone.ready
        assert phone.summary.model == "SM G973F"
        assert phone.summary.soc is None
        assert phone_lines(phone) == ["adb:R58M  ready, SM G973F"]
        record = phone_record(PhoneOutputs(getprop=PROPS), salt="s")
        record = msgspec.structs.replace(record, cores=8)
        (phone,) = attached_phones(AdbServer(), lambda device: record)
        assert phone_lines(phone) == ["adb:R58M  ready, Acme One, SoC 7, 8 cores, Android 15"]


def test_a_phone_that_gives_no_record_is_listed_with_the_reason(double: ScriptedAdb) -> None:
    def lost(device: object) -> object:
        raise DeviceLost("adb:R58M went away.", hint="Check the cable.")

    with double:
        (phone,) = attached_phones(AdbServer(), lost)  # type: ignore[arg-type]
        assert phone.problem == "adb:R58M went away. Check the cable."
        assert phone_lines(phone)[1].strip() == phone.problem


def test_a_phone_that_is_not_ready_is_not_asked(double: ScriptedAdb) -> None:
    double.listing = WAITING
    with double:
        (phone,) = attached_phones(AdbServer(), lambda device: pytest.fail("asked"))
        assert "accept its dialog" in phone.advice
        assert phone_lines(phone)[0] == "adb:R58M  unauthorized"


def test_nothing_of_a_phone_steers_the_terminal(double: ScriptedAdb) -> None:
    double.listing = "\x07R58\u202eM\x9b31m device product:a model:\x9bevil\x07 device:c\n"
    with double:
        (phone,) = attached_phones(AdbServer())
        assert all(line.isprintable() for line in phone_lines(phone))


def test_changes_are_told_one_by_one(double: ScriptedAdb) -> None:
    double.listing = WAITING
    with double:
        stream = changes(AdbServer())
        assert [next(stream).kind] == ["attached"]
        double.change(READY)
        changed = next(stream)
        assert (changed.kind, changed.phone.state) == ("state", "device")
        double.change(READY + "10.0.0.5:5555 offline\n")
        assert (other := next(stream)).kind == "attached"
        assert other.phone.name == "adb:10.0.0.5:5555"
        double.change("")
        assert {next(stream).phone.name, next(stream).phone.name} == {"adb:R58M", "adb:10.0.0.5:5555"}
        assert change_lines(changed) == ["adb:R58M  ready, SM G973F"]
        stream.close()


def test_watching_outlives_a_restart_of_the_server_and_no_more(
    double: ScriptedAdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    with double:
        stream = changes(AdbServer())
        assert next(stream).kind == "attached"
        # As if it had run for long.
        monkeypatch.setattr("hwbench.workflows.attached._RESTART_S", 0.0)
        double.hang_up()
        double.change("")
        assert next(stream).kind == "detached"
        monkeypatch.setattr("hwbench.workflows.attached._RESTART_S", 60.0)
        double.hang_up()
        with pytest.raises(AdbUnavailable):
            next(stream)


def findings() -> dict[str, Finding]:
    return {finding.what: finding for finding in phone_findings()}


def test_the_doctor_without_adb_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb_program, "_candidates", lambda: iter(()))
    monkeypatch.setattr(AdbServer, "_start", lambda self: pytest.fail("started"))
    found = findings()
    assert list(found) == ["adb"]
    assert not found["adb"].ok
    assert not found["adb"].needed
    assert "platform tools" in found["adb"].advice


def test_the_doctor_does_not_start_the_adb_that_nobody_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_phones, "find_adb", lambda: AdbProgram("/nowhere/adb", "bundled", 41, "36.0.0"))
    monkeypatch.setattr(AdbServer, "running", lambda self: False)
    monkeypatch.setattr(AdbServer, "_start", lambda self: pytest.fail("started"))
    assert "hwbench devices" in findings()["adb server"].advice


def test_the_doctor_on_each_phone(double: ScriptedAdb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plug_in(tmp_path, "9-9", "2717", usb_trees.ADB)
    monkeypatch.setattr(doctor_phones, "usb_devices", lambda: usb_devices(tmp_path))
    monkeypatch.setattr("hwbench.workflows.attached.maker_at", lambda path: "Xiaomi")
    double.listing = READY + "X1\tno permissions; see [http://x] usb:9-9\nX2\trecovery\n"
    with double:
        found = findings()
    assert found["phone adb:R58M"].ok
    assert "Security settings" in found["phone adb:R58M"].advice
    assert 'ATTR{idVendor}=="2717"' in found["phone adb:X1"].advice
    assert len(finding_lines(found["phone adb:X1"])) == 5
    assert "Reboot system now" in found["phone adb:X2"].advice
    assert not any(finding.needed for finding in found.values())


@pytest.mark.parametrize("listing", [READY, ""])
def test_the_doctor_on_a_phone_that_adb_does_not_list(
    double: ScriptedAdb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listing: str
) -> None:
    plug_in(tmp_path, "9-9", "04e8", usb_trees.ADB)
    plug_in(tmp_path, "9-8", "046d", usb_trees.KEYBOARD)
    monkeypatch.setattr(doctor_phones, "usb_devices", lambda: usb_devices(tmp_path, tmp_path))
    double.listing = listing
    with double:
        assert "another phone" not in findings()
        plug_in(tmp_path, "9-7", "2717", usb_trees.ADB)
        missing = findings()["another phone" if listing else "phones"]
    assert missing.state == "not listed by adb"
    assert "udev rule" in missing.advice
    assert "udevadm" in missing.advice


def test_the_doctor_on_no_phone_and_on_a_sick_server(
    double: ScriptedAdb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plug_in(tmp_path, "1-2", "04e8", usb_trees.STILL_IMAGE)
    monkeypatch.setattr(doctor_phones, "usb_devices", lambda: usb_devices(tmp_path))
    monkeypatch.setattr(doctor_phones, "_TIMEOUT_S", 0.3)
    double.listing = ""
    with double:
        assert "Samsung" in findings()["phones"].advice
        for fault in (None, b"garbage", b""):
            double.answers["host:devices-l"] = fault
            assert not findings()["adb server"].ok
            assert findings()["adb server"].advice


def report(listing: str, text: str = "") -> Report:
    usb = (UsbDevice("1-2", "18d1", "4ee7", "Google", True, False, True, True, False),)
    seen = Finding("adb", False, False, text, text)
    return Report("0.1", "3.11", "Linux", text, text, listing, usb, None, (seen,))


LISTING = """R58MSECRET device usb:1-2 product:beyond1 model:SM_G973F device:beyond1 transport_id:1
adb-R58MSECRET-aBcDeF._adb-tls-connect._tcp offline transport_id:2
192.168.7.42:5555 unauthorized transport_id:3
emulator-5554 device product:sdk model:sdk device:emu transport_id:4
0123SECRET no permissions (user jane is not in the plugdev group); see [http://developer.android.com/tools/device.html]
"""


def test_the_report_keeps_the_listing_and_hides_who_it_is() -> None:
    text = "/home/jane/Android/adb says device 'R58MSECRET' not found; 192.168.7.42 on Janes-Laptop; janet stays"
    found = masked(report(LISTING, text), serials_of(LISTING), ["jane", "janes-laptop"], Path("/home/jane"))
    shown = report_text(found)
    for secret in ("SECRET", "192.168", "/home/", "Janes-Laptop", "user jane"):
        assert secret not in shown, secret
    assert found.devices is not None
    lines = found.devices.splitlines()
    assert lines[0].startswith("SERIAL1 device usb:1-2 product:beyond1 model:SM_G973F")
    assert lines[1].startswith("adb-SERIAL1._adb-tls-connect._tcp offline")
    assert lines[2].startswith("SERIAL2:5555 unauthorized")
    assert lines[3].startswith("emulator-5554 device")
    assert lines[4].startswith("SERIAL3 no permissions (user NAME is not")
    assert "janet stays" in shown
    assert [device.serial for device in serials_as_devices(found.devices)] == [
        "SERIAL1", "adb-SERIAL1._adb-tls-connect._tcp", "SERIAL2:5555", "emulator-5554", "SERIAL3",
    ]  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(found), type=Report) == found


def serials_as_devices(listing: str) -> tuple[adb_listing.AdbDevice, ...]:
    return adb_listing.adb_devices("List of devices attached\n" + listing)


def test_a_listing_that_cannot_be_read_is_masked_by_its_first_words() -> None:
    listing = "R58MSECRET is in some new state\nOTHERSECRET too\n"
    found = masked(report(listing, "R58MSECRET"), serials_of(listing), [], Path("/root"))
    assert "SECRET" not in report_text(found)


@given(
    st.lists(st.text(alphabet="abcdefXYZ0123456789._:-", min_size=8, max_size=24), min_size=1, max_size=6, unique=True),
    st.sampled_from(["device", "offline", "unauthorized"]),
)
def test_no_serial_is_ever_left(serials: list[str], state: str) -> None:
    serials = [serial for serial in serials if "." not in serial[-3:] and not serial.startswith(("127.", "emulator"))]
    listing = "".join(f"{serial}\t{state}\n" for serial in serials)
    found = masked(report(listing, " ".join(serials)), serials_of(listing), [], Path("/root"))
    shown = report_text(found)
    for serial in serials:
        assert serial not in shown


def test_the_report_survives_a_fence_in_the_evidence() -> None:
    assert report_text(report("```\n# heading\n")).count("```") == 2
