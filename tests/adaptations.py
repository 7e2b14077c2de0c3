"""What tests of `adapt` measure on: a device whose networks take what their weights weigh, and tables that agree."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from hwbench import spaces
from hwbench.devices import LaunchReport, LaunchRequest, Pulse
from hwbench.measure.plan import Plan
from hwbench.spaces.blocks import parameters
from hwbench.tables import lookup
from hwbench.tables.lookup import Row
from tests.conftest import TINY
from tests.unit.test_engines import StillDevice
from tests.unit.test_measure import launch_line, result_file, visit
from tests.unit.test_tables import TARGET, make_table, measurement

SPACE = spaces.get(TINY)


class WeighingDevice(StillDevice):
    """A model takes 20 µs and 20 ns a byte, with 0.5 % noise of job and launch. Ctrl-C comes at launch `stops_at`."""

    def __init__(self, stops_at: int | None = None, emulated: bool = False) -> None:
        super().__init__()
        self._stops_at = stops_at
        self._emulated = emulated

    def launch(self, request: LaunchRequest, progress: Callable[[Pulse], None]) -> LaunchReport:
        plan = msgspec.json.decode(request.plan.read_bytes(), type=Plan)
        if len(self.plans) == self._stops_at:
            raise KeyboardInterrupt
        self.plans.append(plan)
        lines = [launch_line([0]) | {"launch": plan.launch, "emulated": self._emulated}]
        for job in plan.jobs:
            rng = np.random.default_rng([zlib.crc32(job.sha256.encode()), plan.launch])
            latency = 20 + 0.02 * len((request.plan.parent / job.model).read_bytes())
            lines.append({"kind": "load", "job": job.id, "load_ns": 1, "first_ns": 1, "digests": list[object]()})
            noise = np.exp(0.005 * rng.standard_normal(job.rounds))
            lines += [visit(job.id, number, [latency * noise[number]] * 5) for number in range(job.rounds)]
        request.results.write_bytes(result_file(lines))
        return LaunchReport()


def weighed_table(path: Path, seed: int, emulated: bool = False) -> Path:
    """A table of a device called by the seed, whose blocks take what their weights weigh, each 20 % more or less."""
    rng = np.random.default_rng(seed)
    values = [(2 + 0.08 * parameters(block)) * np.exp(0.2 * rng.standard_normal()) for block in SPACE.distinct_blocks]
    rows = [
        Row(block.key, measurement(float(value))) for block, value in zip(SPACE.distinct_blocks, values, strict=True)
    ]
    if emulated:
        assert rows[0].measurement is not None
        marked = msgspec.structs.replace(rows[0].measurement, flags=("emulated",))
        rows[0] = msgspec.structs.replace(rows[0], measurement=marked)
    target = msgspec.structs.replace(TARGET, device_id=f"d{seed}")
    lookup.save(msgspec.structs.replace(make_table(space=SPACE), rows=tuple(rows), target=target), path)
    return path


def weighed_pool(folder: Path, count: int = 3) -> list[Path]:
    return [weighed_table(folder / f"d{seed}.json", seed) for seed in range(count)]
