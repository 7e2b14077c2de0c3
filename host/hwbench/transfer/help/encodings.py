"""Architectures as the meta-learned predictors read them: a graph per cell, or one row of factors per chain."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench import spaces
from hwbench.errors import UsageError
from hwbench.spaces.cells import EDGES, NONE, OPERATORS
from hwbench.spaces.nasbench201 import CellSpace
from hwbench.spaces.space import ChainSpace, ResolutionSpace, Space
from hwbench.transfer.few_shot.describe import describe

Array: TypeAlias = NDArray[np.float32]

# An input, a node for each edge's operator, an output, and the one that is read, which hears all others.
NODES = 1 + len(EDGES) + 2
INPUT_NODE, OUTPUT_NODE, READ_NODE = 0, NODES - 2, NODES - 1
NODE_KINDS = len(OPERATORS) + 3

_CELL_OUTPUT = 3
# Architectures that say how large totals are.
_SAMPLED = 1000
# What a label of a chain says apart: kernel, expansion (with groups), resolution.
_FACTOR = re.compile(r"k\d+|e\d+(?:_g\d+)?|r\d+")


class Encoding(msgspec.Struct, frozen=True):
    """The arrays of one architecture are a row of each of `arrays`: of a graph its nodes (n, NODES, NODE_KINDS) and
    its adjacency (n, NODES, NODES), receivers first; of a chain its factors (n, features)."""

    kind: Literal["graph", "chain"]
    features: int
    arrays: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.arrays[0])


def encode(space_name: str, architectures: ArrayLike, totals: bool = False) -> Encoding:
    """With `totals` the row of a chain goes on with what the hardware has to do in sum, standardised.

    Raises UsageError for a space that is neither cell nor chain, DataError for what is no architecture of it.
    """
    space = spaces.get(space_name)
    if isinstance(space, CellSpace):
        return Encoding("graph", NODE_KINDS, _graphs(space, architectures))
    if isinstance(space, ChainSpace | ResolutionSpace):
        factors = _factors(space, architectures)
        if totals:
            factors = np.hstack([factors, _totals(space_name, architectures)])
        return Encoding("chain", factors.shape[1], (factors,))
    raise UsageError(f"Space {space_name} has no encoding for a meta-learned predictor.")


def _graphs(space: CellSpace, architectures: ArrayLike) -> tuple[Array, Array]:
    """A node hears itself and the nodes that feed it; nobody but the read node hears an edge that is `none`."""
    archs = space.check(architectures)
    kinds = np.zeros((len(archs), NODES), np.int64)
    kinds[:, 1:OUTPUT_NODE] = archs
    kinds[:, [INPUT_NODE, OUTPUT_NODE, READ_NODE]] = len(OPERATORS) + np.arange(3)
    adjacency = np.tile(np.eye(NODES, dtype=np.float32), (len(archs), 1, 1))
    adjacency[:, READ_NODE] = 1
    for edge, (source, end) in enumerate(EDGES, start=1):
        if source == 0:
            adjacency[:, edge, INPUT_NODE] = 1
        carries = archs[:, edge - 1] != NONE
        if end == _CELL_OUTPUT:
            adjacency[:, OUTPUT_NODE, edge] = carries
        for following, (other_source, _) in enumerate(EDGES, start=1):
            if other_source == end:
                adjacency[:, following, edge] = carries
    return np.eye(NODE_KINDS, dtype=np.float32)[kinds], adjacency


def _factors(space: Space, architectures: ArrayLike) -> Array:
    """One column per position and factor of its labels; a label without factors (a skipped layer) is all zeros."""
    archs = space.check(architectures)
    columns = []
    for position, choices in zip(space.choices, archs.T, strict=True):
        found = [_FACTOR.findall(label) for label in position.labels]
        for factor in dict.fromkeys(name for names in found for name in names):
            columns.append(np.array([factor in names for names in found], np.float32)[choices])
    return np.stack(columns, axis=1)


def _totals(space_name: str, architectures: ArrayLike) -> Array:
    """Physical features of whole networks, each with mean 0 and deviation 1 over random architectures of the space."""
    mean, deviation = _moments(space_name)
    totals = describe(space_name).views(architectures)[0].totals
    return ((totals - mean) / deviation).astype(np.float32)


@cache
def _moments(space_name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    totals = describe(space_name).views(spaces.get(space_name).sample(_SAMPLED, seed=0))[0].totals
    deviation = totals.std(axis=0)
    return totals.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
