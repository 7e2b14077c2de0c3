"""Several devices at once: each brings its table, or says why not."""

from __future__ import annotations

import _thread
import time
from pathlib import Path

import pytest

from hwbench import spaces
from hwbench.devices import Device
from hwbench.errors import DeviceUnauthorized, TimeLimitReached
from hwbench.measure.campaign import Progress
from hwbench.workflows.fleet import on_each, profile_all
from hwbench.workflows.time_limit import limited
from tests.conftest import TINY
from tests.unit.test_engines import StillDevice


def test_a_device_that_cannot_be_opened_does_not_stop_the_others(tmp_path: Path) -> None:
    def opened(name: str) -> Device:
        if name == "adb:asleep":
            raise DeviceUnauthorized("adb:asleep does not trust this computer yet.")
        return StillDevice()

    found = profile_all(["adb:asleep", "still"], opened, TINY, folder=tmp_path)
    assert isinstance(found["adb:asleep"].error, DeviceUnauthorized)
    result = found["still"].result
    assert result is not None
    assert result.path.is_relative_to(tmp_path)
    assert len(result.table.measurements()) == len(spaces.get(TINY).distinct_blocks)


def test_ctrl_c_ends_every_job_in_its_own_order() -> None:
    ended: list[str] = []
    seen: list[str] = []

    def job(name: str, report: object) -> None:
        assert callable(report)
        try:
            while True:
                report(Progress(0, 0, 1, 0, None))
        finally:
            ended.append(name)

    def interrupt(name: str, state: Progress) -> None:
        # As Ctrl-C does: in the main thread, which waits.
        seen.append(name)
        if name == "b" and seen.count(name) == 20:
            _thread.interrupt_main()
        time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        on_each({name: lambda report, name=name: job(name, report) for name in ("a", "b")}, interrupt)
    assert sorted(ended) == ["a", "b"]


def test_a_time_limit_ends_a_measurement() -> None:
    with pytest.raises(TimeLimitReached, match="limit of 0 s"):
        limited(lambda _: None, 0.0)(Progress(0, 0, 1, 0, None))
    limited(lambda _: None, None)(Progress(0, 0, 1, 0, None))
