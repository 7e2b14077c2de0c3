"""The few-shot predictor of one target as a latency source.

prior = prior_of(matrix)                       the pool: once
places = next_picks(prior, candidates, 10)     what to measure
predictor = fit(prior, measured, latency_us)   the target
predictor.predict(architectures)
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.errors import DataError
from hwbench.tables.source import Latencies
from hwbench.transfer.few_shot.picks import next_picks
from hwbench.transfer.few_shot.posterior import Posterior, posterior_of
from hwbench.transfer.few_shot.prior import Encoded, Prior
from hwbench.transfer.few_shot.stopping import BATCH, ENOUGH, Outlook, outlook

Floats = NDArray[np.float64]

FEWEST_MEASUREMENTS = 3
_SOURCE_COVERAGE = 0.95
_POPULATION = 500
# Further measurements that are thought of.
_MOST_MORE = 30
# Architectures whose features are in memory together.
_AT_ONCE = 20_000


class FewShotPredictor(msgspec.Struct, frozen=True):
    """Latency of any architecture of the prior's space on the target that was measured."""

    prior: Prior
    measured: NDArray[np.float64]
    latency_us: Floats
    posterior: Posterior

    def missing(self, architectures: ArrayLike) -> tuple[str, ...]:
        """Nothing: a predictor knows every architecture of its space."""
        return ()

    def predict(self, architectures: ArrayLike) -> Latencies:
        """Means with 95 % intervals of a new measurement, as every latency source gives them."""
        return self.predict_within(architectures, _SOURCE_COVERAGE)

    def predict_within(self, architectures: ArrayLike, coverage: float) -> Latencies:
        """Means with intervals that a new measurement falls into with this probability."""
        rows = np.atleast_2d(np.asarray(architectures))
        parts = [
            self.predict_encoded(self.prior.at(rows[start : start + _AT_ONCE]), coverage)
            for start in range(0, max(len(rows), 1), _AT_ONCE)
        ]
        return Latencies(*(np.concatenate(bounds) for bounds in zip(*map(_fields, parts), strict=True)))

    def predict_encoded(self, encoded: Encoded, coverage: float) -> Latencies:
        """`predict_within` of architectures that the prior has encoded."""
        from scipy.special import ndtri

        mean = self.posterior.mean(encoded)
        half = float(ndtri(0.5 + coverage / 2)) * self.posterior.deviation(encoded)
        return Latencies(mean, np.maximum(mean - half, 0.0), mean + half)

    def spiked(self) -> tuple[int, ...]:
        """Places of the measurements that are more probably spiked than not."""
        return tuple(int(place) for place in np.flatnonzero(self.posterior.spike_probability > 0.5))

    def next_picks(self, candidates: ArrayLike, count: int, central: float = 0.9) -> NDArray[np.int64]:
        """Places among `candidates` of the next `count` architectures to measure, after those that were."""
        return next_picks(self.prior, candidates, count, self.measured, central)

    def outlook(self, more: int = BATCH) -> Outlook:
        """What `more` further measurements would bring over the architectures of the pool."""
        rows = self.prior.source_rows
        population = rows.take(np.random.default_rng(0).permutation(len(rows))[:_POPULATION])
        return outlook(self.posterior, population, population, more)

    def worthwhile(self) -> Outlook:
        """What all further measurements that pay would bring, batch after batch; `more` is 0 where none pays."""
        last = self.outlook(0)
        while last.more < _MOST_MORE:
            following = self.outlook(last.more + BATCH)
            if following.agreement_then - last.agreement_then < ENOUGH:
                break
            last = following
        return last


def _fields(found: Latencies) -> tuple[Floats, Floats, Floats]:
    return found.mean_us, found.lower_us, found.upper_us


def fit(prior: Prior, architectures: ArrayLike, latency_us: ArrayLike) -> FewShotPredictor:
    """The predictor of a target from `latency_us`, shape (n,), measured at `architectures`, (n, positions).

    Raises DataError for fewer than three measurements, or for latencies that are not positive and finite.
    """
    archs, values = np.atleast_2d(np.asarray(architectures)), np.asarray(latency_us, float)
    return fit_encoded(prior, archs, prior.at(archs), values)


def fit_encoded(prior: Prior, architectures: ArrayLike, encoded: Encoded, latency_us: Floats) -> FewShotPredictor:
    """`fit` of architectures that the prior has encoded."""
    if len(encoded) != len(latency_us):
        raise DataError(f"There are {len(latency_us)} latencies for {len(encoded)} architectures.")
    if len(latency_us) < FEWEST_MEASUREMENTS:
        raise DataError(f"{len(latency_us)} measurements are too few: {FEWEST_MEASUREMENTS} are the least.")
    if not (np.isfinite(latency_us) & (latency_us > 0)).all():
        raise DataError("A measured latency is not a positive number.")
    return FewShotPredictor(prior, np.asarray(architectures), latency_us, posterior_of(prior, encoded, latency_us))
