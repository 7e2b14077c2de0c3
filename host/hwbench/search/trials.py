"""The best candidate under a latency limit by measuring a few: which to measure next, and when no other is worth it.

A candidate's chance is the probability that a measurement of it keeps the limit. The plan is made as if one unknown u,
uniform on (0, 1], decided for all: a candidate holds if u is at most its chance. So what holds shows that everything
likelier would hold, what does not that everything less likely would not, and the plan with the largest expected score
is an optimal binary search in the order of chances (Knuth, Acta Informatica 1, 1971): a dynamic programme over
intervals of u. Only its first candidate is measured; then chances are asked for anew, and the rest is planned again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.errors import DataError, UsageError
from hwbench.search.quantities import ROUNDING
from hwbench.tables.source import Latencies
from hwbench.transfer.fronts import undominated

Floats: TypeAlias = NDArray[np.float64]

SURE = 0.99
_NORMAL_975 = 1.959964
_PRICE = 1e-9


class Belief(msgspec.Struct, frozen=True):
    """What a measurement of each candidate will give: mean and standard deviation in microseconds, shape (n,) each."""

    mean_us: Floats
    deviation_us: Floats

    @classmethod
    def of(cls, latencies: Latencies) -> Belief:
        """A source's predictions, their 95 % intervals read as those of a normal distribution."""
        return cls(latencies.mean_us, (latencies.upper_us - latencies.mean_us) / _NORMAL_975)

    def chances(self, limit_us: float) -> Floats:
        """Probability that a measurement is at most the limit, shape (n,).

        Raises DataError where the deviation is unknown.
        """
        from scipy.special import ndtr

        if not np.isfinite(self.deviation_us).all():
            raise DataError("The latencies have no intervals, so nothing is known of how probably a limit is kept.")
        room = limit_us * (1 + ROUNDING) - self.mean_us
        certain = self.deviation_us <= 0
        # A tiny deviation gives an infinite ratio, whose probability is right.
        with np.errstate(over="ignore"):
            found: Floats = np.where(certain, room >= 0, ndtr(room / np.where(certain, 1.0, self.deviation_us)))
        return found


class Trial(msgspec.Struct, frozen=True):
    """A measured candidate, by its place. `chance` was its probability to hold; a latency of NaN: it gave none."""

    place: int
    chance: float
    latency_us: float
    holds: bool


class Found(msgspec.Struct, frozen=True):
    """The place of the best measured candidate that holds, None when none does, and what was measured to find it."""

    place: int | None
    trials: tuple[Trial, ...]


def best_by_trials(
    scores: ArrayLike,
    limit_us: float,
    believe: Callable[[Mapping[int, float]], Belief],
    measure: Callable[[int], float],
    most: int = 3,
    known: Mapping[int, float] | None = None,
    sure: float = SURE,
) -> Found:
    """The best of candidates with `scores` (n,) whose measured latency is at most the limit, after `most` measurements.

    `believe` is told all measured latencies by place and says what the others will give; `measure` gives one in
    microseconds, NaN where the device gives none. `known` were measured before: they may be the answer, and count
    nothing. Fewer are measured when nothing better has a chance. Raises UsageError for less than one measurement.
    """
    if most < 1:
        raise UsageError(f"At least one measurement is needed, not {most}.")
    wanted = np.asarray(scores, float)
    measured = {place: value for place, value in (known or {}).items() if np.isfinite(value)}
    failed: list[int] = []
    trials: list[Trial] = []
    while len(trials) < most:
        chances = believe(measured).chances(limit_us)
        chances[[*measured, *failed]] = 0.0
        answer = _best_held(wanted, limit_us, measured)
        place = next_trial(wanted, chances, most - len(trials), None if answer is None else float(wanted[answer]), sure)
        if place is None:
            break
        latency_us = measure(place)
        trials.append(Trial(place, float(chances[place]), latency_us, _holds(latency_us, limit_us)))
        if np.isfinite(latency_us):
            measured[place] = latency_us
        else:
            failed.append(place)
    return Found(_best_held(wanted, limit_us, measured), tuple(trials))


def next_trial(scores: Floats, chances: Floats, left: int, best: float | None = None, sure: float = SURE) -> int | None:
    """The place of the candidate to measure next when `left` measurements may follow each other, this one included.

    `scores` and `chances` are of shape (n,); a chance of 0 takes a candidate out. `best` is the score of what is known
    to hold. Chances of `sure` or more are as good as each other, and those below 1 - `sure` are none. While nothing is
    known to hold, the last measurement is kept for the best of the surest. None: nothing better has a chance. Only the
    order and the ratios of differences of scores matter, not their unit.
    """
    offered = np.flatnonzero(chances > 0) if best is None else np.flatnonzero((chances > 0) & (scores > best))
    if not len(offered):
        return None
    # Of those that are equal in level and score the first is taken.
    offered = offered[np.argsort(-chances[offered], kind="stable")]
    grain = 1 - sure
    levels = np.minimum(np.floor(chances[offered] / grain + 1e-9), np.round(sure / grain)) * grain
    if levels.max() <= 0:
        return int(offered[0]) if best is None else None
    offered, levels = offered[levels > 0], levels[levels > 0]
    ladder = undominated(-levels, scores[offered])
    step = _first_step(levels[ladder], scores[offered[ladder]], left, best)
    return int(offered[ladder[step]])


def _first_step(chances: Floats, scores: Floats, left: int, best: float | None) -> int:
    """Which of a ladder to measure first: chances fall along it, and scores rise.

    worth[a, b] is the largest expected score, times its probability, where rung a is known to hold and rung b not to:
    with no measurement left (chance a - chance b) * score a, with one more the largest worth[a, x] + worth[x, b]. Rung
    0 is what holds already, the last is one that never does. Without the former, reached[b] is the same where nothing
    is known to hold and b not to: its last measurement is of rung 1.
    """
    # Differences to the worst keep the sums exact where scores are large and close.
    worths = np.concatenate([[scores[0] if best is None else best], scores])
    worths -= worths[0]
    levels = np.concatenate([[1.0], chances, [0.0]])
    rungs = len(levels)
    # Next to nothing, so that of equal plans the one with fewer measurements is taken.
    price = _PRICE * worths[-1] * (levels[:, None] - levels)
    worth = np.full((rungs, rungs), -np.inf)
    for rung in range(rungs - 1):
        worth[rung, rung + 1 :] = (levels[rung] - levels[rung + 1 :]) * worths[rung]
    np.fill_diagonal(worth, 0.0)
    reached = np.full(rungs, -np.inf)
    reached[1] = 0.0
    # More measurements than halvings of the ladder change nothing.
    for _ in range(min(left, rungs.bit_length() + 1) - 1):
        reached = np.maximum(reached, (reached[:, None] + worth).max(axis=0) - price[0])
        worth = np.maximum(worth, (worth[:, :, None] + worth[None]).max(axis=1) - price)
    before = worth[0] if best is not None else reached
    return int(np.argmax((before + worth[:, -1])[1:-1]))


def _best_held(scores: Floats, limit_us: float, measured: Mapping[int, float]) -> int | None:
    """Of equals the fastest."""
    held = [place for place, latency_us in measured.items() if _holds(latency_us, limit_us)]
    return max(held, key=lambda place: (scores[place], -measured[place]), default=None)


def _holds(latency_us: float, limit_us: float) -> bool:
    return latency_us <= limit_us * (1 + ROUNDING)
