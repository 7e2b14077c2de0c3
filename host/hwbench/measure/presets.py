"""How much to measure: quick for a look, standard for tables that are kept, publish for figures in print."""

from __future__ import annotations

import msgspec

from hwbench.errors import UsageError
from hwbench.measure.plan import Burst


class Preset(msgspec.Struct, frozen=True):
    """`launches` x `rounds` for every row, then up to `max_launches` for rows whose interval is too wide.

    `target` is the relative half-width that is asked for of the part of the interval that more rounds can narrow.
    `patience_s` is how
    long a campaign waits, and repeats disturbed launches, for a machine that is slower than it can be.
    """

    name: str
    target: float
    rounds: int
    launches: int
    max_launches: int
    patience_s: float
    burst: Burst = Burst()

    @property
    def base_rounds(self) -> int:
        return self.rounds * self.launches


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("quick", target=0.03, rounds=12, launches=2, max_launches=3, patience_s=20.0),
        Preset("standard", target=0.01, rounds=15, launches=3, max_launches=6, patience_s=180.0),
        Preset("publish", target=0.005, rounds=20, launches=5, max_launches=10, patience_s=1800.0),
    )
}


def preset(name: str) -> Preset:
    if name not in PRESETS:
        raise UsageError(f"There is no preset {name!r}.", hint=f"Choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
