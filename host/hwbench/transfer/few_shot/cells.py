"""Description of NAS-Bench-201: one cell, three execution regimes, parts that are operators in all stages."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.spaces.cells import (
    CONV_1,
    CONV_3,
    EDGES,
    NONE,
    OPERATORS,
    POOL_3,
    SKIP,
    EdgeConv,
    EdgePool,
    NodeAdd,
)
from hwbench.spaces.nasbench201 import CellSpace
from hwbench.spaces.ops import INPUT, Op, Shape, Zeroize
from hwbench.transfer.few_shot.description import View
from hwbench.transfer.few_shot.kernels import KernelTable, table_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NODES = 4
# Eager frameworks are what most published tables were measured with; the others are rarer and equally likely.
EAGER, DEAD_CODE_ELIMINATED, PRUNED = 0.6, 0.2, 0.2


class CellDescription:
    regimes = (EAGER, DEAD_CODE_ELIMINATED, PRUNED)

    def __init__(self, space: CellSpace) -> None:
        self._space = space

    @cached_property
    def kernels(self) -> KernelTable:
        """Of one part per operator and one for the sum at a node, each with its kernels in every stage."""
        parts: list[list[Op]] = [[] for _ in range(len(OPERATORS) + 1)]
        for shape in self._space.shapes:
            for part, ops in zip(parts, _ops(shape), strict=True):
                part.extend(ops)
        return table_of(parts)

    def views(self, architectures: ArrayLike) -> tuple[View, ...]:
        archs = self._space.check(architectures)
        return tuple(_view(archs, kept, counted) for kept, counted in self._regimes(archs))

    def sums(self, values: Floats, architectures: ArrayLike) -> tuple[Floats, ...]:
        archs = self._space.check(architectures)
        found = []
        for kept, counted in self._regimes(archs):
            operators = _one_hot(archs, counted).sum(axis=1)
            found.append(np.hstack([operators, _adds(archs, kept)[:, None]]) @ values)
        return tuple(found)

    @staticmethod
    def _regimes(archs: NDArray[np.uint8]) -> tuple[tuple[Bools, Bools], ...]:
        """Per regime the edges that stay, and those whose operator runs: a pruned `none` makes no zeros."""
        fed, used = reachable(archs)
        everything = np.ones(archs.shape, bool)
        return (everything, everything), (used, used), (fed & used, fed & used & (archs != NONE))


def reachable(archs: NDArray[np.uint8]) -> tuple[Bools, Bools]:
    """Which edges start at a node that the input feeds, and which end at one that feeds the output; (n, 6) each."""
    carries = archs != NONE
    fed, used = np.zeros((2, len(archs), NODES), bool)
    fed[:, 0] = used[:, -1] = True
    for edge, (source, end) in enumerate(EDGES):
        fed[:, end] |= fed[:, source] & carries[:, edge]
    for edge, (source, end) in reversed(list(enumerate(EDGES))):
        used[:, source] |= used[:, end] & carries[:, edge]
    sources, ends = np.array(EDGES).T
    return fed[:, sources], used[:, ends]


def serial_depth(archs: NDArray[np.uint8], kept: Bools) -> Floats:
    """Operators on the longest path from input to output, the identity not counted; 0 where there is none."""
    longest = np.full((len(archs), NODES), -np.inf)
    longest[:, 0] = 0
    for edge, (source, end) in enumerate(EDGES):
        carries = kept[:, edge] & (archs[:, edge] != NONE)
        length = np.where(carries, (archs[:, edge] != SKIP).astype(float), -np.inf)
        longest[:, end] = np.maximum(longest[:, end], longest[:, source] + length)
    found: Floats = np.maximum(longest[:, -1], 0)
    return found


def _view(archs: NDArray[np.uint8], kept: Bools, counted: Bools) -> View:
    layers = _one_hot(archs, counted)
    counts = layers.sum(axis=1)
    totals = [
        *counts.T,
        serial_depth(archs, kept),
        _adds(archs, kept),
        counts[:, CONV_3] + counts[:, CONV_1] / 9,
        kept.sum(axis=1).astype(float),
    ]
    return View(layers.reshape(len(archs), -1), counts, np.stack(totals, axis=1))


def _one_hot(archs: NDArray[np.uint8], counted: Bools) -> Floats:
    """Shape (n, edges, operators)."""
    found: Floats = np.eye(len(OPERATORS))[archs] * counted[:, :, None]
    return found


def _adds(archs: NDArray[np.uint8], kept: Bools) -> Floats:
    """Sums at nodes: one less than the edges that arrive with something."""
    carries = kept & (archs != NONE)
    ends = np.array(EDGES)[:, 1]
    arriving = np.stack([carries[:, ends == node].sum(axis=1) for node in range(1, NODES)], axis=1)
    total: Floats = np.maximum(arriving - 1, 0).sum(axis=1).astype(float)
    return total


def _ops(shape: Shape) -> tuple[tuple[Op, ...], ...]:
    """Operators of each part at one shape, in the order of OPERATORS, then the sum at a node."""
    found: dict[int, tuple[Op, ...]] = {
        NONE: (Zeroize("zero", INPUT, shape),),
        SKIP: (),
        CONV_1: EdgeConv(shape, 1).ops(),
        CONV_3: EdgeConv(shape, 3).ops(),
        POOL_3: EdgePool(shape).ops(),
    }
    return (*(found[operator] for operator in range(len(OPERATORS))), NodeAdd(shape).ops())
