"""Simulated pairs of targets whose agreement is known."""

from __future__ import annotations

import numpy as np

from hwbench.transfer.agreement import Observed


def pair(rng: np.random.Generator, rho: float, n: int, noise: float, spread: float = 0.3) -> tuple[Observed, Observed]:
    """Log-normal latencies of n architectures whose noise-free Spearman correlation is `rho`.

    `spread` is the standard deviation of log latencies, `noise` that of the timing of each.
    """
    pearson = 2 * np.sin(np.pi * rho / 6)
    first, second = rng.standard_normal((2, n))
    logs = np.array([first, pearson * first + np.sqrt(1 - pearson**2) * second])
    timed = 1e4 * np.exp(spread * logs + noise * rng.standard_normal(logs.shape))
    known = np.full(n, noise) if noise else None
    return Observed("a", timed[0], known), Observed("b", timed[1], known)
