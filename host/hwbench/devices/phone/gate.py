"""The thermal gate: may a block begin, or what is waited for?

An absolute limit and the phone's own status, as in reference protocols for phones: a rule that looks for a plateau is
right for one phone, and wrong across phones. Without a sensor the status alone decides, and without both nothing is
waited for; `PhoneState.unreadable` says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from hwbench.devices.phone.state import PhoneState
from hwbench.devices.phone.thermal import STATUS_NAMES

WARMEST_C = 35.0
TIMEOUT_FLAG = "gate_timeout"

WarmCheck = Literal["temperature", "thermal_status"]

# A phone in a cool room loses more than that in that time.
_STALLED_S = 5 * 60.0
_STALLED_C = 0.5


class Wait(msgspec.Struct, frozen=True):
    """How often the phone is looked at while it cools, and how long at most."""

    poll_s: float = 15.0
    longest_s: float = 30 * 60.0


WAIT = Wait()


class Seen(msgspec.Struct, frozen=True):
    """A state and how long had been waited when it was read."""

    waited_s: float
    state: PhoneState


class Decision(msgspec.Struct, frozen=True):
    """`flags` belong on everything that is measured after it. `waiting_for` is empty where nothing is to wait for."""

    open: bool
    waiting_for: str
    hint: str | None
    flags: tuple[str, ...]


def decide(seen: Sequence[Seen], allowed: Collection[str] = (), longest_s: float = WAIT.longest_s) -> Decision:
    """Whether to begin after the last of the states seen since the wait began, in their order.

    `allowed` are names of preflight checks that the user overrode: what they look at is not waited for.
    Raises ValueError for an empty sequence.
    """
    if not seen:
        raise ValueError("a gate needs at least one state")
    now = seen[-1]
    reasons = tuple(text for check, text in warm(now.state) if check not in allowed)
    if not reasons:
        return Decision(True, "", None, ())
    over = now.waited_s >= longest_s
    return Decision(over, " and ".join(reasons), _hint(seen), (TIMEOUT_FLAG,) if over else ())


def warm(state: PhoneState, most_c: float = WARMEST_C) -> tuple[tuple[WarmCheck, str], ...]:
    """What keeps the gate closed: the name of the check and a clause for people, e.g. `skin is at 38.2 C, ...`."""
    found: list[tuple[WarmCheck, str]] = []
    if state.warmest is not None and state.warmest.celsius > most_c:
        found.append(("temperature", f"{state.warmest.source} is at {state.warmest.celsius:.4g} C, above {most_c:g} C"))
    if state.thermal_status:
        name = STATUS_NAMES[state.thermal_status]
        found.append(("thermal_status", f"the phone's thermal status is {state.thermal_status} ({name})"))
    if state.throttling:
        found.append(("thermal_status", f"it slows itself down by {', '.join(state.throttling)}"))
    return tuple(found)


def _hint(seen: Sequence[Seen]) -> str | None:
    """What would help where waiting does not."""
    now = seen[-1]
    before = [s for s in seen if s.waited_s <= now.waited_s - _STALLED_S]
    if not before or before[-1].state.warmest is None or now.state.warmest is None:
        return None
    fallen_c = before[-1].state.warmest.celsius - now.state.warmest.celsius
    if now.state.warmest.celsius <= WARMEST_C or fallen_c >= _STALLED_C:
        return None
    minutes = (now.waited_s - before[-1].waited_s) / 60
    text = (
        f"It cooled by {max(fallen_c, 0.0):.1f} C in the last {minutes:.0f} minutes, so its surroundings are warm. "
        "Take it out of its case, lay it on metal or before a fan, and out of the sun."
    )
    if now.state.charging:
        text += " Charging warms it too: a full battery, or a port that gives less current, helps."
    return text
