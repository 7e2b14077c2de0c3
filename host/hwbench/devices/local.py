"""This computer, measured through a runner in a process of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from hwbench.devices.base import LaunchReport, LaunchRequest, Pulse
from hwbench.devices.exit_codes import runner_failed, shell_code
from hwbench.devices.heartbeat import visits_done
from hwbench.devices.linux import LinuxMachine
from hwbench.devices.local_runner import LocalRunner, Selftest, choose, selftest
from hwbench.devices.lock import exclusive
from hwbench.errors import RunnerTimeout, UsageError
from hwbench.records import DeviceRecord, EngineRecord

_QUIET_SAMPLE_S = 0.1
_POLL_S = 0.1
_GRACE_S = 10.0


class LocalDevice:
    """This computer.

    `runner` executes the plans, by default the native one where a bundle is there, else the Python one; a runner
    that gives no sign of life for `silence_s` is ended.
    """

    name = "local"
    regime = "as_shipped"
    notes: tuple[str, ...] = ()

    def __init__(self, runner: LocalRunner | None = None, silence_s: float = 120.0) -> None:
        self._runner = runner or choose()
        self._silence_s = silence_s
        self._machine = LinuxMachine()
        self._selftests: dict[str, Selftest] = {}

    def record(self) -> DeviceRecord:
        return self._machine.record("local")

    @property
    def runner(self) -> str:
        return (next(iter(self._selftests.values()), None) or self._selftest("litert")).runner

    @property
    def runner_title(self) -> str:
        """The runner in words, for messages."""
        return self._runner.title

    def engine(self, name: str) -> EngineRecord:
        return self._selftest(name).engine(name, self._runner.title, self._runner.install)

    def _selftest(self, engine: str) -> Selftest:
        if engine not in self._selftests:
            self._selftests[engine] = selftest(self._runner, engine)
        return self._selftests[engine]

    def lock(self) -> AbstractContextManager[None]:
        return exclusive(self.record().id, self.name)

    def memory_budget_bytes(self) -> int:
        """The smaller of a quarter of the available memory and 1 GiB."""
        return min(self._machine.available_memory_bytes() // 4, 1 << 30)

    def choose_cores(self, threads: int, wanted: tuple[int, ...]) -> tuple[int, ...]:
        allowed = sorted(os.sched_getaffinity(0))
        if wanted:
            if not set(wanted) <= set(allowed):
                raise UsageError(f"Cores {wanted} are not all available; this process may use {allowed}.")
            return wanted
        if threads >= len(allowed):
            return tuple(allowed)
        before = self._machine.busy()
        time.sleep(_QUIET_SAMPLE_S)
        after = self._machine.busy()
        # The last cores first where all are equally quiet: core 0 often serves interrupts.
        busiest_last = sorted(allowed, key=lambda core: (after.get(core, 0) - before.get(core, 0), -core))
        return tuple(sorted(busiest_last[:threads]))

    def describe_cores(self, threads: int, wanted: tuple[int, ...]) -> str:
        if wanted:
            return ",".join(map(str, wanted))
        return f"{threads} of {','.join(map(str, sorted(os.sched_getaffinity(0))))}"

    def close(self) -> None:
        """Nothing is held between calls."""

    def parent_pid(self) -> int:
        return os.getpid()

    def launch(self, request: LaunchRequest, progress: Callable[[Pulse], None]) -> LaunchReport:
        log = request.results.with_suffix(".log")
        command = [*self._runner.command, str(request.plan), str(request.results)]
        with log.open("wb") as stderr:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
            try:
                self._wait(process, request, progress)
            finally:
                if process.poll() is None:
                    process.terminate()
                    try:
                        process.wait(_GRACE_S)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()
        if process.returncode != 0:
            said = log.read_text(errors="replace")
            raise runner_failed(shell_code(process.returncode), said, self._runner.install, self.name)
        return LaunchReport()

    def recover(self, request: LaunchRequest, progress: Callable[[Pulse], None]) -> None:
        """Nothing: a runner on this computer ends with its host, and its results lie here already."""

    def _wait(
        self, process: subprocess.Popen[bytes], request: LaunchRequest, progress: Callable[[Pulse], None]
    ) -> None:
        """Until the runner ends. Raises RunnerTimeout when it is silent for too long or passes its deadline."""
        heartbeat = request.results.with_name(f"{request.results.name}.heartbeat")
        begin = heard = time.monotonic()
        last = b""
        while True:
            try:
                process.wait(_POLL_S)
                return
            except subprocess.TimeoutExpired:
                beat = heartbeat.read_bytes() if heartbeat.exists() else b""
                progress(Pulse(visits_done(beat)))
            now = time.monotonic()
            heard, last = (heard, last) if beat == last else (now, beat)
            late = now - begin > request.deadline_s + _GRACE_S
            if late or now - heard > self._silence_s:
                process.kill()
                process.wait()
                what = "passed its deadline" if late else f"gave no sign of life for {self._silence_s:.0f} s"
                raise RunnerTimeout(f"The runner {what}.", hint="Continue with --resume.")
