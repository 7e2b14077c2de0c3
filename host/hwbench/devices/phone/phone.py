"""An Android phone as a platform: its record, checks, thermal gate, cores, and controls with undo."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from hwbench.devices.base import LaunchReport, Pulse
from hwbench.devices.bundle import TARGETS, BundleTarget
from hwbench.devices.phone.advice import error_advice
from hwbench.devices.phone.controls import Controls, controls_of
from hwbench.devices.phone.cores import CoreChoice, choose_cores
from hwbench.devices.phone.gate import WAIT, Seen, Wait, decide, warm
from hwbench.devices.phone.meminfo import memory
from hwbench.devices.phone.preflight import Policy, allowed_checks, preflight
from hwbench.devices.phone.reading import phone_reading
from hwbench.devices.phone.salt import salt
from hwbench.devices.phone.sections import Sections, is_last, new_token, split
from hwbench.devices.phone.state import PhoneState, phone_state
from hwbench.devices.phone.sysfs import sysfs_files
from hwbench.devices.phone.thermal_zones import thermal_zones
from hwbench.devices.platform import Watched
from hwbench.devices.runner_files import harness_script
from hwbench.devices.transport import OUTPUT_LIMIT_BYTES, Stream, Transport
from hwbench.errors import DataError, DeviceError, DeviceLost, DeviceRefused
from hwbench.records import DeviceRecord

THROTTLED = "throttled"

_FIXED = "fixed_performance"
_TMP = "/data/local/tmp"
_READ_S = 60.0
# A state read this long ago still holds: what comes after a launch serves before the next one.
_FRESH_S = 10.0


class Phone:
    """The phone behind a transport. `allow` names checks that may fail; raises UsageError for one there is not."""

    def __init__(
        self, transport: Transport, allow: Iterable[str] = (), regime: str = "as_shipped", wait: Wait = WAIT
    ) -> None:
        self._wait = wait
        self.regime = regime
        self.notes: tuple[str, ...] = ()
        self._transport = transport
        self._policy = Policy(allowed=allowed_checks(allow))
        self._controls = Controls(transport, transport.folder)
        self._state: tuple[float, PhoneState, Sections] | None = None
        self._record: DeviceRecord | None = None
        self._available_bytes: int | None = None
        self._changed = False

    def record(self) -> DeviceRecord:
        if self._record is None:
            token = new_token()
            done = self._transport.run(self._script(token, "record"), timeout_s=_READ_S)
            sections = split(done.stdout, token)
            serial = self._transport.name.partition(":")[2]
            self._record = phone_reading(sections, salt=salt(), serial=serial).record
            self._available_bytes = _available_bytes(sections)
        return self._record

    def bundle_target(self) -> BundleTarget:
        record = self.record()
        abis = record.phone.abis if record.phone else ()
        if "arm64-v8a" not in abis:
            raise DeviceError(
                f"{self._transport.name} runs {', '.join(abis) or 'an unknown kind of'} programs; hwbench's runner "
                "for phones is arm64-v8a.",
                hint="Use a phone whose Android is 64-bit.",
            )
        return TARGETS["android-arm64"]

    def available_memory_bytes(self) -> int:
        record = self.record()
        return record.memory_bytes // 2 if self._available_bytes is None else self._available_bytes

    def choose_cores(self, threads: int, wanted: tuple[int, ...]) -> tuple[int, ...]:
        return self._choice(threads, wanted).cores

    def describe_cores(self, threads: int, wanted: tuple[int, ...]) -> str:
        return self._choice(threads, wanted).described

    def watched(self, cores: tuple[int, ...]) -> Watched:
        clock = f"/sys/devices/system/cpu/cpu{max(cores)}/cpufreq/scaling_cur_freq" if cores else None
        return Watched(clock, _zone_file(self._state[2]) if self._state else None)

    def prepare(self) -> tuple[str, ...]:
        if self._controls.pending():
            self._controls.restore()
        checked = preflight(self.record(), self._read(), self._policy)
        self._changed = True
        refused = {
            result.control: result.detail
            for result in self._controls.apply(controls_of(self.regime))
            if result.outcome != "applied"
        }
        if _FIXED in refused:
            raise DeviceRefused(
                f"{self._transport.name} does not hold its clocks: {refused[_FIXED]}.",
                hint="Measure as shipped: leave --regime out.",
            )
        self.notes = (
            *(f"not checked: {check}, {reason}" for check, reason in checked.unchecked.items()),
            *(f"not controlled: {name}, {reason}" for name, reason in refused.items()),
        )
        return checked.overridden

    def gate(self, progress: Callable[[Pulse], None]) -> tuple[str, ...]:
        if self._state is not None and time.monotonic() - self._state[0] < _FRESH_S:
            decision = decide([Seen(0.0, self._state[1])], self._policy.allowed, self._wait.longest_s)
            if decision.open:
                return decision.flags
        token = new_token()
        begin = time.monotonic()
        seen: list[Seen] = []
        with self._transport.open(self._script(token, "watch", str(int(self._wait.poll_s)))) as stream:
            while True:
                state = self._next_state(stream, token, seen, progress)
                seen.append(Seen(time.monotonic() - begin, state))
                decision = decide(seen, self._policy.allowed, self._wait.longest_s)
                if decision.open:
                    return decision.flags

    def after(self) -> LaunchReport:
        reasons = [check for check, _ in warm(self._read(), most_c=float("inf"))]
        throttled = any(check not in self._policy.allowed for check in reasons)
        return LaunchReport((THROTTLED,), redo=True) if throttled else LaunchReport()

    def restore(self) -> None:
        if self._changed:
            self._controls.restore()
            self._changed = False

    def _choice(self, threads: int, wanted: tuple[int, ...]) -> CoreChoice:
        return choose_cores(self.record(), threads, wanted)

    def _read(self) -> PhoneState:
        token = new_token()
        done = self._transport.run(self._script(token, "state"), timeout_s=_READ_S)
        return self._remember(split(done.stdout, token))

    def _next_state(
        self, stream: Stream, token: str, seen: list[Seen], progress: Callable[[Pulse], None]
    ) -> PhoneState:
        """The next reading of a watch; `progress` is called while it is waited for."""
        printed = bytearray()
        if seen:
            warmest = seen[-1].state.warmest
            progress(Pulse(0, temperature_c=warmest.celsius if warmest else None, waiting=True))
        while (line := stream.read_line(self._wait.poll_s + _READ_S)) is not None:
            printed += line + b"\n"
            if len(printed) > OUTPUT_LIMIT_BYTES:
                raise DeviceError(
                    f"{self._transport.name} tells its state without end.", hint=error_advice(DeviceError)
                )
            if is_last(line, token):
                return self._remember(split(bytes(printed), token))
        raise DeviceLost(f"{self._transport.name} does not tell its temperature any more.", hint="Check the cable.")

    def _remember(self, sections: Sections) -> PhoneState:
        state = phone_state(sections, _TMP)
        self._state = (time.monotonic(), state, sections)
        return state

    def _script(self, *words: str) -> list[str]:
        """state.sh as words of a command: nothing needs to be on the phone for it."""
        return ["sh", "-c", harness_script("state.sh").read_text(), f"{_TMP}/state.sh", *words]


def _available_bytes(sections: Sections) -> int | None:
    try:
        return memory(sections.bodies.get("meminfo", b"")).available_bytes
    except DataError:
        return None


def _zone_file(sections: Sections) -> str | None:
    """The file of the zone that shows the case, else the battery, for the progress line."""
    try:
        zones = thermal_zones(sysfs_files(sections.bodies.get("thermal_zones", b"")))
    except DataError:
        return None
    for word in ("skin", "shell", "case", "batt"):
        for zone in zones:
            if zone.celsius is not None and word in (zone.type or "").lower():
                return f"/sys/class/thermal/thermal_zone{zone.zone}/temp"
    return None
