"""What can befall a phone, or the computer that measures on it, during one attempt: drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

import msgspec

from tests.phone.faults import NO_FAULTS, Faults, Moment

Deed = Literal["pull_cable", "plug_in", "go_offline", "come_online", "fill"]

_COMMANDS = (
    "--hash", "--lock", "--free", "launch.sh launch", "launch.sh sweep", "controls.sh", "state.sh", "rm -rf",
)  # fmt: skip
_PROCESSES = (".plan.json", ".plan.json", ".plan.json", "launch.sh supervise", "--lock")
_MOST_SERVICES = 30
_AFTER_BUNDLE_BYTES = 100_000
_OUTPUT_BYTES = 50_000
_SHORT_S = 1.5
_LONG_S = 6.0


class Extent(msgspec.Struct, frozen=True):
    """What an undisturbed attempt takes, and what most of that is sent for: the bundle."""

    span_s: float
    bundle_bytes: int


class Step(msgspec.Struct, frozen=True):
    """Something that is done to the phone so long after the attempt's beginning."""

    after_s: float
    deed: Deed


class Misfortune(msgspec.Struct, frozen=True):
    """What befalls one attempt. A phone that died is turned on again after `back_s`, or not before the attempt ended.

    `host_dies_s`: the measuring process is killed with SIGKILL then.
    """

    name: str
    faults: Faults = NO_FAULTS
    steps: tuple[Step, ...] = ()
    back_s: float | None = None
    host_dies_s: float | None = None


NONE = Misfortune("none")


def draw(rng: random.Random, extent: Extent, kind: int | None = None) -> Misfortune:
    """One of KINDS with its details, within what an undisturbed attempt takes."""
    chosen = rng.choice(KINDS) if kind is None else KINDS[kind % len(KINDS)]
    return chosen(rng, extent)


def _dies_receiving(rng: random.Random, extent: Extent) -> Misfortune:
    # The bundle is nearly all that is sent to a phone; what comes after it must be hit as often.
    size = rng.randrange(extent.bundle_bytes)
    if rng.random() < 0.5:
        size = extent.bundle_bytes + rng.randrange(_AFTER_BUNDLE_BYTES)
    return _death(rng, f"dies after {size} bytes from the host", Moment(received_bytes=size))


def _dies_sending(rng: random.Random, extent: Extent) -> Misfortune:
    size = rng.randrange(_OUTPUT_BYTES)
    return _death(rng, f"dies after {size} bytes to the host", Moment(sent_bytes=size))


def _dies_at_command(rng: random.Random, extent: Extent) -> Misfortune:
    command, delay_s = rng.choice(_COMMANDS), rng.choice((0.0, round(rng.uniform(0, 1), 2)))
    return _death(rng, f"dies {delay_s:g} s after {command}", Moment(command=command, delay_s=delay_s))


def _dies_at_service(rng: random.Random, extent: Extent) -> Misfortune:
    number, delay_s = rng.randint(1, _MOST_SERVICES), rng.choice((0.0, round(rng.uniform(0, 1), 2)))
    return _death(rng, f"dies {delay_s:g} s after service {number}", Moment(service=number, delay_s=delay_s))


def _battery_out(rng: random.Random, extent: Extent) -> Misfortune:
    at_s = _moment(rng, extent)
    return _death(rng, f"battery out after {at_s:g} s", Moment(after_s=at_s))


def _death(rng: random.Random, name: str, moment: Moment) -> Misfortune:
    back_s = rng.choice((None, round(rng.uniform(0.2, _SHORT_S), 2)))
    back = "" if back_s is None else f", back {back_s:g} s later"
    return Misfortune(f"{name}{back}", Faults(moment=moment, effect="die"), back_s=back_s)


def _cable(rng: random.Random, extent: Extent) -> Misfortune:
    at_s, gone_s = _moment(rng, extent), round(rng.uniform(0.2, _SHORT_S), 2)
    steps = (Step(at_s, "pull_cable"), Step(at_s + gone_s, "plug_in"))
    return Misfortune(f"cable pulled after {at_s:g} s for {gone_s:g} s", steps=steps)


def _long_cable(rng: random.Random, extent: Extent) -> Misfortune:
    at_s = _moment(rng, extent)
    steps = (Step(at_s, "pull_cable"), Step(at_s + _LONG_S, "plug_in"))
    return Misfortune(f"cable pulled after {at_s:g} s for {_LONG_S:g} s", steps=steps)


def _reboot(rng: random.Random, extent: Extent) -> Misfortune:
    at_s = _moment(rng, extent)
    return Misfortune(f"reboots after {at_s:g} s", Faults(moment=Moment(after_s=at_s), effect="reboot"))


def _process_killed(rng: random.Random, extent: Extent) -> Misfortune:
    victim = rng.choice(_PROCESSES)
    moment = rng.choice((Moment(after_s=_moment(rng, extent)), _in_launch(rng)))
    return Misfortune(f"{victim} killed {_words(moment)}", Faults(moment=moment, effect="kill", victim=victim))


def _offline(rng: random.Random, extent: Extent) -> Misfortune:
    at_s, gone_s = _moment(rng, extent), round(rng.uniform(0.2, _SHORT_S), 2)
    # What a phone did not answer it has forgotten: adb drops it when it comes back.
    back = (Step(at_s + gone_s, "pull_cable"), Step(at_s + gone_s, "come_online"), Step(at_s + gone_s, "plug_in"))
    return Misfortune(f"offline after {at_s:g} s for {gone_s:g} s", steps=(Step(at_s, "go_offline"), *back))


def _full(rng: random.Random, extent: Extent) -> Misfortune:
    # Room for the bundle and what is asked for beside it, or not.
    free = rng.choice(
        (rng.randrange(1 << 16), rng.randrange(2 * extent.bundle_bytes), rng.randrange(1 << 20) + (90 << 20))
    )
    return Misfortune(f"{free} bytes free", Faults(free_bytes=free))


def _fills(rng: random.Random, extent: Extent) -> Misfortune:
    at_s = _moment(rng, extent)
    return Misfortune(f"full after {at_s:g} s", steps=(Step(at_s, "fill"),))


def _host_killed(rng: random.Random, extent: Extent) -> Misfortune:
    at_s = _moment(rng, extent)
    return Misfortune(f"host killed after {at_s:g} s", host_dies_s=at_s)


def _in_launch(rng: random.Random) -> Moment:
    return Moment(command="launch.sh launch", delay_s=round(rng.uniform(0, 2), 2))


def _words(moment: Moment) -> str:
    return f"{moment.delay_s:g} s after {moment.command}" if moment.command else f"after {moment.after_s:g} s"


def _moment(rng: random.Random, extent: Extent) -> float:
    return round(rng.uniform(0, extent.span_s), 2)


KINDS: tuple[Callable[[random.Random, Extent], Misfortune], ...] = (
    _dies_receiving, _dies_sending, _dies_at_command, _dies_at_service, _battery_out, _cable, _long_cable, _reboot,
    _process_killed, _offline, _full, _fills, _host_killed,
)  # fmt: skip
"""What can happen; runs with successive seeds begin with each of them in turn."""
