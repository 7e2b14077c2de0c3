"""What goes wrong with a virtual phone looks as it does with a phone, in both versions of adb."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.phone.adb_server import BOTH_ADBS, DEBIAN, AdbServer, eventually
from tests.phone.conftest import Phones
from tests.phone.faults import Faults, Heat, Moment
from tests.phone.phone import VirtualPhone
from tests.phone.test_virtual_phone_services import TMP, noise

both_adbs = pytest.mark.parametrize("adb_server", BOTH_ADBS, indirect=True)


@pytest.fixture
def adb(adb_server: AdbServer) -> AdbServer:
    return adb_server


@pytest.fixture
def big(tmp_path: Path) -> Path:
    (tmp_path / "big").write_bytes(noise(8 << 20))
    return tmp_path / "big"


def said(finished: subprocess.CompletedProcess[bytes]) -> str:
    return (finished.stdout + finished.stderr).decode()


def boot_id(adb: AdbServer, phone: VirtualPhone) -> bytes:
    return adb.shell(phone, "cat /proc/sys/kernel/random/boot_id").stdout


@both_adbs
def test_a_phone_that_dies_while_a_command_runs_cuts_its_output(adb: AdbServer, phone: VirtualPhone) -> None:
    phone.set_faults(Faults(moment=Moment(command="sleep 60", delay_s=0.5)))
    finished = adb.shell(phone, "echo first; sleep 60; echo last")
    # Debian's adb says that all went well.
    assert finished.returncode == (0 if adb.program == DEBIAN else 255)
    assert (finished.stdout, finished.stderr) == (b"first\n", b"")
    adb.wait_for(phone, "offline")
    assert not phone.alive
    late = adb.shell(phone, "true")
    assert (late.returncode, "device offline" in said(late)) == (1, True)


@both_adbs
def test_a_phone_that_dies_in_a_push(adb: AdbServer, phone: VirtualPhone, big: Path) -> None:
    phone.set_faults(Faults(moment=Moment(received_bytes=1 << 20)))
    finished = adb.run("push", big, TMP, phone=phone)
    assert finished.returncode == 1
    assert ("couldn't read from device" if adb.program == DEBIAN else "failed to read copy response") in said(finished)
    phone.start()
    adb.connect(phone)
    assert str(big.stat().st_size) not in said(adb.shell(phone, f"ls -l {TMP}"))


def test_a_phone_dies_at_any_moment(adb: AdbServer, phones: Phones) -> None:
    moments = (Moment(service=3), Moment(sent_bytes=100_000), Moment(after_s=0.2))
    for moment in moments:
        phone = phones()
        phone.set_faults(Faults(moment=moment))
        counts = [len(adb.shell(phone, "head -c 40000 /dev/zero; sleep 0.1").stdout) for _ in range(4)]
        assert counts[-1] == 0, moment
        assert counts[0] == 40_000 or moment.after_s
        assert not phone.alive


@both_adbs
def test_a_full_disk(adb: AdbServer, phone: VirtualPhone, big: Path) -> None:
    phone.set_faults(Faults(free_bytes=1 << 20))
    finished = adb.run("push", big, TMP, phone=phone)
    assert finished.returncode == 1
    assert "remote write failed: No space left on device" in said(finished)
    written = adb.shell(phone, f"df {TMP} | tail -1; cat /dev/zero > {TMP}/zeros; rm {TMP}/zeros")
    assert written.stdout.split()[3] == b"1024"
    assert b"No space left on device" in written.stderr
    phone.set_faults(Faults(free_bytes=64 << 20))
    assert adb.run("push", big, TMP, phone=phone).returncode == 0


@both_adbs
def test_a_phone_that_does_not_trust_the_computer(adb: AdbServer, phones: Phones) -> None:
    phone = phones(faults=Faults(auth="reject"), connected=False)
    adb.connect(phone, "unauthorized")
    finished = adb.shell(phone, "true")
    assert (finished.returncode, "device unauthorized." in said(finished)) == (1, True)
    phone.set_faults(Faults(auth="accept"))
    adb.connect(phone)
    assert adb.shell(phone, "true").returncode == 0


@both_adbs
def test_a_phone_that_does_not_answer_is_offline(adb: AdbServer, phone: VirtualPhone) -> None:
    phone.set_faults(Faults(offline=True))
    adb.wait_for(phone, "offline")
    finished = adb.shell(phone, "true")
    assert (finished.returncode, "device offline" in said(finished)) == (1, True)
    phone.set_faults()
    adb.connect(phone)
    assert adb.shell(phone, "true").returncode == 0


def test_no_phone(adb: AdbServer, phone: VirtualPhone) -> None:
    adb.run("disconnect", phone.serial)
    assert "no devices/emulators found" in said(adb.run("shell", "true"))
    assert f"device '{phone.serial}' not found" in said(adb.shell(phone, "true"))


def test_a_phone_that_boots_answers_when_it_has_booted(adb: AdbServer, phone: VirtualPhone) -> None:
    before = boot_id(adb, phone)
    phone.set_faults(Faults(moment=Moment(after_s=0), effect="reboot"))
    adb.wait_for(phone, "offline")
    phone.plug_in()
    adb.connect(phone)
    assert boot_id(adb, phone) not in (before, b"")


@both_adbs
def test_what_runs_goes_on_without_the_cable(adb: AdbServer, phone: VirtualPhone) -> None:
    before = boot_id(adb, phone)
    adb.shell(phone, f"nohup sh -c 'while :; do echo x >> {TMP}/ticks; sleep 0.1; done' >/dev/null 2>&1 &")
    phone.pull_cable()
    adb.wait_for(phone, "offline")
    ticks = phone.root / f"{TMP[1:]}/ticks"
    eventually(ticks.exists, "nothing ran")
    then = ticks.stat().st_size
    eventually(lambda: ticks.stat().st_size > then, "nothing went on")
    phone.plug_in()
    adb.connect(phone)
    assert boot_id(adb, phone) == before
    assert b"ticks; sleep 0.1; done" in adb.shell(phone, "ps -A -o ARGS").stdout


@pytest.mark.parametrize("by", ["its owner", "adb", "its battery"])
def test_a_boot_keeps_files_and_settings_and_ends_the_rest(adb: AdbServer, phone: VirtualPhone, by: str) -> None:
    before = boot_id(adb, phone)
    adb.shell(phone, f"echo kept > {TMP}/file; settings put global name 'a b'; dumpsys battery unplug")
    adb.shell(phone, f"nohup sleep 7003 >/dev/null 2>&1 & chmod 600 {TMP}/file; cmd thermalservice override-status 3")
    if by == "its owner":
        phone.reboot()
    elif by == "adb":
        adb.run("reboot", phone=phone).check_returncode()
        adb.wait_for(phone, "offline")
    else:
        phone.die()
        phone.start()
    eventually(lambda: b"connected to" in adb.run("connect", phone.serial).stdout, "it never came back")
    adb.connect(phone)
    assert boot_id(adb, phone) not in (before, b"")
    assert adb.shell(phone, f"cat {TMP}/file; settings get global name").stdout == b"kept\na b\n"
    assert phone.settings("global") == {"name": "a b"}
    assert b"UPDATES STOPPED" not in adb.shell(phone, "dumpsys battery").stdout
    assert b"Thermal Status: 0" in adb.shell(phone, "dumpsys thermalservice").stdout
    assert b"7003" not in adb.shell(phone, "ps -A -o ARGS").stdout


@both_adbs
def test_a_program_that_is_killed(adb: AdbServer, phone: VirtualPhone) -> None:
    phone.set_faults(Faults(moment=Moment(command="7004"), effect="kill", victim="sleep 7004"))
    finished = adb.shell(phone, "cd / && exec sleep 7004")
    assert finished.returncode == 137
    assert adb.shell(phone, "true").returncode == 0


def test_a_cable_that_falls_out_by_itself(adb: AdbServer, phone: VirtualPhone) -> None:
    phone.set_faults(Faults(moment=Moment(command="7005", delay_s=0.2), effect="pull_cable"))
    adb.shell(phone, "sleep 7005")
    adb.wait_for(phone, "offline")
    assert phone.alive


def test_a_slow_link(adb: AdbServer, phone: VirtualPhone, big: Path) -> None:
    phone.set_faults(Faults(bytes_per_s=8 << 20))
    started = time.monotonic()
    adb.run("push", big, TMP, phone=phone).check_returncode()
    # At least: the link cannot be faster, and how slow the computer is does not matter.
    assert time.monotonic() - started >= 1


def test_a_phone_gets_hot_and_cools_down(adb: AdbServer, phone: VirtualPhone) -> None:
    shown = "dumpsys thermalservice | grep -E 'Status:|=BIG'; cat /sys/class/thermal/thermal_zone0/temp"
    shown += " /sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq"

    def now() -> list[bytes]:
        return adb.shell(phone, shown).stdout.splitlines()

    assert now()[-2:] == [b"41000", b"2802000"]
    phone.set_temperature(71.5, status=3, frequency_share=0.5)
    hot = now()
    assert hot[0] == b"Thermal Status: 3"
    assert b"mValue=71.500, mType=0, mName=BIG, mStatus=3" in hot[2]
    assert hot[-2:] == [b"71500", b"1401000"]
    zone = phone.root / "sys/class/thermal/thermal_zone0/temp"
    phone.set_faults(Faults(heat=(Heat(0, 60.0, 2, 0.75), Heat(1, 40.0))))
    eventually(lambda: zone.read_text() == "60000\n", "it did not heat up")
    eventually(lambda: zone.read_text() == "40000\n", "it did not cool down")
    assert now()[-2:] == [b"40000", b"2802000"]
