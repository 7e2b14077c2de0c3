"""Expected latency of an architecture distribution as a differentiable term, for any latency source.

Under independent choices E[latency] is linear in the probabilities of each position, with slopes
dE/dp_ik = E[latency | position i takes k]. A source that is a sum over positions has them in closed form; for any
other they are estimated without bias from drawn architectures, each with every one of its choices replaced in turn.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwbench.search.supernet.gates import sample_paths
from hwbench.spaces.space import ChainSpace
from hwbench.tables.source import LatencySource, refuse_missing

_DRAWS = 8


@runtime_checkable
class AdditiveSource(LatencySource, Protocol):
    """A source whose latencies are sums over positions, as those of tables are."""

    def offered_us(self) -> tuple[float, tuple[NDArray[np.float64], ...]]:
        """The sum of what is fixed, and for each position the latency of each choice (NaN: missing)."""


class ExpectedLatency(Protocol):
    def expected_us(self, probability: Tensor, generator: torch.Generator) -> Tensor:
        """E[latency] in microseconds, differentiable, of float64 probabilities (positions, choices)."""


def expected_latency(source: LatencySource, space: ChainSpace) -> ExpectedLatency:
    """The source's expectation: exact where it is a sum over positions, else sampled. Raises MissingRows."""
    if isinstance(source, AdditiveSource):
        return AdditiveLatency(source, space)
    return SampledLatency(source, space)


class AdditiveLatency:
    """E = fixed + sum_ik p_ik latency_ik."""

    def __init__(self, source: AdditiveSource, space: ChainSpace) -> None:
        self.fixed_us, offers = source.offered_us()
        if not np.isfinite(self.fixed_us) or not all(np.isfinite(offer).all() for offer in offers):
            refuse_missing(source.missing(_each_choice_once(space)), space)
        self.offered_us = torch.zeros((len(offers), int(space.choice_counts.max())), dtype=torch.float64)
        for row, offer in zip(self.offered_us, offers, strict=True):
            row[: len(offer)] = torch.from_numpy(offer)

    def expected_us(self, probability: Tensor, generator: torch.Generator) -> Tensor:
        return self.fixed_us + (probability * self.offered_us).sum()


class SampledLatency:
    """Mean over `draws` architectures; slopes from those and their neighbours."""

    def __init__(self, source: LatencySource, space: ChainSpace, draws: int = _DRAWS) -> None:
        if lacking := source.missing(_each_choice_once(space)):
            refuse_missing(lacking, space)
        self._source = source
        self._counts = space.choice_counts
        self._draws = draws

    def expected_us(self, probability: Tensor, generator: torch.Generator) -> Tensor:
        fixed = probability.detach()
        drawn = np.stack([sample_paths(fixed, generator) for _ in range(self._draws)])
        neighbours = np.concatenate(
            [drawn, *(self._replaced(drawn, position) for position in range(len(self._counts)))]
        )
        latencies = np.asarray(self._source.predict(neighbours).mean_us, np.float64).reshape(-1, self._draws).mean(1)
        slopes = torch.zeros_like(fixed)
        present = torch.arange(fixed.shape[1]) < torch.from_numpy(self._counts)[:, None]
        slopes[present] = torch.from_numpy(latencies[1:])
        return latencies[0] + ((probability - fixed) * slopes).sum()

    def _replaced(self, drawn: NDArray[np.uint8], position: int) -> NDArray[np.uint8]:
        """All drawn architectures with choice 0 at the position, then all with choice 1, ..."""
        count = int(self._counts[position])
        made = np.tile(drawn, (count, 1))
        made[:, position] = np.repeat(np.arange(count), len(drawn))
        return made


def _each_choice_once(space: ChainSpace) -> NDArray[np.uint8]:
    """Few architectures that hold every choice between them."""
    counts = space.choice_counts
    return (np.arange(counts.max())[:, None] % counts).astype(np.uint8)
