"""A Gaussian process over kernels as features of parts: kernels of similar size and kind cost alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwbench.transfer.few_shot.kernels import KernelTable

Floats = NDArray[np.float64]

_LENGTH = 1.5
_FEATURES = 60
_MOST_LANDMARKS = 400


def part_features(table: KernelTable) -> Floats:
    """Shape (parts, at most 60): inner products are covariances of the parts' costs.

    The covariance of two kernels is a squared exponential of log work, traffic and weights and of the kind, times
    both kernels' sizes. With many kernels it is that of a Nystrom approximation (Williams, Seeger 2001) on a sample.
    """
    sizes = np.stack([table.macs, table.moved, table.weights + 1], axis=1)
    logs = np.log(np.maximum(sizes, 1))
    places = logs / np.maximum(logs.std(axis=0), 1e-9)
    kinds = np.eye(len(table.kind_names))[table.kind] * np.sqrt(2)
    places = np.hstack([places, kinds])
    amplitude = np.hstack([sizes / sizes.mean(axis=0), np.ones((len(sizes), 1))]).mean(axis=1)
    landmarks = np.unique(places, axis=0)
    if len(landmarks) > _MOST_LANDMARKS:
        landmarks = np.random.default_rng(0).permutation(landmarks)[:_MOST_LANDMARKS]
    values, vectors = np.linalg.eigh(_squared_exponential(landmarks, landmarks))
    kept = np.argsort(-values)[:_FEATURES]
    kept = kept[values[kept] > 1e-9 * values.max()]
    found = _squared_exponential(places, landmarks) @ (vectors[:, kept] / np.sqrt(values[kept]))
    return table.per_part(found * amplitude[:, None])


def _squared_exponential(left: Floats, right: Floats) -> Floats:
    squared = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
    found: Floats = np.exp(-0.5 * np.maximum(squared, 0) / _LENGTH**2)
    return found
