"""The best architectures that use a limit up.

Choices that are alike share their probability: of six blocks with 0.12 each and "zero" with 0.28, "zero" is the
likeliest, though three networks in four have a block there. So the likeliest architecture is often much faster than
what the search expects, and accuracy that the limit allows is given away.
"""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from hwbench.errors import LimitUnreachable, UsageError
from hwbench.search import exact
from hwbench.search.quantities import ChoiceScores, Floats, Limit, Quantity
from hwbench.spaces.space import Architectures, Space
from hwbench.tables.source import Sum

USED = 0.95
_HALVINGS = 10


def best_filled(
    space: Space, score: Quantity, limits: Sequence[Limit], count: int = 1, used: float = USED
) -> Architectures:
    """As `exact.best`, but of those that take at least `used` of the first limit, or of the most that any can take.

    What a limit with a confidence is compared with is its sum (`Quantity.total`). Raises UsageError where the score or
    the first limit is no sum over positions, and as `exact.best` does.
    """
    quantity, most = limits[0].quantity, limits[0].most
    total = quantity.total()
    if total is None or score.total() is None:
        lacking = quantity.name if total is None else score.name
        raise UsageError(
            f"{lacking} is no sum over positions, which is needed to use a limit up.", hint="Derive by probabilities."
        )

    def taking(least: float) -> Architectures | None:
        try:
            return exact.best(space, score, [*limits, Limit(_Left(space, quantity, total, most), most - least)], count)
        except LimitUnreachable:
            return None

    if (found := taking(used * most)) is not None:
        return found
    exact.best(space, score, limits)  # Says so when nothing keeps the limits themselves.
    low, high = 0.0, used
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if taking(middle * most) is None else (middle, high)
    found = taking(used * low * most)
    assert found is not None
    return found


class _Left:
    """What a sum leaves of a limit."""

    def __init__(self, space: Space, quantity: Quantity, total: Sum, most: float) -> None:
        self.name = f"unused {quantity.name}"
        self._fixed = most - total.fixed
        self._taken = ChoiceScores(space, total.offered, quantity.name)
        self._text = quantity.text

    def of(self, architectures: ArrayLike) -> Floats:
        return self._fixed - self._taken.of(architectures)

    def total(self) -> Sum:
        return Sum(self._fixed, tuple(-values for values in self._taken.total().offered))

    def text(self, value: float) -> str:
        return self._text(value)
