"""Is the phone fit to be measured? Named checks, each of which can be allowed to fail."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

from hwbench.devices.phone.gate import WARMEST_C, warm
from hwbench.devices.phone.state import PhoneState
from hwbench.errors import NotReady, UsageError
from hwbench.records import DeviceRecord

Check = Literal["battery", "temperature", "thermal_status", "charging", "space", "emulator"]
CHECKS: tuple[Check, ...] = get_args(Check)

_STEPS: dict[Check, str] = {
    "battery": "charge it",
    "temperature": "let it cool, out of its case and out of the sun",
    "thermal_status": "let it cool until the system lifts its limits",
    "charging": "run `adb shell dumpsys battery reset`, which ends a faked state",
    "space": "free some space, for instance by deleting videos or unused apps",
    "emulator": "attach a phone with the maker's own system",
}


class Policy(msgspec.Struct, frozen=True):
    """Limits of the checks, and the names of those that may fail."""

    least_battery_percent: float = 25.0
    most_c: float = WARMEST_C
    least_free_bytes: int = 500_000_000
    allowed: tuple[Check, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    """A check that failed, and what was found as a clause for people."""

    check: Check
    found: str


class Preflight(msgspec.Struct, frozen=True):
    """`overridden` are checks that failed and were allowed to: flags of what is measured now.

    `unchecked` are those whose facts could not be read, with the reason; they do not refuse.
    """

    overridden: tuple[Check, ...]
    unchecked: dict[Check, str]


def allowed_checks(names: Iterable[str]) -> tuple[Check, ...]:
    """The checks of these names. Raises UsageError for one that there is not."""
    wanted = tuple(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in CHECKS]
    if unknown:
        raise UsageError(f"There is no check {unknown[0]!r}.", hint=f"Checks are {', '.join(CHECKS)}.")
    return tuple(check for check in CHECKS if check in wanted)


def refusals(record: DeviceRecord, state: PhoneState, policy: Policy) -> tuple[Refusal, ...]:
    """Every check that fails, allowed or not; a check may fail for more than one reason."""
    found: list[Refusal] = []
    percent, free = state.battery_percent, state.free_bytes
    if percent is not None and percent < policy.least_battery_percent:
        found.append(Refusal("battery", f"the battery is at {percent:.3g} %, below {policy.least_battery_percent:g} %"))
    found += [Refusal(check, text) for check, text in warm(state, policy.most_c)]
    if state.charging is None:
        why = state.unreadable.get("battery") or state.unreadable.get("charging", "it is not shown")
        found.append(Refusal("charging", f"whether it is charging is not known: {why}"))
    if free is not None and free < policy.least_free_bytes:
        needed = policy.least_free_bytes // 1_000_000
        found.append(Refusal("space", f"{free // 1_000_000} MB are free, {needed} MB are needed"))
    if (what := _not_as_shipped(record)) is not None:
        found.append(Refusal("emulator", what))
    return tuple(found)


def preflight(record: DeviceRecord, state: PhoneState, policy: Policy) -> Preflight:
    """Raises NotReady that names all failed checks that are not allowed, what was found, and the next step."""
    failed = refusals(record, state, policy)
    refused = [refusal for refusal in failed if refusal.check not in policy.allowed]
    if refused:
        checks = _names(refused)
        allow = " ".join(f"--allow {check}" for check in checks)
        steps = "; ".join(_STEPS[check] for check in checks)
        raise NotReady(
            f"{record.id} is not ready: {'; '.join(f'{r.found} [{r.check}]' for r in refused)}.",
            checks,
            hint=f"{steps[0].upper()}{steps[1:]}. To measure all the same, with a flag on every row: {allow}.",
        )
    return Preflight(_names(failed), _unchecked(record, state))


def _names(found: Iterable[Refusal]) -> tuple[Check, ...]:
    names = {refusal.check for refusal in found}
    return tuple(check for check in CHECKS if check in names)


def _not_as_shipped(record: DeviceRecord) -> str | None:
    if record.phone is None:
        return None
    if record.phone.emulated:
        return "it is an emulator, whose times say nothing of a phone"
    if ":eng/" in (record.phone.fingerprint or ""):
        return "its system is an engineering build, which runs with checks that phones in shops do not have"
    return None


def _unchecked(record: DeviceRecord, state: PhoneState) -> dict[Check, str]:
    facts: dict[Check, tuple[object, str]] = {
        "battery": (state.battery_percent, "battery_percent"),
        "temperature": (state.warmest, "warmest"),
        "thermal_status": (state.thermal_status, "thermal_status"),
        "space": (state.free_bytes, "df"),
    }
    found = {check: state.unreadable.get(name, "") for check, (fact, name) in facts.items() if fact is None}
    if record.phone is not None and record.phone.fingerprint is None:
        found["emulator"] = "the phone does not name its build"
    return found
