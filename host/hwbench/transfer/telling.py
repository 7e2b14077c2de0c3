"""Which architectures to measure, when only few can be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwbench.transfer.ranks import Floats

_CANDIDATES = 2000
_PRIOR = 1e-2


def telling(features: Floats, count: int, seed: int = 0) -> NDArray[np.intp]:
    """Indices of `count` architectures that together determine a linear model of `features` (n, p) best.

    Greedy D-optimal design (Fedorov, Theory of Optimal Experiments, 1972): each next architecture is the one whose
    prediction the earlier ones leave most uncertain. The first is random, and so are the candidates of a large space.
    """
    rng = np.random.default_rng(seed)
    candidates = rng.permutation(len(features))[:_CANDIDATES]
    rows = features[candidates] - features[candidates].mean(axis=0)
    scale = rows.std(axis=0)
    rows = rows[:, scale > 0] / scale[scale > 0]
    covariance = np.eye(rows.shape[1]) / _PRIOR
    chosen: list[int] = []
    free = np.ones(len(candidates), bool)
    for _ in range(min(count, len(candidates))):
        uncertain = np.einsum("ij,jk,ik->i", rows, covariance, rows, optimize=True)
        number = int(np.argmax(np.where(free, uncertain, -np.inf))) if chosen else 0
        chosen.append(number)
        free[number] = False
        pull = covariance @ rows[number]
        covariance -= np.outer(pull, pull) / (1 + rows[number] @ pull)
    found: NDArray[np.intp] = candidates[chosen]
    return found
