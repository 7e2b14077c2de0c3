"""The gate: launches in which the machine was slower than it can be are kept, but not counted.

Anchors link launches: their best level so far is the device's baseline. A launch whose anchors stay more
than 4 % above it was disturbed (a neighbour on the same core, a throttled clock) and is done again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwbench.measure.samples import Gate, Samples
from hwbench.measure.statistics import level
from hwbench.records import Estimator

# Shorter anchors measure the clock's resolution more than the machine.
_SHORTEST_US = 20.0


def judge(
    samples: Samples, anchors: Sequence[str], estimator: Estimator, known_us: Mapping[str, float] | None = None
) -> Gate:
    """Slowdowns of all launches against the best anchor levels of this session and those `known_us` before it."""
    levels: dict[str, dict[int, float]] = {}
    for anchor in anchors:
        by_launch: dict[int, list[float]] = {}
        for visit in samples.visits.get(anchor, ()):
            by_launch.setdefault(visit.launch, []).append(visit.value_us)
        levels[anchor] = {launch: level(values, estimator.order) for launch, values in by_launch.items()}
    baseline = {
        anchor: min([*found.values(), *([known_us[anchor]] if known_us and anchor in known_us else [])])
        for anchor, found in levels.items()
        if found
    }
    slowdowns: dict[int, float] = {}
    for anchor, found in levels.items():
        for launch, value in found.items():
            if baseline[anchor] >= _SHORTEST_US:
                slowdowns[launch] = max(slowdowns.get(launch, 0.0), value / baseline[anchor] - 1)
    return Gate(slowdowns, baseline)
