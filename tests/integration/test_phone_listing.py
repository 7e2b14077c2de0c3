"""`hwbench devices` and `hwbench doctor` with phones, servers and adb programs of every kind; none of it hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Hwbench
from tests.scripted_adb import ScriptedAdb

READY = "R58MSECRET device usb:9-9 product:beyond1 model:SM_G973F device:beyond1 transport_id:1\n"
WAITING = "R58MSECRET unauthorized transport_id:1\n"
Watch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedAdb]:
    with ScriptedAdb(READY) as double:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(double.port))
        yield double


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """Starts `hwbench devices --watch ...`, the lines of which can be read."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "hwbench", "devices", "--watch", *arguments],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=20)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_phones_are_listed_beside_this_computer(hwbench: Hwbench, double: ScriptedAdb) -> None:
    document = json.loads(hwbench("devices", "--json", timeout=60).stdout)
    local, phone = document["devices"]
    assert local["name"] == "local"
    assert (phone["name"], phone["state"], phone["summary"]["model"]) == ("adb:R58MSECRET", "device", "SM G973F")
    assert document["adb_problem"] is None
    double.listing = WAITING
    shown = hwbench("devices", timeout=60).stdout
    assert "adb:R58MSECRET  unauthorized" in shown
    assert "accept its dialog" in shown


@pytest.mark.parametrize("fault", [None, b"", b"garbage!"])
def test_a_sick_server_leaves_this_computer_listed(hwbench: Hwbench, double: ScriptedAdb, fault: bytes | None) -> None:
    double.answers["host:version"] = fault
    begun = time.monotonic()
    done = hwbench("devices", "--json", timeout=60)
    assert time.monotonic() - begun < 45
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [device["name"] for device in document["devices"]] == ["local"]
    assert "adb server" in document["adb_problem"]


def test_watch_prints_changes_until_it_is_interrupted(double: ScriptedAdb, watch: Watch) -> None:
    double.listing = ""
    process = watch()
    wait_for(double)
    double.change(WAITING)
    assert "adb:R58MSECRET  unauthorized" in line(process)
    assert "accept its dialog" in line(process)
    double.change(READY)
    assert "adb:R58MSECRET  ready, SM G973F" in line(process)
    double.change("")
    assert "adb:R58MSECRET  detached" in line(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert process.stdout is not None
    assert process.stdout.read() == ""


def test_watch_prints_one_json_line_a_change(double: ScriptedAdb, watch: Watch) -> None:
    process = watch("--json")
    first = json.loads(line(process))
    assert (first["change"], first["phone"]["name"]) == ("attached", "adb:R58MSECRET")
    double.change(WAITING)
    assert json.loads(line(process))["phone"]["state"] == "unauthorized"
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130


def test_watch_ends_with_a_sentence_when_the_server_is_sick(double: ScriptedAdb, watch: Watch) -> None:
    double.answers["host:track-devices"] = b"FAIL0007no such"
    process = watch("--json")
    document = json.loads(line(process))
    assert document["exit_code"] == 3
    assert "no such" in document["error"]
    assert process.wait(20) == 3
    process = watch()
    assert process.wait(40) == 3
    assert process.stderr is not None
    assert "adb kill-server" in process.stderr.read()


def test_watch_into_a_pipe_that_closes(double: ScriptedAdb, watch: Watch) -> None:
    process = watch()
    assert "ready" in line(process)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    double.change(WAITING)
    process.wait(20)
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


def test_the_doctor_on_a_phone_that_waits(hwbench: Hwbench, double: ScriptedAdb) -> None:
    double.listing = WAITING
    done = hwbench("doctor", timeout=60)
    assert done.returncode == 0
    assert "--   phone adb:R58MSECRET: unauthorized" in done.stdout
    document = json.loads(hwbench("doctor", "--json", timeout=60).stdout)
    assert document["ok"] is True
    assert any(finding["what"] == "phone adb:R58MSECRET" for finding in document["findings"])


def test_the_report_can_be_pasted(hwbench: Hwbench, double: ScriptedAdb) -> None:
    shown = hwbench("doctor", "--report", timeout=60)
    assert shown.returncode == 0
    assert "SERIAL1 device usb:9-9 product:beyond1 model:SM_G973F" in shown.stdout
    assert "-- adb version" in shown.stdout
    document = json.loads(hwbench("doctor", "--report", "--json", timeout=60).stdout)
    assert document["devices"].startswith("SERIAL1 device")
    for text in (shown.stdout, json.dumps(document)):
        assert "SECRET" not in text
        assert str(Path.home()) + "/" not in text


@pytest.mark.parametrize("command", [("doctor",), ("doctor", "--report"), ("devices",)])
def test_an_adb_that_hangs_or_is_missing_takes_no_minute(
    hwbench: Hwbench, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "adb"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    for path in (program, tmp_path / "missing"):
        monkeypatch.setenv("ADBUTILS_ADB_PATH", str(path))
        done = hwbench(*command, timeout=60)
        assert done.returncode == 0, done.stderr
        # Without a phone on the USB, `devices` does not need adb.
        assert ("ADBUTILS_ADB_PATH names" in done.stdout + done.stderr) == (command[0] != "devices")


def wait_for(double: ScriptedAdb) -> None:
    """Until someone tracks."""
    limit = time.monotonic() + 30
    while not double.tracked:
        assert time.monotonic() < limit
        time.sleep(0.05)
