"""Which target of a pool serves as a proxy for a new one that was hardly measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import DataError
from hwbench.transfer.agreement import MONOTONE
from hwbench.transfer.ranks import Floats, midranks
from hwbench.transfer.telling import telling
from hwbench.transfer.whole_column import draws, pool_of

Answer: TypeAlias = Literal["yes", "no", "too few"]

FEWEST = 5
# So probable must it be that the best proxy agrees, and at most so probable that any does, where none is said to.
SURE = 0.9
NONE = 0.02
_SURE_Z = 1.281552
_DRAWS = 500
# Architectures over which the agreement of a draw is taken.
_SAMPLED = 2000
# How far off, in Fisher's z, what any number of measurements leads to is: no target is quite of the assumed form.
_MISFIT = 0.15
_LARGEST = 1 - 1e-9
# Beyond so many measurements the answer is closeness to the threshold.
_MOST = 1000


class Candidate(msgspec.Struct, frozen=True):
    """A proxy: its expected Spearman with the target, a 95 % interval, the probability of the threshold or more."""

    proxy: str
    expected: float
    lower: float
    upper: float
    probability: float


class ProxyChoice(msgspec.Struct, frozen=True):
    """`candidates`, the best first, after `measured` measurements on the target; `any_probability`: that one agrees.

    `answer`: the best agrees, surely none does, or neither is sure; then about `more` further measurements settle it,
    None: no reasonable number does.
    """

    candidates: tuple[Candidate, ...]
    threshold: float
    measured: int
    any_probability: float
    answer: Answer
    more: int | None

    @property
    def best(self) -> Candidate:
        return self.candidates[0]


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
    features: Sequence[Floats] = (),
    threshold: float = MONOTONE,
    seed: int = 0,
) -> ProxyChoice:
    """Which of a pool's targets to take for one that was measured on rows `measured` (k,) of `pool_us` (n, targets).

    Whole columns that the target may have (`whole_column`) are drawn; each gives an agreement with each proxy.
    `features` are groups of numbers (n, p) in which a device's own part may be linear. Raises DataError for too few
    measurements.
    """
    _check(pool_us, measured, measured_us)
    rng = np.random.default_rng(seed)
    complete = np.flatnonzero(np.isfinite(pool_us).all(axis=1))
    place = np.full(len(pool_us), -1)
    place[complete] = np.arange(len(complete))
    pool = pool_of(np.log(pool_us[complete]), [one[complete] for one in features], rng)
    known = place[measured]
    rows = np.setdiff1d(rng.permutation(len(complete))[:_SAMPLED], known)
    drawn = draws(pool, rows, known, np.log(measured_us), _DRAWS, rng)
    agreements = _agreements(pool.columns[np.concatenate([rows, known])], drawn)
    z = np.arctanh(np.clip(agreements, -_LARGEST, _LARGEST)) + _MISFIT * rng.standard_normal(_DRAWS)
    return _choice(names, np.tanh(z), threshold, len(measured))


def _choice(names: Sequence[str], agreements: Floats, threshold: float, measured: int) -> ProxyChoice:
    """What agreements (targets, draws) mean."""
    lower, upper = np.quantile(agreements, [0.025, 0.975], axis=1)
    reached = agreements >= threshold
    order = np.argsort(-agreements.mean(axis=1), kind="stable")
    candidates = tuple(
        Candidate(
            names[one],
            float(agreements[one].mean()),
            float(lower[one]),
            float(upper[one]),
            float(reached[one].mean()),
        )
        for one in order
    )
    some = float(reached.any(axis=0).mean())
    answer: Answer = "yes" if candidates[0].probability >= SURE else "no" if some <= NONE else "too few"
    more = _more(agreements[order[0]], threshold, measured) if answer == "too few" else 0
    return ProxyChoice(candidates, threshold, measured, some, answer, more)


def _more(agreements: Floats, threshold: float, measured: int) -> int | None:
    """Measurements that settle a proxy whose agreement may be one of `agreements`, if their deviation falls as usual.

    In Fisher's z it falls with the root of the number of measurements.
    """
    z = np.arctanh(np.clip(agreements, -1 + 1e-9, 1 - 1e-9))
    gap = abs(float(z.mean()) - math.atanh(threshold))
    needed = measured * (_SURE_Z * float(z.std()) / max(gap, 1e-9)) ** 2
    return max(math.ceil(needed) - measured, 1) if needed <= _MOST else None


def _agreements(columns: Floats, drawn: Floats) -> Floats:
    """Spearman of each column (n, targets) with each draw (draws, n), shape (targets, draws)."""
    left = np.stack([midranks(column) for column in columns.T])
    right = np.stack([midranks(draw) for draw in drawn])
    left, right = (side - side.mean(axis=1, keepdims=True) for side in (left, right))
    scale = np.outer(np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1))
    found: Floats = left @ right.T / scale
    return found


def _check(pool_us: Floats, measured: NDArray[np.intp], measured_us: Floats) -> None:
    if len(measured) < FEWEST:
        raise DataError(f"{len(measured)} measurements are too few to choose a proxy.", hint=f"Take {FEWEST} or more.")
    if not (np.isfinite(measured_us) & (measured_us > 0)).all() or np.ptp(measured_us) == 0:
        raise DataError("The measurements on the target are missing in part, not positive, or all the same.")
    if not np.isfinite(pool_us[measured]).all():
        raise DataError("A target of the pool lacks an architecture that was measured.", hint="Leave that target out.")
