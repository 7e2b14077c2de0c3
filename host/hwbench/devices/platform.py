"""What differs between a phone and a board."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from hwbench.devices.base import LaunchReport, Pulse
from hwbench.devices.bundle import BundleTarget
from hwbench.records import DeviceRecord


class Watched(msgspec.Struct, frozen=True):
    """Files on the device that are read once a second while a launch runs; either may be None."""

    clock_khz: str | None = None
    temperature_mc: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(path for path in (self.clock_khz, self.temperature_mc) if path is not None)


class Platform(Protocol):
    """One kind of remote machine. Every method may raise what its transport raises."""

    @property
    def regime(self) -> str: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def record(self) -> DeviceRecord: ...

    def bundle_target(self) -> BundleTarget:
        """The bundle that runs there. Raises DeviceError for a processor that none is made for."""

    def available_memory_bytes(self) -> int: ...

    def choose_cores(self, threads: int, wanted: tuple[int, ...]) -> tuple[int, ...]: ...

    def describe_cores(self, threads: int, wanted: tuple[int, ...]) -> str: ...

    def watched(self, cores: tuple[int, ...]) -> Watched: ...

    def prepare(self) -> tuple[str, ...]:
        """Puts back what an earlier run left changed, checks the device and sets it up for measuring.

        Returns the names of checks that failed and were allowed. Raises NotReady for those that were not.
        """

    def gate(self, progress: Callable[[Pulse], None]) -> tuple[str, ...]:
        """Waits until the device is cool enough for a launch; returns flags, e.g. of a wait that was given up."""

    def after(self) -> LaunchReport:
        """What the device's state says of the launch that has just ended."""

    def restore(self) -> None:
        """Puts back everything that `prepare` changed."""
