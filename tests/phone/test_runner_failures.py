"""How a launch on a phone fails: its runner's end, its locks, its heat; what cannot be read or pinned is flagged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

import msgspec
import pytest

import hwbench
from hwbench.devices.adb import AdbTransport
from hwbench.devices.adb_server import AdbServer as Server
from hwbench.devices.base import LaunchRequest
from hwbench.devices.bundle import file_sha256
from hwbench.devices.installation import Installation
from hwbench.devices.lock import exclusive
from hwbench.devices.phone.gate import Wait
from hwbench.devices.phone.phone import Phone
from hwbench.devices.platform import Watched
from hwbench.devices.remote import RemoteDevice, _lock_name
from hwbench.devices.remote_launch import Patience, RemoteLaunches
from hwbench.devices.runner_files import launch_script, selftest_models
from hwbench.devices.transport import PushFile
from hwbench.errors import (
    DeviceLost,
    RunnerAborted,
    RunnerBusError,
    RunnerCrashed,
    RunnerForbidden,
    RunnerIllegal,
    RunnerIncomplete,
    RunnerKilled,
    RunnerNotExecutable,
    RunnerSegfault,
    RunnerTimeout,
)
from hwbench.measure.plan import Job, Plan
from hwbench.measure.presets import PRESETS
from hwbench.measure.results import read_results
from hwbench.measure.samples import collect
from hwbench.records import Estimator
from tests.conftest import TINY
from tests.integration.bundles import built, own_cache
from tests.phone import binfmt
from tests.phone.adb_server import DEBIAN, AdbServer, eventually
from tests.phone.command_line import ONCE
from tests.phone.conftest import Phones
from tests.phone.faults import Faults, Moment
from tests.phone.model import PIXEL
from tests.phone.phone import VirtualPhone
from tests.phone.test_failures import profile

TMP = "/data/local/tmp"
WORK = f"{TMP}/hwbench/work-1"
SCRIPT = f"{TMP}/hwbench/launch.sh"
PLAN = Plan(
    launch=0, run_pass="time", delegate="xnnpack", threads=1, cores=(0,), seed=0, deadline_s=60.0,
    jobs=(Job("a", "models/a", "0", 1),), memory_budget_bytes=1, parent_pid=0,
)  # fmt: skip


class Connected:
    """A phone that no test changes for good, and the way to it."""

    def __init__(self, phone: VirtualPhone, server: AdbServer) -> None:
        self.phone = phone
        self.server = server
        self.transport = AdbTransport(phone.serial, Server(server.port))
        self.transport.push([PushFile(launch_script(), SCRIPT)])

    def launch(self, folder: Path, *command: str, patience: Patience | None = None, plan: Plan = PLAN) -> None:
        """One launch of a command in the place of the runner."""
        (folder / "launch-0.plan.json").write_bytes(msgspec.json.encode(plan))
        request = LaunchRequest(folder / "launch-0.plan.json", folder / "launch-0.results.jsonl", 60.0)
        launches = RemoteLaunches(self.transport, SCRIPT, WORK, patience or Patience(), lambda: None)
        launches.launch(command, request, Watched(), lambda pulse: None)


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    binfmt.enable()
    built("android-arm64")
    server = AdbServer(DEBIAN, tmp_path_factory.mktemp("adb"))
    phone = VirtualPhone(tmp_path_factory.mktemp("phone") / "files")
    try:
        phone.start()
        server.connect(phone)
        yield Connected(phone, server)
    finally:
        phone.stop()
        server.stop()


def sh(lines: str) -> tuple[str, ...]:
    return ("sh", "-c", f"echo 'last words' >&2; {lines}")


ENDS: dict[str, tuple[tuple[str, ...], type[RunnerCrashed]]] = {
    "not executable": ((SCRIPT,), RunnerNotExecutable),
    "missing": ((f"{TMP}/missing/ld.so", "runner"), RunnerIncomplete),
    "SIGILL": (sh("kill -ILL $$"), RunnerIllegal),
    "SIGABRT": (sh("kill -ABRT $$"), RunnerAborted),
    "SIGBUS": (sh("kill -BUS $$"), RunnerBusError),
    "SIGKILL": (sh("kill -KILL $$"), RunnerKilled),
    "SIGSEGV": (sh("kill -SEGV $$"), RunnerSegfault),
    "SIGSYS": (sh("kill -SYS $$"), RunnerForbidden),
    "another": (sh("exit 9"), RunnerCrashed),
}


@pytest.mark.parametrize(("command", "kind"), ENDS.values(), ids=ENDS)
def test_how_a_runner_ends(
    connected: Connected, tmp_path: Path, command: tuple[str, ...], kind: type[RunnerCrashed]
) -> None:
    with pytest.raises(RunnerCrashed) as raised:
        connected.launch(tmp_path, *command)
    assert type(raised.value) is kind
    assert f"The runner on adb:{connected.phone.serial} " in raised.value.message
    assert raised.value.hint
    assert raised.value.exit_code == 3
    assert command[0] != "sh" or "last words" in raised.value.message


def test_a_runner_without_a_sign_of_life_is_ended(connected: Connected, tmp_path: Path) -> None:
    with pytest.raises(RunnerTimeout, match=re.escape(f"The runner on adb:{connected.phone.serial} gave no sign")):
        connected.launch(tmp_path, "sleep", "7010", patience=Patience(silence_s=2.0))
    eventually(lambda: b"sleep 7010" not in connected.transport.run(["ps", "-A", "-o", "ARGS"]).stdout, "it lives on")


def test_a_phone_that_another_hwbench_of_this_computer_measures(connected: Connected, tmp_path: Path) -> None:
    name = connected.transport.name
    with exclusive(_lock_name(name), name):
        said = profile(connected.server, tmp_path, name, TMPDIR=gettempdir())
    assert said.code == 3
    assert re.match(rf"Device {name} is being measured by process \d+ since .*\. Wait for it", said.sentence)


def test_a_phone_that_another_computer_measures(connected: Connected, tmp_path: Path) -> None:
    other = Installation(connected.transport, built("android-arm64"))
    other.install()
    other.lock("another computer since \x1b[31m12:00")
    try:
        said = profile(connected.server, tmp_path, connected.transport.name)
    finally:
        other.unlock()
        connected.transport.run(["rm", "-rf", *other.places])
    assert said.code == 3
    assert "is being measured by another computer since ?[31m12:00. Wait for it" in said.sentence


def test_heat_is_waited_for_so_long_and_then_flagged(connected: Connected) -> None:
    seen: list[float | None] = []
    phone = Phone(connected.transport, wait=Wait(poll_s=1, longest_s=2))
    connected.phone.set_temperature(60.0, status=2)
    try:
        assert phone.gate(lambda pulse: seen.append(pulse.temperature_c)) == ("gate_timeout",)
        assert phone.after() == hwbench.devices.LaunchReport(("throttled",), redo=True)
        assert Phone(connected.transport, ["thermal_status", "temperature"]).gate(lambda pulse: None) == ()
    finally:
        connected.phone.set_temperature(41.0)
    assert phone.after() == hwbench.devices.LaunchReport()
    assert seen
    assert all(seen)


def test_a_hot_phone_is_not_ready(connected: Connected, tmp_path: Path) -> None:
    connected.phone.set_temperature(60.0, status=3, frequency_share=0.5)
    try:
        said = profile(connected.server, tmp_path, connected.transport.name)
    finally:
        connected.phone.set_temperature(41.0)
    assert said.code == 2
    assert re.search(r"is not ready: .*\[temperature\].*\[thermal_status\]\. Let it cool", said.sentence)
    assert "--allow temperature --allow thermal_status" in said.sentence


def test_what_is_allowed_or_refused_by_the_phone_is_flagged(
    adb_server: AdbServer, phones: Phones, tmp_path: Path
) -> None:
    """Its battery is low, and its clocks and temperatures are hidden."""
    built("android-arm64")
    model = msgspec.structs.replace(
        PIXEL, battery_percent=9, readable_thermal=False, readable_cpufreq=False, thermal_service=False
    )
    phone = phones(model)
    output = tmp_path / "table.json"
    said = profile(
        adb_server, tmp_path, f"adb:{phone.serial}", "--allow", "battery", "--cache", "warm", "-o", str(output)
    )
    assert said.code == 0, said.stderr
    table = hwbench.load_table(output)
    assert all({"battery", "emulated"} <= set(row.flags) for row in table.rows)
    assert all(row.measurement for row in table.rows)
    assert any(note.startswith("not checked: thermal_status") for note in table.notes)
    assert table.device.frequency_khz_max is None
    assert "frequency_khz" in table.device.unreadable


def test_a_core_that_the_kernel_refuses_leaves_the_launch_unpinned(connected: Connected, tmp_path: Path) -> None:
    runner = Installation(connected.transport, built("android-arm64"))
    runner.install()
    model = next(path for path in selftest_models() if path.suffix == ".tflite")
    connected.transport.push([PushFile(model, f"{WORK}/models/a")])
    plan = msgspec.structs.replace(
        PLAN,
        cores=(7,),
        jobs=(Job("a", "models/a", file_sha256(model), 1),),
        burst=ONCE.burst,
        memory_budget_bytes=1 << 30,
    )
    connected.launch(tmp_path, *runner.command, plan=plan)
    connected.transport.run(["rm", "-rf", *runner.places])
    result = read_results(tmp_path / "launch-0.results.jsonl", 0, plan.rounds)
    assert result.complete
    assert len(result.visits) == 1
    assert result.launch is not None
    assert result.launch.cores is None
    assert not collect([result], Estimator()).pinned


def test_a_phone_that_dies_in_a_launch_is_lost_and_what_there_is_is_kept(
    phones: Phones, adb_server: AdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "quick", ONCE)
    phone = phones()
    phone.set_faults(Faults(moment=Moment(command="launch.sh launch", delay_s=1.0)))
    transport = AdbTransport(phone.serial, Server(adb_server.port))
    device = RemoteDevice(transport, Phone(transport), Patience(reconnect_s=1.0))
    with own_cache(), pytest.raises(DeviceLost, match=rf"{transport.name} did not come back within 1 s") as raised:
        hwbench.profile(TINY, device=device, output=tmp_path / "table.json")
    assert "--resume" in (raised.value.hint or "")
    assert not (tmp_path / "table.json").exists()
    assert list(tmp_path.rglob("journal.jsonl"))
