"""Regularised evolution (Real et al., Regularized evolution for image classifier architecture search, AAAI 2019).

For scores that are no sums over positions. The oldest of the population goes, whatever its score. Other than in the
paper, half of the mutants are of a mix of two parents (uniform crossover), which finds more under limits. Limits are
cheap to look at and scores are not: of several mutants the first that keeps all limits becomes the child, and none
that breaks one is ever evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import LimitUnreachable, UsageError
from hwbench.search.evaluations import Evaluations
from hwbench.search.exact import keep_all, refuse_unreachable, smallest
from hwbench.search.groups import Groups
from hwbench.search.quantities import Limit
from hwbench.spaces.space import Architectures, Space

Floats: TypeAlias = NDArray[np.float64]
Picks: TypeAlias = NDArray[np.int64]

_MUTANTS = 16
_MIXED = 0.5
# Groups that a mutant takes another option of, on average.
_CHANGES = 2.0
_SETTLING_STEPS = 300


class Settings(msgspec.Struct, frozen=True):
    """`children` is how many are made after the first population, `batch` how many at a time, in parallel.

    `tournament` is how many of the population compete to be a parent.
    """

    population: int = 100
    children: int = 2000
    batch: int = 20
    tournament: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.population >= self.tournament >= 1 and self.population >= self.batch >= 1 and self.children >= 0):
            raise UsageError(
                "Evolution needs a population that is at least as large as its tournament and its batch, "
                f"not {self.population}, {self.tournament} and {self.batch}."
            )


def evolve(
    space: Space, limits: Sequence[Limit], evaluations: Evaluations, settings: Settings, count: int = 1
) -> Architectures:
    """The `count` best found that keep all limits, by falling score; shape (<= count, positions).

    The same seed gives the same answer. Raises LimitUnreachable when none is found that keeps them.
    """
    rng = np.random.default_rng(settings.seed)
    breeding = Breeding(space, limits, rng)
    picks = breeding.first(settings.population)
    scores = evaluations.of(breeding.groups.architectures(picks))
    made = 0
    while made < settings.children:
        size = min(settings.batch, settings.children - made)
        rivals = rng.integers(0, len(picks), size=(2, size, settings.tournament))
        winners = np.take_along_axis(rivals, np.argmax(scores[rivals], axis=2)[..., None], axis=2)[..., 0]
        children = breeding.children(picks[winners[0]], picks[winners[1]])
        picks = np.concatenate([picks, children])[-settings.population :]
        scores = np.concatenate([scores, evaluations.of(breeding.groups.architectures(children))])
        scores = scores[-settings.population :]
        made += size
    return best_known(space, evaluations, count)


def best_known(space: Space, evaluations: Evaluations, count: int) -> Architectures:
    """The best of all that were evaluated, by falling score; of equals the first evaluated."""
    ranked = sorted(evaluations.scores.items(), key=lambda item: -item[1])[:count]
    return space.check([list(key) for key, _ in ranked])


class Breeding:
    """Random architectures that keep the limits, and mutants of others that do."""

    def __init__(self, space: Space, limits: Sequence[Limit], rng: np.random.Generator) -> None:
        self.groups = Groups.of(space)
        self._space = space
        self._limits = limits
        self._rng = rng

    def first(self, size: int) -> Picks:
        """`size` picks that keep the limits: random ones, mutated while that brings them nearer.

        Raises LimitUnreachable when that leads nowhere.
        """
        picks = self._rng.integers(0, self.groups.options, size=(size, len(self.groups.options)))
        excess = self._excess(picks)
        for _ in range(_SETTLING_STEPS):
            above = np.flatnonzero(excess > 0)
            if not len(above):
                return picks
            mutants = self._nearest(picks[above], picks[above])
            nearer = self._excess(mutants)
            better = nearer < excess[above]
            picks[above[better]], excess[above[better]] = mutants[better], nearer[better]
        kept = np.flatnonzero(excess == 0)
        if not len(kept):
            raise self._unreachable(picks)
        picks[excess > 0] = picks[self._rng.choice(kept, size=int((excess > 0).sum()))]
        return picks

    def children(self, parents: Picks, mates: Picks) -> Picks:
        """One child of each parent that keeps the limits; the parent itself where none of a few does."""
        mutants = self._nearest(parents, mates)
        breaking = self._excess(mutants) > 0
        mutants[breaking] = parents[breaking]
        return mutants

    def _nearest(self, parents: Picks, mates: Picks) -> Picks:
        """Of a few mutants of each parent the first that keeps the limits, else the one nearest to them."""
        rows, others = (np.repeat(picks, _MUTANTS, axis=0) for picks in (parents, mates))
        mixed = self._rng.random((len(rows), 1)) < _MIXED
        rows = np.where(mixed & (self._rng.random(rows.shape) < 0.5), others, rows)
        options = self.groups.options
        changed = self._rng.random(rows.shape) < _CHANGES / len(options)
        certain = self._rng.integers(0, len(options), size=len(rows))
        changed[np.arange(len(rows)), certain] |= ~changed.any(axis=1)
        # Of a group with one option the other one is the same.
        other = (rows + self._rng.integers(1, np.maximum(options, 2), size=rows.shape)) % options
        mutants = np.where(changed, other, rows)
        excess = self._excess(mutants).reshape(len(parents), _MUTANTS)
        found: Picks = mutants.reshape(len(parents), _MUTANTS, -1)[np.arange(len(parents)), excess.argmin(axis=1)]
        return found

    def _excess(self, picks: Picks) -> Floats:
        """How far above the limits, summed; shape (n,)."""
        archs = self.groups.architectures(picks)
        found: Floats = np.sum([np.zeros(len(archs)), *(limit.excess(archs) for limit in self._limits)], axis=0)
        return found

    def _unreachable(self, picks: Picks) -> LimitUnreachable:
        archs = self.groups.architectures(picks)
        assert not keep_all(self._limits, archs).any()
        for limit in self._limits:
            if limit.quantity.total() is not None:
                refuse_unreachable(self._space, limit, smallest(self._space, limit.quantity, limit.most)[1])
        reached = ", ".join(
            f"{limit.quantity.name} down to {limit.quantity.text(float(limit.quantity.of(archs).min()))}"
            for limit in self._limits
        )
        return LimitUnreachable(
            f"No architecture of {self._space.name} was found that keeps the limits; seen were {reached}.",
            hint="Raise a limit, or try another seed.",
        )
