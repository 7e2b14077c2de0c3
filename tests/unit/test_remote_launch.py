"""A launch on a device in memory: what its script says, lost connections, and how the runner ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.devices import exit_codes
from hwbench.devices.base import LaunchRequest, Pulse
from hwbench.devices.exit_codes import runner_failed
from hwbench.devices.memory_transport import Answer, InMemoryTransport, Request, Running
from hwbench.devices.platform import Watched
from hwbench.devices.remote_launch import Ending, Patience, RemoteLaunches, _Watcher
from hwbench.devices.transport import Finished
from hwbench.errors import (
    DeviceError,
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
from hwbench.measure.plan import Evaluation, Job, Plan

WORK = "/data/local/tmp/hwbench/work-1"
RESULTS = f"{WORK}/launch-0.results.jsonl"
CRASHES = {
    126: RunnerNotExecutable, 127: RunnerIncomplete, 132: RunnerIllegal, 134: RunnerAborted, 135: RunnerBusError,
    137: RunnerKilled, 139: RunnerSegfault, 159: RunnerForbidden,
}  # fmt: skip
WATCHED = Watched("/sys/clock", "/sys/temp")


class Device:
    """A device whose script answers what a test says, one answer for each time it is asked."""

    def __init__(self, folder: Path) -> None:
        self.transport = InMemoryTransport({RESULTS: b"results\n"})
        self.transport.answer("sh", self._answer)
        self.answers: list[Answer | Callable[[], Answer]] = []
        self.reconnected = 0
        self.pulses: list[Pulse] = []
        plan = Plan(
            launch=0, run_pass="time", delegate="xnnpack", threads=1, cores=(0,), seed=0, deadline_s=60.0,
            jobs=(Job("a", "models/a", "0", 1),), memory_budget_bytes=1, parent_pid=0,
        )  # fmt: skip
        (folder / "launch-0.plan.json").write_bytes(msgspec.json.encode(plan))
        self.request = LaunchRequest(folder / "launch-0.plan.json", folder / "launch-0.results.jsonl", 60.0)
        self.launches = self._launches(Patience())

    def patience(self, silence_s: float) -> None:
        self.launches = self._launches(Patience(silence_s=silence_s))

    def _launches(self, patience: Patience) -> RemoteLaunches:
        return RemoteLaunches(self.transport, "/script", WORK, patience, self._came_back)

    def launch(self) -> None:
        self.launches.launch(("/runner",), self.request, WATCHED, self.pulses.append)

    def verbs(self) -> list[str]:
        return [request.words[2] for request in self.transport.requests]

    def _came_back(self) -> None:
        self.reconnected += 1

    def _answer(self, request: Request) -> Answer:
        answer = self.answers.pop(0)
        return answer() if callable(answer) else answer


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def printed(*lines: str, code: int = 0) -> Finished:
    return Finished(code, "".join(f"{line}\n" for line in lines).encode(), b"")


def test_a_launch_is_followed_to_its_end(device: Device) -> None:
    device.answers = [printed("beat ", "beat 1 running 1 a", "beat 5 2 3", "read 0 1800000", "read 1 31500", "exit 0")]
    device.launch()
    assert device.pulses[-1] == Pulse(3, 31.5, 1_800_000)
    assert device.request.results.read_bytes() == b"results\n"
    assert set(device.transport.files) >= {f"{WORK}/launch-0.plan.json", f"{WORK}/launch-0.watch"}
    assert device.transport.requests[0].words == ("sh", "/script", "launch", WORK, "launch-0", "/runner")
    assert not device.launches.owing


@pytest.mark.parametrize(("code", "kind"), CRASHES.items())
def test_a_crash_is_told_by_its_code_after_its_results_were_saved(
    device: Device, code: int, kind: type[RunnerCrashed]
) -> None:
    device.answers = [printed("beat 1 2 3", "said out of \x1b[2Jluck", f"exit {code}")]
    with pytest.raises(kind, match=r"^The runner on memory .*out of \x1b\[2Jluck") as raised:
        device.launch()
    assert type(raised.value) is kind
    assert raised.value.hint
    assert raised.value.exit_code == 3
    assert device.request.results.read_bytes() == b"results\n"


@pytest.mark.parametrize("last", ["gone", "never"])
def test_a_runner_that_vanished_leaves_what_it_wrote(device: Device, last: str) -> None:
    device.answers = [printed("beat 1 2 3", last)]
    device.launch()
    assert device.request.results.read_bytes() == b"results\n"


def test_without_a_result_file_a_launch_brought_nothing(device: Device) -> None:
    device.transport.files.pop(RESULTS)
    device.answers = [printed("exit 0")]
    device.launch()
    assert not device.request.results.exists()


@pytest.mark.parametrize("after", range(4))
def test_a_launch_is_never_started_twice(device: Device, after: int) -> None:
    """Whichever operation loses the device: it is started once at most, followed after that, and brought back."""
    device.answers = [printed("beat 1 2 3", "exit 0")] * 2
    device.transport.lose(after + 2)  # The two files of the push come first.
    device.launch()
    assert device.verbs()[1:] in ([], ["follow"])
    assert device.verbs().count("launch") <= 1
    assert device.request.results.read_bytes() == b"results\n"
    assert device.reconnected == 1


def test_a_push_that_breaks_is_done_again(device: Device) -> None:
    device.answers = [printed("exit 0")]
    device.transport.lose(1)
    device.launch()
    assert device.verbs() == ["launch"]
    assert device.reconnected == 1


def test_a_device_that_stays_away_is_lost(device: Device) -> None:
    device.answers = [printed("beat 1 2 3")]
    device.transport.lose(3, comes_back=False)
    with pytest.raises(DeviceLost, match="did not come back within 120 s"):
        device.launch()
    assert device.launches.owing


def test_a_connection_that_breaks_for_ever_is_given_up(device: Device) -> None:
    device.answers = [printed("beat 1 2 3")] * 100
    with pytest.raises(DeviceLost, match="The connection to memory breaks again and again") as raised:
        device.launch()
    assert raised.value.hint


def test_a_silent_runner_is_stopped_and_its_results_are_saved(device: Device) -> None:
    device.patience(-1.0)
    device.answers = [Running(b"beat 1 2 3\n"), printed("exit 0")]
    with pytest.raises(RunnerTimeout, match="The runner on memory gave no sign of life"):
        device.launch()
    assert device.verbs() == ["launch", "stop"]
    assert device.request.results.read_bytes() == b"results\n"


def test_a_runner_past_its_deadline_is_stopped(device: Device) -> None:
    device.request = msgspec.structs.replace(device.request, deadline_s=-100.0)
    device.answers = [Running(b"beat 1 2 3\n"), printed("exit 0")]
    with pytest.raises(RunnerTimeout, match="The runner on memory passed its deadline"):
        device.launch()
    assert device.verbs() == ["launch", "stop"]


def test_an_interruption_stops_the_runner(device: Device) -> None:
    def interrupted(pulse: Pulse) -> None:
        raise KeyboardInterrupt

    device.answers = [Running(b"beat 1 2 3\n"), printed("exit 0")]
    with pytest.raises(KeyboardInterrupt):
        device.launches.launch(("/runner",), device.request, WATCHED, interrupted)
    assert device.verbs() == ["launch", "stop"]
    assert device.request.results.read_bytes() == b"results\n"


def test_a_result_that_is_too_large_is_not_taken(device: Device) -> None:
    device.transport.files[RESULTS] = bytes((64 << 20) + 24 * 20_000 + 1)
    device.answers = [printed("exit 0"), printed("exit 0")]
    with pytest.raises(DeviceError, match="larger than"):
        device.launch()
    assert list(device.request.results.parent.glob("*results*")) == []


def test_an_evaluation_may_bring_more(device: Device) -> None:
    plan = msgspec.json.decode(device.request.plan.read_bytes(), type=Plan)
    plan = msgspec.structs.replace(plan, evaluation=Evaluation("models/inputs", "0", 0, 1000, 16))
    device.request.plan.write_bytes(msgspec.json.encode(plan))
    device.transport.files[RESULTS] = bytes((64 << 20) + 24 * 20_000 + 1000 * 16 * 48)
    device.answers = [printed("exit 0")]
    device.launch()
    assert device.request.results.stat().st_size == len(device.transport.files[RESULTS])


def test_what_an_earlier_process_left_is_brought_back(device: Device) -> None:
    device.answers = [printed("said killed", "exit 137")]
    device.launches.recover(device.request, Watched(), device.pulses.append)
    assert device.verbs() == ["follow"]
    assert device.request.results.read_bytes() == b"results\n"


def watcher(watched: Watched = WATCHED) -> _Watcher:
    return _Watcher("memory", watched, 60.0, 60.0)


LINES = st.one_of(
    st.binary(max_size=60),
    st.tuples(
        st.sampled_from([b"beat", b"read", b"said", b"exit", b"gone", b"never", b"read 0", b"read 00009", b"beat 1 2"]),
        st.one_of(st.binary(max_size=30), st.integers().map(lambda n: b"%d" % n), st.just(b"--5")),
    ).map(b" ".join),
)


@given(st.lists(LINES, max_size=20), st.sampled_from([WATCHED, Watched(), Watched("/clock"), Watched(None, "/temp")]))
def test_no_line_of_a_device_is_more_than_a_reading_or_an_end(lines: list[bytes], watched: Watched) -> None:
    found = watcher(watched)
    for line in lines:
        ending = found.hear(line)
        assert ending is None or ending.code is None or 0 <= ending.code < 1000
        found.check()
        assert 0 <= found.pulse.visits < 10**12
        assert watched.clock_khz or found.pulse.frequency_khz is None
        assert watched.temperature_mc or found.pulse.temperature_c is None


@pytest.mark.parametrize("line", [b"exit", b"exit -1", b"exit 1000", b"exit 1e2", b"EXIT 0", b"exit 0 0", b""])
def test_only_a_code_is_an_end(line: bytes) -> None:
    assert watcher().hear(line) is None


def test_a_line_may_end_as_those_of_windows_do() -> None:
    assert watcher().hear(b"exit 0\r") == Ending(0)


def test_the_last_words_are_short(device: Device) -> None:
    device.answers = [printed("said " + "x" * 500_000, "exit 1")]
    with pytest.raises(RunnerCrashed) as raised:
        device.launch()
    assert len(str(raised.value)) < 600


@given(st.integers(1, 255), st.text(max_size=500))
def test_every_code_gives_one_sentence_and_a_next_step(code: int, log: str) -> None:
    error = runner_failed(code, log, "Get it.", "adb:R58M")
    assert "The runner on adb:R58M" in error.message
    assert error.hint
    assert type(error) is CRASHES.get(code, RunnerCrashed)
    assert len(error.message) < 600
    assert (error.hint == "Get it.") == (code == exit_codes.NO_ENGINE)
