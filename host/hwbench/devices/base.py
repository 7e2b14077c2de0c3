"""What every device can do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from hwbench.records import DeviceRecord, EngineRecord


class LaunchRequest(msgspec.Struct, frozen=True):
    """A plan file with its models below the same folder, and where the result file goes."""

    plan: Path
    results: Path
    deadline_s: float


class Device(Protocol):
    """One machine. All methods raise DeviceError or RunnerError when it does not play along."""

    @property
    def name(self) -> str:
        """How the command line calls it, e.g. `local`."""

    @property
    def runner(self) -> str:
        """The runner that executes plans here, e.g. `native-1`."""

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

    def parent_pid(self) -> int:
        """The process whose end must end the runner; 0 where the runner outlives its host on purpose."""

    def launch(self, request: LaunchRequest, progress: Callable[[], None]) -> None:
        """Executes one launch; `progress` is called about ten times a second while it runs."""
