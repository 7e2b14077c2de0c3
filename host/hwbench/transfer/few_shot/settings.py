"""What the default predictor assumes before it sees a target. benchmarks/few_shot_settings.py chose these."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Range(msgspec.Struct, frozen=True):
    """A variance, log-uniform from `low` to `high`, or 0 with probability `off`."""

    low: float
    high: float
    off: float = 0.0

    @property
    def mean(self) -> float:
        return (1 - self.off) * (self.high - self.low) / float(np.log(self.high / self.low))

    def at(self, places: Floats, switches: Floats) -> Floats:
        """Values at places in [0, 1), 0 where the switch in [0, 1) is below `off`."""
        found: Floats = self.low * (self.high / self.low) ** places * (switches >= self.off)
        return found


class Settings(msgspec.Struct, frozen=True):
    """Variances are in those of the target's standardised latency."""

    sources: Range = Range(0.01, 1)
    counts: Range = Range(0.003, 10, 0.5)
    totals: Range = Range(0.003, 1, 0.5)
    layers: Range = Range(0.001, 0.05)
    simulated: Range = Range(0.01, 3, 0.3)
    kernels: Range = Range(0.003, 0.3)
    noise: Range = Range(0.001, 1)
    constant: float = 4.0
    slope: float = 0.75
    slope_variance: float = 0.2
    # Inverse gamma of the common scale: shape and rate.
    shape: float = 1.5
    rate: float = 0.3
    spike_probability: float = 0.03
    spike_variance: float = 400.0
    draws: int = 256
    # Intervals are wider than the posterior by this factor; it counts as so many measurements against the
    # target's own leave-one-out errors.
    widening: float = 3.0
    widening_weight: float = 2.0


DEFAULT = Settings()
