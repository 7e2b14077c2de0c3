"""What every device can do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from hwbench.records import DeviceRecord, EngineRecord

# The version of the runner protocol; a runner of another one is refused.
PROTOCOL = 2


class LaunchRequest(msgspec.Struct, frozen=True):
    """A plan file with its models below the same folder, and where the result file goes."""

    plan: Path
    results: Path
    deadline_s: float


class Pulse(msgspec.Struct, frozen=True):
    """How a launch stands; what the device does not tell is None.

    `waiting`: it has not begun, the device cools. In an evaluate pass `visits` counts inputs.
    """

    visits: int
    temperature_c: float | None = None
    frequency_khz: int | None = None
    waiting: bool = False


class LaunchReport(msgspec.Struct, frozen=True):
    """What there is to say of a launch beside its results. `flags` mark all its rows, `redo` asks for another try."""

    flags: tuple[str, ...] = ()
    redo: bool = False


class Device(Protocol):
    """One machine. All methods raise DeviceError or RunnerError when it does not play along."""

    @property
    def name(self) -> str:
        """How the command line calls it, e.g. `local`."""

    @property
    def runner(self) -> str:
        """The runner that executes plans here, e.g. `native-1`."""

    @property
    def regime(self) -> str:
        """`as_shipped`: clocks as the system sets them; `fixed`: held at what the device can sustain."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know: controls that were refused, checks that could not be made."""

    def record(self) -> DeviceRecord: ...

    def engine(self, name: str) -> EngineRecord:
        """The library that runs models of that engine here; DeviceError when there is none."""

    def lock(self) -> AbstractContextManager[None]:
        """Held while the device measures; DeviceBusy says who holds it."""

    def choose_cores(self, threads: int, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """The cores for the next launch: `wanted`, or the quietest ones."""

    def describe_cores(self, threads: int, wanted: tuple[int, ...]) -> str:
        """The choice in words that decide comparability, e.g. `1 of 0,1`."""

    def memory_budget_bytes(self) -> int:
        """What the jobs of one launch may hold together."""

    def close(self) -> None:
        """Lets go of the device and removes what is left of ours on it."""

    def parent_pid(self) -> int:
        """The process whose end must end the runner; 0 where the runner outlives its host on purpose."""

    def launch(self, request: LaunchRequest, progress: Callable[[Pulse], None]) -> LaunchReport:
        """Executes one launch; `progress` is called at least once a second while it runs."""

    def recover(self, request: LaunchRequest, progress: Callable[[Pulse], None]) -> None:
        """Brings what a launch of an earlier process has left on the device, if anything, to its result file."""
