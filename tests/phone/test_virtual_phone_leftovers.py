"""Nothing of a virtual phone stays: no process, no mount, no port, no file; however it or its test ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.phone import binfmt
from tests.phone.adb_server import AdbServer, eventually
from tests.phone.phone import VirtualPhone


def processes(folder: Path) -> list[str]:
    """Every process that has to do with a phone in a folder, by its words, its root or its mounts."""
    mark = str(folder)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if mark in words or mark in os.readlink(entry / "root") or mark in (entry / "mountinfo").read_text():
                found.append(words)
        except OSError:
            pass
    return found


def listening(serial: str) -> bool:
    host, port = serial.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_phone_leaves_nothing(adb_server: AdbServer, tmp_path: Path, end: str) -> None:
    phone = VirtualPhone(tmp_path / "files")
    phone.start()
    adb_server.connect(phone)
    adb_server.shell(phone, "(trap '' HUP TERM; nohup sleep 7006 >/dev/null 2>&1 &)")
    adb_server.shell(phone, "nohup setsid sleep 7007 >/dev/null 2>&1 &")
    assert any("sleep 7007" in words for words in processes(tmp_path))
    if end == "kill":
        os.kill(phone.daemon_process, signal.SIGKILL)
        eventually(lambda: not any("sleep 700" in words for words in processes(tmp_path)), "its programs live on")
        assert not listening(phone.serial)
    phone.stop()
    eventually(lambda: processes(tmp_path) == [], "something lives on")
    assert not listening(phone.serial)
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    assert not (tmp_path / "files/root").exists()


def test_phones_end_with_a_test_that_is_killed(tmp_path: Path) -> None:
    binfmt.enable()
    script = """
        import sys, time
        from pathlib import Path
        from tests.phone.phone import VirtualPhone

        phone = VirtualPhone(Path(sys.argv[1]) / "files")
        phone.start()
        print(phone.serial, flush=True)
        time.sleep(600)
    """
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner.stdout as output:
        serial = output.readline().strip()
        assert listening(serial)
        owner.kill()
        owner.wait()
    eventually(lambda: processes(tmp_path) == [] and not listening(serial), "something lives on")
