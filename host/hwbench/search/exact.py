"""The best architectures under limits, exactly: nothing that keeps the limits scores higher than what is returned."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwbench.errors import HwbenchError, LimitUnreachable, UsageError
from hwbench.search.front import Offers, front
from hwbench.search.groups import Groups
from hwbench.search.quantities import ROUNDING, Latency, Limit, Quantity
from hwbench.search.ranked import ranked
from hwbench.search.several import ranked_under
from hwbench.spaces.space import Architectures, Space
from hwbench.tables.source import Sum
from hwbench.transfer import fronts

Floats: TypeAlias = NDArray[np.float64]

# Spaces up to this size are looked at architecture by architecture when something does not add up.
LARGEST_ENUMERATED = 1_000_000
_AT_ONCE = 50_000
# A sum that bounds a limit from below is looser than the limit by a hair where both are the same.
_SLACK = 1e-9
_MOST_CHECKED = 50_000
_MOST_SOLVED = 300


def best(space: Space, score: Quantity, limits: Sequence[Limit], count: int = 1) -> Architectures:
    """The `count` best that keep every limit, by falling score, fewer where fewer do; shape (<= count, positions).

    Sums over the positions of a chain are solved without enumerating it: one limit by the dominance programme, several
    by a mixed-integer programme, whose scores are exact to 1e-9 of the score's range. Anything else is enumerated, in
    spaces of up to a million architectures. Raises LimitUnreachable naming the smallest that can be reached,
    MissingRows when a table lacks a block, UsageError where neither way is open, TooManySums where one limit says
    nearly what the score says.
    """
    totals = [quantity.total() for quantity in (score, *(limit.quantity for limit in limits))]
    sums = [total for total in totals if total is not None]
    if len(sums) == len(totals):
        return _Additive(space, sums[0], limits, sums[1:]).best(count)
    return _enumerated(space, score, limits, count)


def front_of(space: Space, score: Quantity, cost: Quantity) -> Architectures:
    """The exact front of a cost and a score, by rising cost; shape (n, positions).

    Raises as `best` does, UsageError for a latency with a confidence, which no front is of, and TooManySums for a front
    of millions.
    """
    if isinstance(cost, Latency) and cost.widening:
        raise UsageError("A front is of predicted latencies; a confidence belongs to a limit.", hint="Add a limit.")
    total, cost_total = score.total(), cost.total()
    if total is not None and cost_total is not None:
        groups = Groups.of(space)
        return groups.architectures(front(groups.offers(cost_total), groups.offers(total)).picks)
    parts = [(archs, cost.of(archs), score.of(archs)) for archs in every(space)]
    archs, costs, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    found: Architectures = archs[fronts.front(costs, scores)]
    return found


def every(space: Space) -> Iterator[Architectures]:
    """All architectures in parts. Raises UsageError for a space that is too large."""
    groups = Groups.of(space)
    if groups.size > LARGEST_ENUMERATED:
        raise UsageError(
            f"{space.name} has {groups.size:.1e} architectures, and its score or a limit is no sum over positions.",
            hint="Search by evolution.",
        )
    for start in range(0, groups.size, _AT_ONCE):
        yield groups.numbered(start, min(start + _AT_ONCE, groups.size))


def smallest(space: Space, quantity: Quantity, enough: float = -np.inf) -> tuple[NDArray[np.uint8], float]:
    """The architecture with the smallest value and that value; any whose value is at most `enough` will do."""
    total = quantity.total()
    if total is None:
        parts = [(archs, quantity.of(archs)) for archs in every(space)]
        archs, values = min(parts, key=lambda part: float(part[1].min()))
        return archs[np.argmin(values)], float(values.min())
    groups = Groups.of(space)
    offers = groups.offers(total)
    lowest: tuple[NDArray[np.uint8], float] | None = None
    # By rising bound, until no bound is below the best value seen.
    for picks in _checked(ranked(_nothing(offers), [-values for values in offers], 0.0), _MOST_CHECKED):
        bound = total.fixed + sum(float(values[pick]) for values, pick in zip(offers, picks, strict=True))
        if lowest is not None and (lowest[1] <= enough or bound >= lowest[1] * (1 - _SLACK)):
            break
        (arch,) = groups.architectures(picks)
        value = float(quantity.of(arch)[0])
        if lowest is None or value < lowest[1]:
            lowest = (arch, value)
    assert lowest is not None
    return lowest


class _Additive:
    """A search in which score and limits are sums."""

    def __init__(self, space: Space, score: Sum, limits: Sequence[Limit], costs: Sequence[Sum]) -> None:
        self._space = space
        self._limits = limits
        self._groups = Groups.of(space)
        self._scores = self._groups.offers(score)
        self._costs = [self._groups.offers(cost) for cost in costs]
        self._budgets = [limit.most * (1 + _SLACK) - cost.fixed for limit, cost in zip(limits, costs, strict=True)]

    def best(self, count: int) -> Architectures:
        for limit in self._limits:
            refuse_unreachable(self._space, limit, smallest(self._space, limit.quantity, limit.most)[1])
        candidates = _checked(self._candidates(), _MOST_CHECKED if len(self._limits) <= 1 else _MOST_SOLVED)
        kept: list[NDArray[np.uint8]] = []
        size = count
        while len(kept) < count and (part := list(itertools.islice(candidates, size))):
            archs = self._groups.architectures(part)
            kept += list(archs[keep_all(self._limits, archs)])
            size = max(2 * size, 16) if len(self._limits) <= 1 else 1
        if not kept:
            raise _not_together(self._space, self._limits, self._reachable())
        return np.array(kept[:count], np.uint8)

    def _candidates(self) -> Iterator[tuple[int, ...]]:
        """By falling score, all that keep the limits and perhaps some that do not."""
        return _ranked(self._scores, self._costs, self._budgets)

    def _reachable(self) -> str:
        """How small the first limit's quantity gets where the others are kept; empty where they cannot be."""
        first, *others = self._limits
        lowest = _ranked([-values for values in self._costs[0]], self._costs[1:], self._budgets[1:])
        for picks in _checked(lowest, _MOST_CHECKED if len(others) == 1 else _MOST_SOLVED):
            archs = self._groups.architectures(picks)
            if keep_all(others, archs).all():
                reached = first.quantity.text(float(first.quantity.of(archs)[0]))
                return f": where the others are kept, the smallest reachable {first.quantity.name} is {reached}"
        return ""


