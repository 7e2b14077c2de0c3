"""The gate: was the machine ever as fast as it can be while this was measured?

Anchors are in every launch, and the best level they ever reached is the device's baseline. A neighbour on the
same physical core or a throttled clock shows as anchors that stay above it; levels of rows are then too high,
however well their rounds agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hwbench.measure.samples import Samples
from hwbench.measure.statistics import level
from hwbench.records import Estimator

TOLERANCE = 0.03
# Shorter anchors measure the clock's resolution more than the machine.
_SHORTEST_US = 20.0


class Gate(msgspec.Struct, frozen=True):
    """How far the anchors stayed above the baseline, relative: over all launches together, and in each."""

    slowdown: float
    launches: dict[int, float]
    baseline_us: dict[str, float]

    @property
    def closed(self) -> bool:
        """The machine was slower than it can be throughout."""
        return self.slowdown > TOLERANCE


def judge(
    samples: Samples, anchors: Sequence[str], estimator: Estimator, known_us: Mapping[str, float] | None = None
) -> Gate:
    """The gate against the best anchor levels of these samples and those `known_us` before them."""
    slowdown, by_launch, baseline = 0.0, dict[int, float](), dict[str, float]()
    for anchor in anchors:
        visits = samples.visits.get(anchor, ())
        if not visits:
            continue
        found = level([visit.value_us for visit in visits], estimator)
        baseline[anchor] = min(found, (known_us or {}).get(anchor, found))
        if found < _SHORTEST_US:
            continue
        slowdown = max(slowdown, found / baseline[anchor] - 1)
        for launch in {visit.launch for visit in visits}:
            own = level([visit.value_us for visit in visits if visit.launch == launch], estimator)
            by_launch[launch] = max(by_launch.get(launch, 0.0), own / baseline[anchor] - 1)
    return Gate(slowdown, by_launch, baseline)
