"""What is changed on a phone while it is measured, and put back by notes that the phone keeps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from hwbench.devices.phone.text import decode, shown
from hwbench.devices.runner_files import harness_script
from hwbench.devices.transport import Transport
from hwbench.errors import DeviceError, UsageError

Control = Literal["stay_awake", "dim", "fixed_performance"]
Outcome = Literal["applied", "refused", "restored", "stuck", "pending"]
CONTROLS: tuple[Control, ...] = get_args(Control)
SCRIPT = "controls.sh"

_LINE = re.compile(rf"({'|'.join(CONTROLS)}) ({'|'.join(get_args(Outcome))}) ?(.*)")
# Each setting takes a process or two of Java, which starts in up to a second on an old phone.
_TIMEOUT_S = 60.0


class ControlResult(msgspec.Struct, frozen=True):
    """What became of a control.

    `detail` is what changed, or why it was refused or is stuck, in the phone's words on one line.
    """

    control: str
    outcome: str
    detail: str


def controls_of(regime: str) -> tuple[Control, ...]:
    """The controls of a regime: `fixed` alone takes the clocks away from the system."""
    return CONTROLS if regime == "fixed" else tuple(c for c in CONTROLS if c != "fixed_performance")


class Controls:
    """Changes the phone's settings by controls.sh, its notes in `folder` on the phone; each call is one round trip.

    A control that the phone refuses is a result, not an error. DeviceError when the script did not run to its end.
    """

    def __init__(self, transport: Transport, folder: str) -> None:
        self._transport = transport
        self._folder = folder

    def apply(self, names: Sequence[str]) -> tuple[ControlResult, ...]:
        """Applies controls in the order given. Raises UsageError for a name that there is not."""
        unknown = [name for name in names if name not in CONTROLS]
        if unknown:
            raise UsageError(f"There is no control {unknown[0]!r}.", hint=f"Controls are {', '.join(CONTROLS)}.")
        return self._run("apply", *names)

    def restore(self) -> tuple[ControlResult, ...]:
        """Puts back all that was changed, the last control first, also by a run that never ended; often nothing."""
        return self._run("restore")

    def pending(self) -> bool:
        """Whether something waits to be put back."""
        return bool(self._run("pending"))

    def _run(self, *words: str) -> tuple[ControlResult, ...]:
        # As words of a command: nothing of ours needs to be on the phone to put things back.
        command = ["sh", "-c", harness_script(SCRIPT).read_text(), SCRIPT, self._folder, *words]
        finished = self._transport.run(command, timeout_s=_TIMEOUT_S)
        *lines, last = decode(finished.stdout).rstrip("\n").split("\n")
        found = [match for line in lines if (match := _LINE.fullmatch(line))]
        if finished.code != 0 or last != f"done {len(found)}" or len(found) != len(lines):
            said = shown(decode(finished.stderr or finished.stdout))
            raise DeviceError(
                f"{self._transport.name} did not finish `{SCRIPT} {words[0]}` (exit status {finished.code}): {said}.",
                hint="What was changed is noted on the phone and put back when it is next measured.",
            )
        return tuple(ControlResult(match[1], match[2], match[3]) for match in found)
