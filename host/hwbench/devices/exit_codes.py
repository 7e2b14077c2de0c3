"""What it means when a runner ends with something other than 0."""

from __future__ import annotations

from hwbench.errors import (
    RunnerAborted,
    RunnerBusError,
    RunnerCrashed,
    RunnerForbidden,
    RunnerIllegal,
    RunnerIncomplete,
    RunnerKilled,
    RunnerNotExecutable,
    RunnerSegfault,
)

BAD_PLAN, NO_ENGINE, DEADLINE, OUTPUT, LOCKED = 64, 65, 66, 67, 75
_RESUME = "Continue with --resume."

_CRASHES: dict[int, tuple[type[RunnerCrashed], str, str]] = {
    126: (RunnerNotExecutable, "may not be started there: SELinux or a file system mounted noexec forbids it",
          "Send us the output of `hwbench doctor --report`."),
    127: (RunnerIncomplete, "could not be started: it or its loader is missing",
          "Run `hwbench runner build` for that device, and try again."),
    132: (RunnerIllegal, "ran an instruction that this processor lacks (SIGILL)",
          "Try --delegate builtin or portable, and tell us the device."),
    134: (RunnerAborted, "gave up (SIGABRT)", _RESUME),
    135: (RunnerBusError, "met a bus error (SIGBUS): its storage may be full or broken", "Free some space there."),
    137: (RunnerKilled, "was killed (SIGKILL), perhaps for using too much memory",
          "Close other programs on the device, then continue with --resume."),
    139: (RunnerSegfault, "crashed (SIGSEGV)", _RESUME),
    159: (RunnerForbidden, "made a system call that the device forbids (SIGSYS)",
          "Send us the output of `hwbench doctor --report`."),
}  # fmt: skip


def shell_code(returncode: int) -> int:
    """The code a shell gives for what Python calls `-signal`."""
    return 128 - returncode if returncode < 0 else returncode


def runner_failed(code: int, log: str, install: str, device: str) -> RunnerCrashed:
    """The error for a shell's exit code and what the runner wrote last; `install` brings a missing engine."""
    runner = f"The runner on {device}"
    last = (log.strip().splitlines() or ["it said nothing"])[-1][:300]
    if code == NO_ENGINE:
        return RunnerCrashed(f"{runner} found no engine: {last}.", hint=install)
    if code in (BAD_PLAN, OUTPUT):
        return RunnerCrashed(f"{runner} stopped: {last}.", hint="Continue with --resume once that is mended.")
    kind, what, hint = _CRASHES.get(code, (RunnerCrashed, f"ended with status {code}", _RESUME))
    return kind(f"{runner} {what}; its last words: {last}.", hint=hint)
