"""One launch on a remote device: started so that it outlives the connection, followed, and its results brought back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from hwbench.devices.base import LaunchRequest, Pulse
from hwbench.devices.exit_codes import runner_failed
from hwbench.devices.heartbeat import visits_done
from hwbench.devices.phone.text import whole
from hwbench.devices.platform import Watched
from hwbench.devices.transport import PushFile, Transport
from hwbench.errors import DeviceError, DeviceLost, DeviceTimeout, RemoteFileMissing, RunnerError, RunnerTimeout

T = TypeVar("T")

_LINE_S = 20.0
_STOP_S = 60.0
_GRACE_S = 30.0
_TRIES = 5
_INSTALL = "Run `hwbench runner build` for that device."
# A visit's line holds two numbers per invoke, an output's line two per element; everything else is small.
_BYTES_PER_INVOKE = 24
_BYTES_PER_ELEMENT = 48
_BYTES_PER_OUTPUT = 1024
_BYTES_BESIDE = 64 << 20


class Patience(msgspec.Struct, frozen=True):
    """How long a runner may give no sign of life, and how long a lost device is waited for."""

    silence_s: float = 120.0
    reconnect_s: float = 120.0


class Ending(msgspec.Struct, frozen=True):
    """How a launch ended: the runner's exit code, or None if it vanished; `said` are its last words."""

    code: int | None
    said: str = ""