def keep_all(limits: Sequence[Limit], architectures: Architectures) -> NDArray[np.bool_]:
    """Which architectures keep every limit, shape (n,)."""
    kept = np.ones(len(architectures), bool)
    for limit in limits:
        kept &= limit.excess(architectures) == 0
    return kept


def refuse_unreachable(space: Space, limit: Limit, reached: float) -> None:
    """Raises LimitUnreachable when the smallest value that can be reached is above the limit."""
    if reached > limit.most * (1 + ROUNDING):
        raise LimitUnreachable(
            f"No architecture of {space.name} has {_described(limit)}: the smallest reachable is "
            f"{limit.quantity.text(reached)}.",
            hint="Raise the limit, or choose another space.",
        )


def _enumerated(space: Space, score: Quantity, limits: Sequence[Limit], count: int) -> Architectures:
    kept: list[tuple[Architectures, Floats]] = []
    reached = [np.inf] * len(limits)
    for archs in every(space):
        values = [limit.quantity.of(archs) for limit in limits]
        reached = [min(lowest, float(value.min())) for lowest, value in zip(reached, values, strict=True)]
        keeps = np.flatnonzero(keep_all(limits, archs))
        scores = score.of(archs[keeps])
        order = np.argsort(-scores, kind="stable")[:count]
        kept.append((archs[keeps[order]], scores[order]))
    archs, scores = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    if not len(archs):
        for limit, lowest in zip(limits, reached, strict=True):
            refuse_unreachable(space, limit, lowest)
        raise _not_together(space, limits)
    found: Architectures = archs[np.argsort(-scores, kind="stable")[:count]]
    return found


def _ranked(scores: Offers, costs: Sequence[Offers], budgets: Sequence[float]) -> Iterator[tuple[int, ...]]:
    match len(costs):
        case 0:
            return ranked(_nothing(scores), scores, 0.0)
        case 1:
            return ranked(costs[0], scores, budgets[0])
        case _:
            return ranked_under(costs, scores, budgets)


def _not_together(space: Space, limits: Sequence[Limit], reachable: str = "") -> LimitUnreachable:
    return LimitUnreachable(
        f"No architecture of {space.name} keeps all limits at once ({', '.join(map(_described, limits))}), though "
        f"each can be kept alone{reachable}.",
        hint="Raise one of the limits.",
    )


def _described(limit: Limit) -> str:
    return f"{limit.quantity.name} <= {limit.quantity.text(limit.most)}"


def _nothing(offers: Offers) -> list[Floats]:
    return [np.zeros(len(values)) for values in offers]


def _checked(candidates: Iterator[tuple[int, ...]], most: int) -> Iterator[tuple[int, ...]]:
    """The candidates. Raises HwbenchError after `most`, when the question is too close to be settled."""
    for number, picks in enumerate(candidates):
        if number == most:
            raise HwbenchError(
                f"After {most} candidates it is still open which architecture is the best that keeps the limits.",
                hint="Choose another limit or confidence, or search by evolution.",
            )
        yield picks
