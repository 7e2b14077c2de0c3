"""What can go wrong with a virtual phone, and when; changeable while it runs."""

from __future__ import annotations

from typing import Literal

import msgspec


class Moment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When an effect happens: at the first of these that comes, counted from when the faults were set.

    `command` is a substring of a shell command, `service` counts the services that the host opens from 1, bytes are
    those of payloads from the host (`received_bytes`) and to it (`sent_bytes`). `delay_s` passes in between.
    """

    command: str | None = None
    service: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None
    after_s: float | None = None
    delay_s: float = 0.0


class Heat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How hot the phone is from a moment on. `status` is Android's thermal status, 0 (none) to 6 (shutdown)."""

    after_s: float
    celsius: float
    status: int = 0
    frequency_share: float = 1.0


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is wrong with a phone.

    `auth`: the phone trusts every computer, asks and is told yes, or asks and is never answered ("unauthorized").
    `offline`: it takes connections and answers nothing. `bytes_per_s`: how slow the link is, in both directions.
    `free_bytes`: what is left of the storage when the faults are set. `heat`: a script of temperatures.
    `effect` happens at `moment`: the phone dies, loses its cable, reboots, or kills with SIGKILL each process whose
    command line contains `victim`, as soon as there is one.
    """

    auth: Literal["none", "accept", "reject"] = "none"
    offline: bool = False
    bytes_per_s: int | None = None
    free_bytes: int | None = None
    heat: tuple[Heat, ...] = ()
    moment: Moment | None = None
    effect: Literal["die", "pull_cable", "reboot", "kill"] = "die"
    victim: str = ""


NO_FAULTS = Faults()


class SetFaults(msgspec.Struct, frozen=True, tag=True):
    """The phone's faults from now on."""

    faults: Faults


class Do(msgspec.Struct, frozen=True, tag=True):
    """Something that happens to the phone now; `victim` as in Faults."""

    effect: Literal["die", "pull_cable", "plug_in", "reboot", "kill"]
    victim: str = ""


Request = SetFaults | Do
"""What a test can ask of a phone's daemon over its control socket: one JSON line, answered by one line."""
