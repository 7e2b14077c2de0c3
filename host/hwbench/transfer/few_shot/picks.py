"""Which architectures to measure next: greedy A-optimal design (Chaloner, Verdinelli 1995, section 2).

Each pick is the one that lowers the mean variance over the pool most, of latencies less their mean: an error that all
share changes no order. Variances depend on where was measured and not on what, so a batch can be chosen before anything
runs, and one by one gives the same picks.
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
    pool -= pool.mean(axis=0)
    known = np.zeros((0, pool.shape[1])) if measured is None else mean_features(prior, measured)
    noise = prior.settings.noise.mean
    return eligible[greedy(mean_features(prior, candidates.take(eligible)), pool, count, noise, known)[0]]


def mean_features(prior: Prior, encoded: Encoded) -> Floats:
    """Features whose inner products are the covariance averaged over draws and bases, shape (n, k).

    One base or none is the target's, each equally probable. Its slope counts with its second moment: the scale of
    what will be measured is unknown, so the slope's prior mean says nothing about it.
    """
    settings = prior.settings
    slope = settings.slope**2 + settings.slope_variance
    return np.hstack(
        [
            np.full((len(encoded), 1), np.sqrt(settings.constant)),
            np.sqrt(slope / (1 + encoded.bases.shape[1])) * encoded.bases,
            *(np.sqrt(v) * group for v, group in zip(prior.mean_variances, encoded.groups, strict=True)),
        ]
    )


def greedy(
    candidates: Floats, pool: Floats, count: int, noise: float, measured: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """Picks among `candidates` (n, k), and the mean variance over `pool` (m, k) before and after each.

    Weights are standard normal, and `measured` (l, k) condition them first. Rows are made orthogonal one by one, as in
    a pivoted Cholesky factorisation, so the candidates' whole covariance is never needed.
    """
    rows = np.vstack([measured, candidates])
    own, across = (rows**2).sum(axis=1), pool @ rows.T
    remaining = [float((pool**2).sum(axis=1).mean())]
    columns: list[Floats] = []
    picks = list(range(len(measured)))
    for step in range(len(measured) + min(count, len(candidates))):
        gains = (across**2).mean(axis=0) / (own + noise)
        if step >= len(measured):
            gains[picks] = -1
            picks.append(int(gains.argmax()))
        pick = picks[step]
        remaining.append(remaining[-1] - float(gains[pick]))
        column = rows @ rows[pick] - sum((done[pick] * done for done in columns), np.zeros(len(rows)))
        columns.append(column / np.sqrt(own[pick] + noise))
        across = across - np.outer(across[:, pick], columns[-1]) / np.sqrt(own[pick] + noise)
        own = own - columns[-1] ** 2
    return np.array(picks[len(measured) :], np.int64) - len(measured), np.array(remaining[len(measured) :])
