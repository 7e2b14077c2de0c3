"""Architectures as numbers: what latency predictors and linear models read."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.spaces.blocks import Block
from hwbench.spaces.ops import Conv, Linear, sources
from hwbench.spaces.space import Space

PHYSICAL_FEATURES = (
    "gemm_macs",
    "depthwise_macs",
    "weight_bytes",
    "read_bytes",
    "written_bytes",
    "gemm_ops",
    "depthwise_ops",
    "other_ops",
)


def one_hot(space: Space, architectures: ArrayLike) -> NDArray[np.float64]:
    """Shape (n, sum of choice counts): 1 where the position holds the choice."""
    archs = space.check(architectures)
    offsets = np.concatenate([[0], np.cumsum(space.choice_counts)[:-1]])
    encoded = np.zeros((len(archs), int(space.choice_counts.sum())))
    np.put_along_axis(encoded, archs + offsets, 1.0, axis=1)
    return encoded


def choice_labels(space: Space) -> NDArray[np.intp]:
    """For each column of `one_hot` the number of its label, shape (sum of choice counts,); positions share labels."""
    labels = [label for choice in space.choices for label in choice.labels]
    found: NDArray[np.intp] = np.unique(labels, return_inverse=True)[1]
    return found


def label_counts(space: Space, architectures: ArrayLike) -> NDArray[np.float64]:
    """In how many positions each label stands, shape (n, labels)."""
    labels = choice_labels(space)
    counts: NDArray[np.float64] = one_hot(space, architectures) @ np.eye(int(labels.max()) + 1)[labels]
    return counts


def block_counts(space: Space, architectures: ArrayLike) -> NDArray[np.float64]:
    """How often each network has each of the space's distinct blocks, shape (n, blocks)."""
    return space.total(np.eye(len(space.distinct_blocks)), architectures)


def block_stages(space: Space) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names of the space's stages, and the stage of each distinct block, shape (blocks,).

    A searched block's stage is that of its first position; every other kind of block makes a stage of its own.
    """
    found = {named.block.key: named.name.split(".")[0] for named in space.fixed_blocks}
    for position in space.grid:
        for block in position.blocks:
            if block is not None:
                found.setdefault(block.key, position.name.split()[-1].split(".")[0])
    named = [found.get(block.key, block.key.split("-")[0]) for block in space.distinct_blocks]
    names = tuple(dict.fromkeys(named))
    return names, np.array([names.index(name) for name in named])


def block_features(block: Block, bytes_per_value: int = 4) -> NDArray[np.float64]:
    """What the hardware has to do for one block, in the order of PHYSICAL_FEATURES."""
    features = dict.fromkeys(PHYSICAL_FEATURES, 0.0)
    for op in block.ops():
        read = float(np.prod(op.in_shape)) * len(sources(op))
        features["read_bytes"] += read * bytes_per_value
        features["written_bytes"] += float(np.prod(op.out_shape)) * bytes_per_value
        features["weight_bytes"] += op.parameters * bytes_per_value
        if isinstance(op, Conv) and op.groups == op.in_shape[2] and op.groups > 1:
            features["depthwise_ops"] += 1
            features["depthwise_macs"] += op.macs
        elif isinstance(op, Conv | Linear):
            features["gemm_ops"] += 1
            features["gemm_macs"] += op.macs
        else:
            features["other_ops"] += 1
    return np.array([features[name] for name in PHYSICAL_FEATURES])


def physical(space: Space, architectures: ArrayLike) -> NDArray[np.float64]:
    """Sums of block features over each network; shape (n, len(PHYSICAL_FEATURES))."""
    return space.total(np.stack([block_features(block) for block in space.distinct_blocks]), architectures)
