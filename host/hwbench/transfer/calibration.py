"""A block table corrected by few whole networks: a Bayesian linear update of its rows.

    measured_i / sum_i - 1 = sum over blocks b of share_ib (c + s_stage(b) + e_b) + r + noise_i

share_ib is the block's share of the sum, c a factor common to all rows, s one of each stage, e_b a row's own error as
its interval says, r what the networks' run has in common and another run would not. All are normal with the mean 0. How
large the factors and the noise are is not known: the posterior averages over a grid of all three sizes, weighted by how
probable each makes the measurements (Rasmussen and Williams 2006, sections 2.2 and 5.4.1). The run of the table varies
as that of the networks does, which is the least that c can be.
"""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import DataError
from hwbench.measure.statistics import RUN_TO_RUN
from hwbench.transfer.ranks import Floats

FEWEST = 5
_COMMON = (0.0, 0.03, 0.3)
_STAGE = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
_NOISE = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
_GRID = tuple(itertools.product(_COMMON, _STAGE, _NOISE))
# The gain in absolute error over left-out networks must be so many of its standard errors, and as probable in other
# runs.
_SURE = 2.0
_PROBABLE = 0.8
_DRAWS = 400
_SMALLEST_FACTOR = 0.05


class Corrections(msgspec.Struct, frozen=True):
    """`factors` multiply the rows, `deviations` are their relative standard deviations; both of shape (blocks,).

    `common` is what all rows share, `stages` that and each stage's part, shape (stages,). `before` and `after` are
    predicted / measured - 1 of each network by the rows as they are, and by rows corrected without it. `accepted`: the
    left-out errors are surely smaller, and probably so in another run; if not, all factors are 1.
    """

    factors: Floats
    deviations: Floats
    common: float
    stages: Floats
    before: Floats
    after: Floats
    accepted: bool
    reason: str


def corrections(
    shares: Floats, stages: NDArray[np.int64], deviations: Floats, predicted_us: Floats, measured_us: Floats
) -> Corrections:
    """`shares` (n, blocks) of each network's sum, `stages` (blocks,) numbered from 0, `deviations` (blocks,) relative.

    Raises DataError for too few or unusable measurements.
    """
    if len(measured_us) < FEWEST:
        raise DataError(
            f"{len(measured_us)} networks are too few to correct a table.", hint=f"Measure {FEWEST} or more."
        )
    if not (np.isfinite(measured_us).all() and np.isfinite(predicted_us).all() and min(measured_us) > 0):
        raise DataError("Latencies of some networks are missing or not positive.")
    ratio = measured_us / predicted_us - 1
    member = np.eye(int(stages.max()) + 1)[stages]
    by_stage = shares @ member
    grid = [_Sizes(float(np.hypot(common, RUN_TO_RUN)), *others) for common, *others in _GRID]
    updates = [_update(shares, by_stage, deviations, ratio, sizes) for sizes in grid]
    evidence = np.array([one.evidence for one in updates])
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    left_out = weights @ np.array([one.left_out for one in updates])
    before = predicted_us / measured_us - 1
    after = predicted_us * (1 + left_out) / measured_us - 1
    means, seconds, commons, parts = [], [], [], []
    for sizes, one in zip(grid, updates, strict=True):
        common = sizes.common**2 * float(one.pulled.sum())
        part = common + sizes.stage**2 * (by_stage.T @ one.pulled)
        mean = part[stages] + deviations**2 * (shares.T @ one.pulled)
        means.append(mean)
        seconds.append(_variance(shares, by_stage, stages, deviations, sizes, one.inverse) + mean**2)
        commons.append(common)
        parts.append(part)
    mean = weights @ np.array(means)
    variance = np.maximum(weights @ np.array(seconds) - mean**2, 0.0)
    if not (_is_sure(before, after) and _is_probable(ratio, left_out)):
        same = np.ones(shares.shape[1])
        reason = "networks of other runs are not surely predicted better: the rows stay as they are"
        return Corrections(same, deviations, 0.0, np.zeros(member.shape[1]), before, before, False, reason)
    factors = np.maximum(1 + mean, _SMALLEST_FACTOR)
    return Corrections(
        factors=factors,
        deviations=np.sqrt(variance) / factors,
        common=float(weights @ np.array(commons)),
        stages=weights @ np.array(parts),
        before=before,
        after=after,
        accepted=True,
        reason="left-out networks are predicted better",
    )


def _is_sure(before: Floats, after: Floats) -> bool:
    """Whether left-out networks of this run are predicted better."""
    gain = np.abs(before) - np.abs(after)
    return bool(gain.mean() > _SURE * gain.std(ddof=1) / np.sqrt(len(gain)))


def _is_probable(ratio: Floats, left_out: Floats) -> bool:
    """Whether networks of another run would be: one that has in common something else than this run has.

    This run's own part is taken to be what is left of its mean.
    """
    rng = np.random.default_rng(0)
    other = ratio - (ratio - left_out).mean() + RUN_TO_RUN * rng.standard_normal((_DRAWS, 1))
    gain = np.abs(other).mean(axis=1) - np.abs(other - left_out).mean(axis=1)
    return bool((gain > 0).mean() >= _PROBABLE)


class _Sizes(msgspec.Struct, frozen=True):
    """Standard deviations of the common factor, of those of stages, and of the networks' noise."""

    common: float
    stage: float
    noise: float


class _Update(msgspec.Struct, frozen=True):
    """The inverse covariance of the networks' ratios, its product with them, the log evidence, left-out predictions."""

    inverse: Floats
    pulled: Floats
    evidence: float
    left_out: Floats


def _update(shares: Floats, by_stage: Floats, deviations: Floats, ratio: Floats, sizes: _Sizes) -> _Update:
    own = shares * deviations
    signal = sizes.common**2 + sizes.stage**2 * by_stage @ by_stage.T + own @ own.T
    covariance = signal + RUN_TO_RUN**2 + sizes.noise**2 * np.eye(len(ratio))
    inverse = np.asarray(np.linalg.inv(covariance), float)
    pulled = inverse @ ratio
    evidence = -0.5 * float(ratio @ pulled) - 0.5 * float(np.linalg.slogdet(covariance)[1])
    return _Update(inverse, pulled, evidence, _left_out(signal, inverse, pulled))


def _left_out(signal: Floats, inverse: Floats, pulled: Floats) -> Floats:
    """The part `signal` of each ratio, predicted from the others, shape (n,).

    Without the i-th, the inverse loses its row and column by a rank-one update.
    """
    diagonal = np.diagonal(inverse)
    without = pulled[None, :] - inverse * (pulled / diagonal)[:, None]
    np.fill_diagonal(without, 0.0)
    found: Floats = (signal * without).sum(axis=1)
    return found


def _variance(
    shares: Floats, by_stage: Floats, stages: NDArray[np.int64], deviations: Floats, sizes: _Sizes, inverse: Floats
) -> Floats:
    """Posterior variance of each row's correction, shape (blocks,)."""
    # Covariance of rows' corrections with the networks' ratios, (blocks, n).
    cross = sizes.common**2 + sizes.stage**2 * by_stage.T[stages] + deviations[:, None] ** 2 * shares.T
    prior = sizes.common**2 + sizes.stage**2 + deviations**2
    found: Floats = prior - np.einsum("bi,ij,bj->b", cross, inverse, cross, optimize=True)
    return np.maximum(found, 0.0)
