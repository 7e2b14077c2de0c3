"""May this phone be measured now: the preflight checks and the thermal gate."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.devices.phone import gate
from hwbench.devices.phone.gate import Seen, decide
from hwbench.devices.phone.preflight import CHECKS, Policy, Preflight, allowed_checks, preflight, refusals
from hwbench.devices.phone.record import PhoneOutputs, phone_record
from hwbench.devices.phone.state import PhoneState, Warmth
from hwbench.errors import NotReady, UsageError
from hwbench.records import DeviceRecord

USER = "google/shiba/shiba:14/UD1A/1:user/release-keys"
READY = PhoneState(
    battery_percent=80,
    charging=False,
    battery_warmth=Warmth(28.0, "battery (thermalservice)"),
    battery_frozen=False,
    warmest=Warmth(30.0, "skin (thermalservice)"),
    thermal_status=0,
    throttling=(),
    clocks=(),
    free_bytes=2_000_000_000,
    unreadable={},
)
# What makes each check fail, and words of the sentence about it.
FAILING: dict[str, tuple[dict[str, Any], str]] = {
    "battery": ({"battery_percent": 24.0}, "at 24 %, below 25 %"),
    "temperature": ({"warmest": Warmth(35.1, "skin (thermalservice)")}, "skin .* at 35.1 C, above 35 C"),
    "thermal_status": ({"thermal_status": 2}, r"thermal status is 2 \(moderate\)"),
    "charging": ({"charging": None, "unreadable": {"charging": "nothing shows it"}}, "not known: nothing shows it"),
    "space": ({"free_bytes": 499_000_000}, "499 MB are free, 500 MB are needed"),
}


def phone(fingerprint: str | None = USER, **properties: str) -> DeviceRecord:
    named = {"ro.product.manufacturer": "Google", "ro.product.model": "Pixel 8", **properties}
    if fingerprint is not None:
        named["ro.build.fingerprint"] = fingerprint
    return phone_record(PhoneOutputs(getprop="".join(f"[{k}]: [{v}]\n" for k, v in named.items())), salt="")


def state(**changes: Any) -> PhoneState:
    return msgspec.structs.replace(READY, **changes)


def test_a_phone_that_is_fit_passes() -> None:
    assert preflight(phone(), READY, Policy()) == Preflight((), {})


@pytest.mark.parametrize("check", FAILING)
def test_each_check_refuses_with_what_was_found_and_can_be_allowed(check: str) -> None:
    changes, words = FAILING[check]
    with pytest.raises(NotReady, match=words) as caught:
        preflight(phone(), state(**changes), Policy())
    assert caught.value.checks == (check,)
    assert f"[{check}]" in caught.value.message
    assert f"--allow {check}" in (caught.value.hint or "")
    assert preflight(phone(), state(**changes), Policy(allowed=allowed_checks([check]))).overridden == (check,)


@pytest.mark.parametrize(
    "changes",
    [{"battery_percent": 25.0}, {"warmest": Warmth(35.0, "skin")}, {"free_bytes": 500_000_000}, {"charging": True}],
)
def test_what_lies_on_a_limit_passes(changes: dict[str, Any]) -> None:
    assert refusals(phone(), state(**changes), Policy()) == ()


def test_throttling_at_status_0_is_refused() -> None:
    with pytest.raises(NotReady, match="slows itself down by thermal-cpufreq-0") as caught:
        preflight(phone(), state(throttling=("thermal-cpufreq-0",)), Policy())
    assert caught.value.checks == ("thermal_status",)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (phone(**{"ro.kernel.qemu": "1"}), "emulator"),
        (phone(fingerprint="google/shiba/shiba:14/UD1A/1:eng/test-keys"), "engineering build"),
    ],
)
def test_emulators_and_engineering_builds_are_refused(record: DeviceRecord, words: str) -> None:
    with pytest.raises(NotReady, match=words) as caught:
        preflight(record, READY, Policy())
    assert caught.value.checks == ("emulator",)


def test_all_failures_are_named_together_and_only_allowed_ones_are_flags() -> None:
    changes = {name: value for found, _ in FAILING.values() for name, value in found.items()}
    with pytest.raises(NotReady) as caught:
        preflight(phone(), state(**changes), Policy(allowed=allowed_checks(["space", "emulator"])))
    assert caught.value.checks == ("battery", "temperature", "thermal_status", "charging")
    assert "--allow battery --allow temperature --allow thermal_status --allow charging" in (caught.value.hint or "")
    everything = Policy(allowed=allowed_checks(reversed(CHECKS)))
    assert preflight(phone(), state(**changes), everything).overridden == CHECKS[:-1]


def test_what_cannot_be_read_does_not_refuse_but_is_said() -> None:
    blind = state(
        battery_percent=None, warmest=None, thermal_status=None, free_bytes=None,
        unreadable={"battery_percent": "a", "warmest": "b", "thermal_status": "c", "df": "d"},
    )  # fmt: skip
    found = preflight(phone(fingerprint=None), blind, Policy())
    assert found.overridden == ()
    assert found.unchecked == {
        "battery": "a", "temperature": "b", "thermal_status": "c", "space": "d",
        "emulator": "the phone does not name its build",
    }  # fmt: skip


def test_a_frozen_battery_is_the_reason_that_is_shown() -> None:
    frozen = state(
        charging=None, battery_frozen=True, unreadable={"battery": "updates are stopped", "charging": "none"}
    )
    with pytest.raises(NotReady, match="updates are stopped") as caught:
        preflight(phone(), frozen, Policy())
    assert "dumpsys battery reset" in (caught.value.hint or "")


def test_an_unknown_check_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no check 'warmth'.*battery, temperature"):
        allowed_checks(["battery", "warmth"])


temperatures = st.one_of(st.none(), st.floats(20, 50).map(lambda c: Warmth(c, "skin (thermalservice)")))
states = st.builds(
    state,
    warmest=temperatures,
    thermal_status=st.sampled_from([None, 0, 1, 6]),
    throttling=st.sampled_from([(), ("cpu",)]),
    charging=st.sampled_from([None, True, False]),
)
waits = st.lists(states, min_size=1, max_size=8)


@given(waits, st.floats(0, gate.WAIT.longest_s - 1), st.sets(st.sampled_from(["temperature", "thermal_status"])))
def test_the_gate_opens_exactly_for_a_cool_phone(seen: list[PhoneState], last_s: float, allowed: set[str]) -> None:
    times = [last_s * number / len(seen) for number in range(1, len(seen) + 1)]
    decision = decide([Seen(t, s) for t, s in zip(times, seen, strict=True)], allowed)
    now = seen[-1]
    warm = now.warmest is not None and now.warmest.celsius > 35 and "temperature" not in allowed
    slow = bool(now.thermal_status or now.throttling) and "thermal_status" not in allowed
    assert decision.open == (not warm and not slow)
    assert decision.flags == ()
    assert bool(decision.waiting_for) != decision.open


@given(states, st.floats(gate.WAIT.longest_s, 10 * gate.WAIT.longest_s))
def test_after_half_an_hour_the_gate_opens_with_a_flag(now: PhoneState, waited_s: float) -> None:
    decision = decide([Seen(0, now), Seen(waited_s, now)])
    assert decision.open
    assert decision.flags == (("gate_timeout",) if decision.waiting_for else ())


def cooling(celsius: list[float], every_s: float = 60.0, **changes: Any) -> list[Seen]:
    return [Seen(n * every_s, state(warmest=Warmth(c, "skin"), **changes)) for n, c in enumerate(celsius)]


def test_a_warm_room_is_noticed() -> None:
    assert decide(cooling([45, 43, 41.5, 40.5, 39.5, 39, 38.6])).hint is None
    assert decide(cooling([38.2, 38.1])).hint is None
    stalled = decide(cooling([38.2, 38.1, 38.2, 38.1, 38.1, 38.0, 38.0]))
    assert stalled.waiting_for == "skin is at 38 C, above 35 C"
    assert "cooled by 0.1 C in the last 5 minutes" in (stalled.hint or "")
    assert "Charging" not in (stalled.hint or "")
    assert "Charging" in (decide(cooling([38.0] * 7, charging=True)).hint or "")


def test_a_gate_needs_a_state() -> None:
    with pytest.raises(ValueError, match="at least one"):
        decide([])
