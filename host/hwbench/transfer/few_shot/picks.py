"""Which architectures to measure next: greedy A-optimal design (Chaloner, Verdinelli 1995, section 2).

Each pick is the one that lowers the mean variance over the pool most. Variances depend on where was measured and not
on what, so a batch can be chosen before anything runs, and one by one gives the same picks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.transfer.few_shot.prior import Encoded, Prior

Floats = NDArray[np.float64]

_MOST_CANDIDATES = 1500
_POOL = 1000


def next_picks(
    prior: Prior,
    candidates: ArrayLike,
    count: int,
    measured: ArrayLike | None = None,
    central: float = 0.9,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Places among `candidates` (n, positions) of the next `count` to measure after `measured`; shape (count,).

    At most 1500 candidates, drawn by `seed`, are weighed; of these only the `central` share of the sources' mean
    prediction, since the extremes teach most about themselves.
    """
    offered = np.atleast_2d(np.asarray(candidates))
    drawn = np.random.default_rng(seed).permutation(len(offered))[:_MOST_CANDIDATES]
    known = None if measured is None or not len(np.atleast_2d(measured)) else prior.at(measured)
    return drawn[choose(prior, prior.at(offered[drawn]), count, known, central)]


def choose(
    prior: Prior, candidates: Encoded, count: int, measured: Encoded | None = None, central: float = 0.9
) -> NDArray[np.int64]:
    """`next_picks` of encoded architectures."""
    low, high = np.quantile(prior.source_rows.bases[:, 0], [(1 - central) / 2, (1 + central) / 2])
    mean = candidates.bases[:, 0]
    eligible = np.flatnonzero((mean >= low) & (mean <= high))
    if len(eligible) < count:
        eligible = np.arange(len(candidates))
    pool = mean_features(prior, prior.source_rows.take(np.arange(min(_POOL, len(prior.source_rows)))))
    known = np.zeros((0, pool.shape[1])) if measured is None else mean_features(prior, measured)
    noise = prior.settings.noise.mean
    return eligible[greedy(mean_features(prior, candidates.take(eligible)), pool, count, noise, known)[0]]


def mean_features(prior: Prior, encoded: Encoded) -> Floats:
    """Features whose inner products are the prior mean covariance, shape (n, k)."""
    settings = prior.settings
    return np.hstack(
        [
            np.full((len(encoded), 1), np.sqrt(settings.constant)),
            np.sqrt(settings.slope_variance) * encoded.bases[:, :1],
            *(np.sqrt(v) * group for v, group in zip(prior.mean_variances, encoded.groups, strict=True)),
        ]
    )


def greedy(
    candidates: Floats, pool: Floats, count: int, noise: float, measured: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """Picks among `candidates` (n, k), and the mean variance over `pool` (m, k) before and after each.

    Weights are standard normal, so `measured` (l, k) condition them first.
    """
    within, across = candidates @ candidates.T, pool @ candidates.T
    variance = (pool**2).sum(axis=1)
    if len(measured):
        gram = np.linalg.inv(measured @ measured.T + noise * np.eye(len(measured)))
        to_candidates, to_pool = candidates @ measured.T, pool @ measured.T
        within = within - to_candidates @ gram @ to_candidates.T
        across = across - to_pool @ gram @ to_candidates.T
        variance = variance - ((to_pool @ gram) * to_pool).sum(axis=1)
    picks: list[int] = []
    remaining = [float(variance.mean())]
    for _ in range(min(count, len(candidates))):
        gains = (across**2).mean(axis=0) / (np.diagonal(within) + noise)
        gains[picks] = -1
        pick = int(gains.argmax())
        picks.append(pick)
        remaining.append(remaining[-1] - float(gains[pick]))
        column, shared = within[:, pick].copy(), across[:, pick].copy()
        total = column[pick] + noise
        within -= np.outer(column, column) / total
        across -= np.outer(shared, column) / total
    return np.array(picks, np.int64), np.array(remaining)
