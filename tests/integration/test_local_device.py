"""This computer as a device: a runner that crashes, hangs or dies becomes one sentence."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from hwbench.devices import LaunchRequest, LocalDevice
from hwbench.devices.local_runner import LocalRunner, of_python
from hwbench.devices.lock import exclusive
from hwbench.errors import DeviceBusy, DeviceError, RunnerCrashed, RunnerTimeout, UsageError


def fake_runner(folder: Path, script: str) -> LocalRunner:
    """A Python runner whose interpreter does what the shell script says, whatever it is asked to run."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return of_python(path)


def launch(folder: Path, script: str, silence_s: float = 60.0, deadline_s: float = 60.0) -> None:
    device = LocalDevice(fake_runner(folder, script), silence_s)
    device.launch(LaunchRequest(folder / "plan.json", folder / "results.jsonl", deadline_s), lambda _: None)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kill -9 $$", "SIGKILL"),
        ("kill -11 $$", "SIGSEGV"),
        ("kill -4 $$", "SIGILL"),
        ("echo the end >&2; exit 9", "status 9; its last words: the end"),
        ("echo no engine: none >&2; exit 65", "no engine"),
        ("echo plan.seed is missing >&2; exit 64", "plan.seed is missing"),
    ],
)
def test_a_runner_that_fails_is_explained(tmp_path: Path, script: str, words: str) -> None:
    with pytest.raises(RunnerCrashed, match=words):
        launch(tmp_path, script)


def test_a_silent_runner_is_ended(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(RunnerTimeout, match="no sign of life for 1 s"):
        launch(tmp_path, "exec sleep 60", silence_s=1.0)
    assert time.monotonic() - begin < 30


def test_a_beating_heart_keeps_a_slow_runner_alive(tmp_path: Path) -> None:
    launch(tmp_path, 'for i in 1 2 3 4 5 6; do echo $i > "$3.heartbeat"; sleep 0.3; done', silence_s=1.0)


def test_a_self_test_that_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(RunnerCrashed, match="self-test"):
        LocalDevice(fake_runner(tmp_path, "exit 1")).engine("litert")
    says = (
        """echo '{"runner": "x", "protocol": 2, "emulated": false, "engines": [{"engine": "litert", "error": "no"}]}'"""
    )
    with pytest.raises(DeviceError, match=r"cannot use litert: no\."):
        LocalDevice(fake_runner(tmp_path, says)).engine("litert")
    with pytest.raises(DeviceError, match="cannot use executorch"):
        LocalDevice(fake_runner(tmp_path, says)).engine("executorch")
    older = says.replace("2", "1")
    with pytest.raises(RunnerCrashed, match="speaks version 1 of the protocol; this hwbench needs 2"):
        LocalDevice(fake_runner(tmp_path, older)).engine("litert")


def test_only_one_holds_the_lock() -> None:
    name = f"test-{os.getpid()}"
    with exclusive(name, "local"), pytest.raises(DeviceBusy, match=f"process {os.getpid()} since"):
        with exclusive(name, "local"):
            pass
    with exclusive(name, "local"):
        pass


def test_cores_are_chosen_from_the_usable_ones() -> None:
    device = LocalDevice()
    usable = sorted(os.sched_getaffinity(0))
    assert set(device.choose_cores(1, ())) <= set(usable)
    assert device.choose_cores(len(usable) + 4, ()) == tuple(usable)
    assert device.choose_cores(1, (usable[0],)) == (usable[0],)
    with pytest.raises(UsageError, match="not all available"):
        device.choose_cores(1, (4095,))
