"""Description of chains: ProxylessNAS, FBNet, Once-for-all. Everything in a chain runs, so there is one regime."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.spaces.blocks import Block
from hwbench.spaces.encodings import PHYSICAL_FEATURES, block_features
from hwbench.spaces.ops import Conv
from hwbench.spaces.space import ChainSpace, ResolutionSpace
from hwbench.transfer.few_shot.description import View
from hwbench.transfer.few_shot.kernels import KernelTable, table_of

Floats = NDArray[np.float64]

_ROOTED = ("gemm_macs", "depthwise_macs", "weight_bytes", "read_bytes", "written_bytes")
_WIDE_WINDOWS = (5, 7)


class ChainDescription:
    """Of a chain, or of one chain per input resolution."""

    regimes = (1.0,)

    def __init__(self, space: ChainSpace | ResolutionSpace) -> None:
        self._space = space
        self._blocks = space.distinct_blocks

    @cached_property
    def kernels(self) -> KernelTable:
        """Of the blocks that are searched: what every architecture has says nothing about their differences."""
        fixed = {named.block.key for named in self._space.fixed_blocks}
        return table_of([() if block.key in fixed else block.ops() for block in self._blocks])

    @cached_property
    def _counts(self) -> Floats:
        return np.array([_counts(block) for block in self._blocks])

    @cached_property
    def _totals(self) -> Floats:
        """Physical features of each block, and square roots of its work and traffic: small kernels cost more each."""
        physical = np.array([block_features(block) for block in self._blocks])
        return np.hstack([physical, np.sqrt(physical[:, [PHYSICAL_FEATURES.index(name) for name in _ROOTED]])])

    def views(self, architectures: ArrayLike) -> tuple[View]:
        archs = self._space.check(architectures)
        return (
            View(self._layers(archs), self._space.total(self._counts, archs), self._space.total(self._totals, archs)),
        )

    def sums(self, values: Floats, architectures: ArrayLike) -> tuple[Floats]:
        return (self._space.total(values, architectures),)

    def _layers(self, archs: NDArray[np.uint8]) -> Floats:
        """How often each distinct block occurs; with resolutions, also that times the area, and the resolution."""
        if isinstance(self._space, ChainSpace):
            return _occurrences(self._space, archs)
        sides = np.array(self._space.resolutions, float)
        side = (sides / sides.mean())[archs[:, 0], None]
        layers = _occurrences(self._space.chains[0], archs[:, 1:])
        return np.hstack([layers, layers * side**2, side, side**2])


def _occurrences(chain: ChainSpace, archs: NDArray[np.uint8]) -> Floats:
    return chain.total(np.eye(len(chain.distinct_blocks)), archs)


def _counts(block: Block) -> Sequence[float]:
    """Layers, grouped convolutions that are not depthwise, and depthwise ones with wide windows."""
    convolutions = [op for op in block.ops() if isinstance(op, Conv)]
    depthwise = [op for op in convolutions if op.groups == op.in_shape[2] and op.groups > 1]
    grouped = any(op.groups > 1 for op in convolutions if op not in depthwise)
    wide = [any(op.kernel == window for op in depthwise) for window in _WIDE_WINDOWS]
    return [float(bool(depthwise)), float(grouped), *map(float, wide)]
