"""A small chain space, latencies of it, and images that a network can learn in seconds."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hwbench import spaces
from hwbench.search.data import Images
from hwbench.search.supernet.network import Supernet, chain_of
from hwbench.spaces.space import ChainSpace
from hwbench.tables.source import Latencies, block_offers

# Four positions with 6, 7, 6 and 7 choices.
SMALL: ChainSpace = chain_of(spaces.get("proxylessnas-v8.8.12.16.24-r8-c4-d2.2-s2.1"))


class Table:
    """A latency source that is a sum over positions: random microseconds per block."""

    def __init__(self, space: ChainSpace, seed: int = 0) -> None:
        self.space = space
        rng = np.random.default_rng(seed)
        self.values = {block.key: float(rng.uniform(10, 100)) for block in space.distinct_blocks}

    def missing(self, architectures: ArrayLike) -> tuple[str, ...]:
        return tuple(
            named.block.key
            for architecture in self.space.check(architectures)
            for named in self.space.terms(architecture)
            if named.block.key not in self.values
        )

    def predict(self, architectures: ArrayLike) -> Latencies:
        rows = np.array([[self.values.get(block.key, np.nan)] for block in self.space.distinct_blocks])
        mean = self.space.total(rows, architectures)[:, 0]
        return Latencies(mean, mean, mean)

    def offered_us(self) -> tuple[float, tuple[NDArray[np.float64], ...]]:
        return block_offers(self.space, self.values)


class Opaque:
    """A source of which only predictions are known; `power` makes it no sum."""

    def __init__(self, table: Table, power: float = 1.0) -> None:
        self._table = table
        self._power = power

    def missing(self, architectures: ArrayLike) -> tuple[str, ...]:
        return self._table.missing(architectures)

    def predict(self, architectures: ArrayLike) -> Latencies:
        mean = self._table.predict(architectures).mean_us ** self._power
        return Latencies(mean, mean, mean)


def images(count: int, seed: int = 0) -> Images:
    """8 x 8 x 3 noise whose brightest quarter is the class, one of four."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    pixels = rng.integers(0, 120, (count, 8, 8, 3))
    for row, label in zip(pixels, labels, strict=True):
        top, left = 4 * (label // 2), 4 * (label % 2)
        row[top : top + 4, left : left + 4] += 100
    return Images(pixels.astype(np.uint8), labels)


def double_supernet(space: ChainSpace = SMALL, seed: int = 0) -> Supernet:
    return Supernet(space, seed).double()


def double_batch(count: int = 12, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    made = images(count, seed)
    pixels = torch.from_numpy(made.pixels.astype(np.float64) / 255 - 0.3).permute(0, 3, 1, 2)
    return pixels, torch.from_numpy(made.labels)
