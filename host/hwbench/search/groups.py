"""A space as a programme sees it: groups of positions, an option per allowed combination of a group's choices."""

from __future__ import annotations

import math
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.spaces.space import Architectures, Space
from hwbench.tables.source import Sum

Floats: TypeAlias = NDArray[np.float64]


class Groups(msgspec.Struct, frozen=True):
    """The combinations of a space; `picks` are options, one per group, shape (n, groups)."""

    combinations: tuple[Architectures, ...]

    @classmethod
    def of(cls, space: Space) -> Groups:
        return cls(space.combinations)

    @property
    def options(self) -> NDArray[np.int64]:
        """Number of options, shape (groups,)."""
        return np.array([len(allowed) for allowed in self.combinations])

    @property
    def size(self) -> int:
        """Number of architectures."""
        return math.prod(len(allowed) for allowed in self.combinations)

    def architectures(self, picks: ArrayLike) -> Architectures:
        """The choices of each position, shape (n, positions)."""
        rows = np.atleast_2d(np.asarray(picks, np.int64))
        return np.hstack([allowed[rows[:, group]] for group, allowed in enumerate(self.combinations)])

    def offers(self, total: Sum) -> tuple[Floats, ...]:
        """What each option adds to a sum, an array per group."""
        offers = []
        first = 0
        for allowed in self.combinations:
            values = total.offered[first : first + allowed.shape[1]]
            offers.append(np.sum([one[column] for one, column in zip(values, allowed.T, strict=True)], axis=0))
            first += allowed.shape[1]
        return tuple(offers)

    def numbered(self, start: int, stop: int) -> Architectures:
        """Architectures `start` to `stop` (not included) of all, the last group fastest."""
        return self.architectures(np.stack(np.unravel_index(np.arange(start, stop), tuple(self.options)), axis=1))