class RemoteLaunches:
    """Launches in one work folder of a device. `reconnected` is called when the device has come back.

    `owing` is true while the folder may hold results that have not been brought back.
    """

    def __init__(
        self,
        transport: Transport,
        script: str,
        work: str,
        patience: Patience,
        reconnected: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._script = script
        self.folder = work
        self._patience = patience
        self._reconnected = reconnected
        self.owing = False

    def launch(
        self,
        command: Sequence[str],
        request: LaunchRequest,
        watched: Watched,
        progress: Callable[[Pulse], None],
    ) -> None:
        """Pushes the plan, runs it to its end and pulls the result file, through lost connections if need be.

        Raises RunnerCrashed with what the exit code means, RunnerTimeout, DeviceLost when the device does not come
        back; whatever lines there are have been brought back wherever that was possible.
        """
        name = _name(request)
        watch = request.plan.with_name(f"{name}.watch")
        watch.write_text("".join(f"{path}\n" for path in watched.files))
        files = [
            PushFile(request.plan, f"{self.folder}/{name}.plan.json"),
            PushFile(watch, f"{self.folder}/{name}.watch"),
        ]
        self.steadily(lambda: self._transport.push(files))
        self._see_through([*self._verb("launch", name), *command], request, watched, progress)

    def recover(self, request: LaunchRequest, watched: Watched, progress: Callable[[Pulse], None]) -> None:
        """Follows a launch that an earlier process started, if it is still there, and pulls what it has written."""
        with suppress(RunnerError):
            self._see_through(self._verb("follow", _name(request)), request, watched, progress)

    def steadily(self, act: Callable[[], T]) -> T:
        """Does something that may be repeated, again after a lost connection."""
        for _ in range(_TRIES - 1):
            try:
                return act()
            except (DeviceLost, DeviceTimeout):
                self._reconnect()
        return act()

    def _verb(self, verb: str, name: str) -> list[str]:
        return ["sh", self._script, verb, self.folder, name]

    def _see_through(
        self, words: Sequence[str], request: LaunchRequest, watched: Watched, progress: Callable[[Pulse], None]
    ) -> None:
        self.owing = True
        try:
            ending = self._follow(words, request, watched, progress)
        except BaseException:
            # Ctrl-C, a deadline, a device that is gone: stop what runs and save what there is, if it can be reached.
            with suppress(DeviceError):
                self._transport.run(self._verb("stop", _name(request)), timeout_s=_STOP_S)
                self._pull(request)
            raise
        self.steadily(lambda: self._pull(request))
        if ending.code:
            raise runner_failed(ending.code, ending.said, _INSTALL, self._transport.name)

    def _follow(
        self, words: Sequence[str], request: LaunchRequest, watched: Watched, progress: Callable[[Pulse], None]
    ) -> Ending:
        watcher = _Watcher(self._transport.name, watched, request.deadline_s + _GRACE_S, self._patience.silence_s)
        lost = 0
        while True:
            try:
                with self._transport.open(words) as stream:
                    while (line := stream.read_line(_LINE_S)) is not None:
                        ending = watcher.hear(line)
                        if ending is not None:
                            return ending
                        progress(watcher.pulse)
                        watcher.check()
            except (DeviceLost, DeviceTimeout):
                pass
            lost += 1
            if lost >= _TRIES * 4:
                raise DeviceLost(
                    f"The connection to {self._transport.name} breaks again and again.",
                    hint="Try another cable or port, then continue with --resume.",
                )
            self._reconnect()
            watcher.returned()
            words = self._verb("follow", _name(request))

    def _reconnect(self) -> None:
        self._transport.reconnect(self._patience.reconnect_s)
        self._reconnected()

    def _pull(self, request: LaunchRequest) -> None:
        with suppress(RemoteFileMissing):
            self._transport.pull(
                f"{self.folder}/{_name(request)}.results.jsonl", request.results, _limit_bytes(request.plan)
            )
        self.owing = False


class _Watcher:
    """Makes sense of what launch.sh prints while it follows a launch."""

    def __init__(self, device: str, watched: Watched, longest_s: float, silence_s: float) -> None:
        self.pulse = Pulse(0)
        self._device = device
        self._watched = watched
        self._silence_s = silence_s
        self._end = time.monotonic() + longest_s
        self._heard = time.monotonic()
        self._beat = b""
        self._said = ""

    def hear(self, line: bytes) -> Ending | None:
        """The ending, if the line tells of it. Lines that mean nothing are ignored."""
        word, _, rest = line.strip().partition(b" ")
        match word:
            case b"beat" if rest != self._beat:
                self._beat, self._heard = rest, time.monotonic()
                self.pulse = msgspec.structs.replace(self.pulse, visits=visits_done(rest))
            case b"read":
                self._read(*rest.partition(b" ")[::2])
            case b"said":
                self._said = rest[:1000].decode(errors="replace")
            case b"exit" if rest.isdigit() and len(rest) < 4:
                return Ending(int(rest), self._said)
            case b"gone" | b"never":
                return Ending(None)
            case _:
                pass
        return None

    def check(self) -> None:
        """Raises RunnerTimeout when the runner is silent for too long or passes its deadline."""
        now = time.monotonic()
        if now > self._end:
            raise RunnerTimeout(f"The runner on {self._device} passed its deadline.", hint="Continue with --resume.")
        if now - self._heard > self._silence_s:
            raise RunnerTimeout(
                f"The runner on {self._device} gave no sign of life for {self._silence_s:.0f} s.",
                hint="Keep the screen unlocked and other programs closed, then continue with --resume.",
            )

    def returned(self) -> None:
        """The device was away: silence counts from now."""
        self._heard = time.monotonic()

    def _read(self, number: bytes, text: bytes) -> None:
        files = self._watched.files
        value = whole(text.decode(errors="replace"))
        if value is None or not (number.isdigit() and len(number) < 4) or int(number) >= len(files):
            return
        if files[int(number)] == self._watched.clock_khz:
            self.pulse = msgspec.structs.replace(self.pulse, frequency_khz=value)
        else:
            self.pulse = msgspec.structs.replace(self.pulse, temperature_c=value / 1000)


def _name(request: LaunchRequest) -> str:
    """The launch's name in its work folder, from the plan's file: `launch-3`, `probe`."""
    return request.plan.name.removesuffix(".json").removesuffix(".plan")


def _limit_bytes(plan: Path) -> int:
    """More than the result file of a plan can have: what is larger is not ours."""
    wanted = msgspec.json.decode(plan.read_bytes(), type=_Sizes)
    visits = sum(job.rounds for job in wanted.jobs)
    outputs = 0
    if (evaluation := wanted.evaluation) is not None:
        outputs = len(wanted.jobs) * evaluation.count * (_BYTES_PER_OUTPUT + _BYTES_PER_ELEMENT * evaluation.top)
    return _BYTES_BESIDE + visits * _BYTES_PER_INVOKE * wanted.burst.max_invokes + outputs


class _Burst(msgspec.Struct, frozen=True):
    max_invokes: int


class _Job(msgspec.Struct, frozen=True):
    rounds: int


class _Evaluation(msgspec.Struct, frozen=True):
    count: int
    top: int


class _Sizes(msgspec.Struct, frozen=True):
    """The part of a plan that says how large its results can be."""

    jobs: tuple[_Job, ...]
    burst: _Burst
    evaluation: _Evaluation | None = None
