"""Latencies of blocks from those of whole networks, as ProxylessNAS's own phone table was made (Cai et al., 2019).

    min over d of  sum_i ((x_i . (m + r * d)) / y_i - 1)^2 + lambda ||d||^2,  m + r * d > 0

x_i counts the blocks of network i, y_i is its latency, m what the blocks should take by their multiply-accumulates,
bytes and operators (coefficients not negative, fitted first), r the size of a deviation. Each position of a space holds
one of its blocks, so the columns of x sum to a constant there and x lacks rank: the penalty takes, of all tables that
sum to the same networks, the one nearest to m. As in AdaProxy, r averages m with its typical size in squares.
"""

from __future__ import annotations

import msgspec
import numpy as np

from hwbench.errors import DataError
from hwbench.transfer.ranks import Floats

FEWEST = 10
_LAMBDAS = np.logspace(-6, 4, 41)
# No block is free: at least so much of what it should take.
_LEAST = 0.01


class BlockFit(msgspec.Struct, frozen=True):
    """`latency_us` and its standard deviation `spread_us`, shape (blocks,); `prior_us` is m.

    The spread is the posterior's of Bayesian ridge regression, with deviations as large as the data do not exclude.

    `noise` is the relative standard deviation of networks about their sums, `freedom` the effective number of
    parameters. `left_out` (n,) are predicted / measured - 1 of each network when the others alone are fitted, for the
    chosen lambda.
    """

    latency_us: Floats
    spread_us: Floats
    prior_us: Floats
    penalty_weight: float
    noise: float
    freedom: float
    left_out: Floats


def fit_blocks(counts: Floats, features: Floats, measured_us: Floats) -> BlockFit:
    """`counts` (n, blocks) say how often each network has each block, `features` (blocks, k) what blocks ask for.

    lambda is the one with the least squared left-out error. Raises DataError for too few or unusable latencies.
    """
    from scipy.optimize import nnls

    if len(measured_us) < FEWEST:
        raise DataError(f"{len(measured_us)} networks are too few to fit blocks.", hint=f"Take {FEWEST} or more.")
    if not np.isfinite(measured_us).all() or measured_us.min() <= 0:
        raise DataError("Latencies of some networks are missing or not positive.")
    relative = counts / measured_us[:, None]
    prior = _prior(relative, features)
    reach = np.sqrt((prior**2 + np.mean(prior**2)) / 2)
    deviations, rest = relative * reach, 1.0 - relative @ prior
    left, singular, right = np.linalg.svd(deviations, full_matrices=False)
    projected = left.T @ rest
    errors = np.array([_left_out(left, singular, projected, rest, float(one)) for one in _LAMBDAS])
    best = int(np.argmin(np.mean(errors**2, axis=1)))
    weight, loosest = float(_LAMBDAS[best]), _loosest(errors**2, best)
    shrink = singular**2 / (singular**2 + weight)
    freedom = float(shrink.sum())
    residual = rest - left @ (shrink * projected)
    noise = float(np.sqrt(residual @ residual / max(len(rest) - freedom, 1.0)))
    # Bounded from below by a shift; the penalty pulls the shifted deviations to where the plain ones would be.
    lowest = (_LEAST - 1) * prior / reach
    rows = np.vstack([deviations, np.sqrt(weight) * np.eye(len(prior))])
    wanted = np.concatenate([rest - deviations @ lowest, -np.sqrt(weight) * lowest])
    deviation = lowest + nnls(rows, wanted, maxiter=30 * len(prior))[0]
    within = right.T**2 @ (1 / (singular**2 + loosest) - 1 / loosest) + 1 / loosest
    return BlockFit(
        latency_us=prior + reach * deviation,
        spread_us=np.asarray(noise * reach * np.sqrt(within), float),
        prior_us=prior,
        penalty_weight=weight,
        noise=noise,
        freedom=freedom,
        left_out=-errors[best],
    )


def _loosest(squares: Floats, best: int) -> float:
    """The smallest lambda whose left-out error is within a standard error of the least."""
    worse = squares - squares[best]
    close = worse.mean(axis=1) <= worse.std(axis=1) / np.sqrt(squares.shape[1])
    return float(_LAMBDAS[int(np.argmax(close))])


def _prior(relative: Floats, features: Floats) -> Floats:
    """What each block should take by its features, never nothing, shape (blocks,)."""
    from scipy.optimize import nnls

    scale = np.maximum(features.mean(axis=0), 1e-12)
    scaled = features / scale
    coefficients = nnls(relative @ scaled, np.ones(len(relative)))[0]
    found = scaled @ coefficients
    floored: Floats = np.maximum(found, _LEAST * found.mean())
    return floored


def _left_out(left: Floats, singular: Floats, projected: Floats, rest: Floats, weight: float) -> Floats:
    """Errors of each network fitted without it, measured less predicted, relative; shape (n,). Exact for the ridge."""
    shrink = singular**2 / (singular**2 + weight)
    leverage = (left**2 * shrink).sum(axis=1)
    found: Floats = (rest - left @ (shrink * projected)) / np.maximum(1 - leverage, 1e-9)
    return found
