"""Which target of a pool serves as a proxy for a new one that was hardly measured, or for a whole fleet."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import DataError
from hwbench.transfer.agreement import MONOTONE
from hwbench.transfer.ranks import Floats, midranks
from hwbench.transfer.telling import telling

FEWEST = 5
_DRAWS = 200
# Architectures over which the agreement of a draw is taken.
_SAMPLED = 500
# Standard deviations that the new target's own part and its mixture of the pool's columns may have.
_OWN = np.logspace(-2.5, 0, 16)
_MIXTURE = np.logspace(-1.5, 0.5, 9)


class Candidate(msgspec.Struct, frozen=True):
    """A proxy: its expected Spearman with the target, and the probability that it is the threshold or more."""

    proxy: str
    expected: float
    probability: float


class Cover(msgspec.Struct, frozen=True):
    """Chosen proxies, the proxy of each covered target, and the targets that no proxy covers but themselves."""

    proxies: tuple[str, ...]
    served_by: dict[str, str]
    alone: tuple[str, ...]


def to_measure(pool_us: Floats, count: int, seed: int = 0) -> NDArray[np.intp]:
    """The architectures of a pool (n, targets) that tell most about which of its targets a new one is like."""
    complete = np.flatnonzero(np.isfinite(pool_us).all(axis=1))
    found: NDArray[np.intp] = complete[telling(np.log(pool_us[complete]), count, seed)]
    return found


def choose(
    names: Sequence[str],
    pool_us: Floats,
    measured: NDArray[np.intp],
    measured_us: Floats,
    *,
    threshold: float = MONOTONE,
    seed: int = 0,
) -> tuple[Candidate, ...]:
    """The pool's targets, the best first, for a target measured on the rows `measured` (k,) of `pool_us` (n, targets).

    The target is taken as a mixture of the pool's standardised log latencies plus a part of its own: Gaussian, the two
    deviations by marginal likelihood. Draws of its whole column from what the measurements leave possible give the
    agreement with each proxy. Raises DataError for too few measurements.
    """
    _check(pool_us, measured, measured_us)
    rng = np.random.default_rng(seed)
    complete = np.flatnonzero(np.isfinite(pool_us).all(axis=1))
    sampled = rng.permutation(complete)[:_SAMPLED]
    logs = np.log(pool_us)
    columns = (logs - logs[complete].mean(axis=0)) / logs[complete].std(axis=0)
    y = np.log(measured_us)
    drawn = _draws(columns[sampled], columns[measured], (y - y.mean()) / y.std(), rng)
    found = []
    for name, agreements in zip(names, _agreements(columns[sampled], drawn), strict=True):
        found.append(Candidate(name, float(agreements.mean()), float((agreements >= threshold).mean())))
    return tuple(sorted(found, key=lambda one: -one.expected))


def cover(names: Sequence[str], agreements: Floats, threshold: float = MONOTONE) -> Cover:
    """The fewest proxies such that each target agrees with one of them; `agreements` is (targets, targets).

    Exact up to the depth that a greedy cover needs. Of covers of one size the one with the highest agreements is taken.
    """
    count = len(names)
    serves = np.nan_to_num(agreements, nan=-1.0) >= threshold
    np.fill_diagonal(serves, True)
    chosen = _exact_cover(serves, np.where(serves, agreements, 0.0))
    served_by = {}
    for target in range(count):
        best = max(
            chosen, key=lambda proxy: (proxy == target, agreements[proxy, target] if serves[proxy, target] else -2)
        )
        served_by[names[target]] = names[best]
    alone = tuple(names[number] for number in range(count) if serves[:, number].sum() == 1)
    return Cover(tuple(names[number] for number in chosen), served_by, alone)


def _exact_cover(serves: NDArray[np.bool_], worth: Floats) -> tuple[int, ...]:
    """Branch over the targets that the fewest proxies serve; the greedy cover bounds the depth."""
    best: tuple[int, float, tuple[int, ...]] = (len(serves) + 1, 0.0, ())

    def search(chosen: tuple[int, ...], covered: NDArray[np.bool_]) -> None:
        nonlocal best
        if covered.all():
            value = float(worth[list(chosen)].max(axis=0).sum())
            best = min(best, (len(chosen), -value, chosen))
            return
        if len(chosen) + 1 > best[0]:
            return
        hardest = int(np.argmin(np.where(covered, len(serves) + 1, serves.sum(axis=0))))
        for proxy in sorted(np.flatnonzero(serves[:, hardest]), key=lambda one: -int((serves[one] & ~covered).sum())):
            search((*chosen, int(proxy)), covered | serves[proxy])

    search((), np.zeros(len(serves), bool))
    return tuple(sorted(best[2]))


def _agreements(columns: Floats, drawn: Floats) -> Floats:
    """Spearman of each column (n, targets) with each draw (draws, n), shape (targets, draws)."""
    left = np.stack([midranks(column) for column in columns.T])
    right = np.stack([midranks(draw) for draw in drawn])
    left, right = (side - side.mean(axis=1, keepdims=True) for side in (left, right))
    scale = np.outer(np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1))
    found: Floats = left @ right.T / scale
    return found


def _draws(columns: Floats, known: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    """Standardised columns that the target may have where the pool has `columns` (n, targets), shape (draws, n).

    `known` (k, targets) are the pool's where the target has y (k,).
    """
    targets = columns.shape[1]
    gram = known @ known.T / targets
    settings, scores = [], []
    for mixture in _MIXTURE:
        for own in _OWN:
            covariance = mixture**2 * gram + own**2 * np.eye(len(y)) + 1.0
            settings.append((mixture, own))
            scores.append(-0.5 * (np.linalg.slogdet(covariance).logabsdet + y @ np.linalg.solve(covariance, y)))
    weights = np.exp(np.array(scores) - max(scores))
    drawn = np.empty((_DRAWS, len(columns)))
    for number, pick in enumerate(rng.choice(len(settings), size=_DRAWS, p=weights / weights.sum())):
        mixture, own = settings[pick]
        # Matheron's rule: a draw from the prior, corrected by what it misses of the measurements.
        parts = mixture / np.sqrt(targets) * rng.standard_normal(targets)
        level = rng.standard_normal()
        missed = y - known @ parts - level - own * rng.standard_normal(len(y))
        gain = np.linalg.solve(mixture**2 * gram + own**2 * np.eye(len(y)) + 1.0, missed)
        parts += mixture**2 / targets * known.T @ gain
        drawn[number] = columns @ parts + level + gain.sum() + own * rng.standard_normal(len(columns))
    return drawn


def _check(pool_us: Floats, measured: NDArray[np.intp], measured_us: Floats) -> None:
    if len(measured) < FEWEST:
        raise DataError(f"{len(measured)} measurements are too few to choose a proxy.", hint=f"Take {FEWEST} or more.")
    if not (np.isfinite(measured_us) & (measured_us > 0)).all() or np.ptp(measured_us) == 0:
        raise DataError("The measurements on the target are missing in part, not positive, or all the same.")
    if not np.isfinite(pool_us[measured]).all():
        raise DataError("A target of the pool lacks an architecture that was measured.", hint="Leave that target out.")
