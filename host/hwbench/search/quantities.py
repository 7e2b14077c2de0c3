"""What a search limits or maximises: latencies, MACs, parameters, scores per choice, any function of architectures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.errors import DataError, UsageError
from hwbench.search.bounds import sure_bound
from hwbench.spaces.blocks import macs, parameters
from hwbench.spaces.space import Architectures, ChainSpace, Space
from hwbench.tables.source import LatencySource, Sum, SummedSource, block_offers, refuse_missing

Floats: TypeAlias = NDArray[np.float64]
Counted: TypeAlias = Literal["macs", "parameters"]

_NORMAL_975 = 1.959964
_COUNTS: dict[Counted, Callable[..., int]] = {"macs": macs, "parameters": parameters}
# Sums of the same floats in another order differ by less.
ROUNDING = 1e-12


class Quantity(Protocol):
    """A number per architecture."""

    @property
    def name(self) -> str: ...

    def of(self, architectures: ArrayLike) -> Floats:
        """Shape (n,), finite."""

    def total(self) -> Sum | None:
        """A sum over positions that is never above `of`, and equal to it but for `Latency` with a confidence.

        None: there is no such sum.
        """

    def text(self, value: float) -> str:
        """A value as a person reads it."""


class Latency:
    """Latency in microseconds by a source; with a confidence, what a new measurement stays under with that probability.

    A source's 95 % interval is read as that of a normal distribution. Raises UsageError for a confidence below 0.5.
    """

    def __init__(self, source: LatencySource, name: str = "latency", confidence: float | None = None) -> None:
        if confidence is not None and not 0.5 <= confidence < 1:
            raise UsageError(f"A confidence of {confidence} is not between 0.5 and 1.")
        self.source = source
        self.name = name
        self.confidence = confidence

    @property
    def widening(self) -> float:
        """How much of the distance from the mean to the upper end of a 95 % interval belongs to the confidence."""
        from scipy.special import ndtri

        return 0.0 if self.confidence is None else float(ndtri(self.confidence)) / _NORMAL_975

    def of(self, architectures: ArrayLike) -> Floats:
        found = self.source.predict(architectures)
        if not self.widening:
            return found.mean_us
        sure = found.mean_us + self.widening * (found.upper_us - found.mean_us)
        if not np.isfinite(sure).all():
            raise DataError(
                f"{self.name} says nothing of how uncertain its values are, so nothing can be sure.",
                hint="Search without a confidence.",
            )
        return sure

    def total(self) -> Sum | None:
        """Raises MissingRows when a choice of the space has no latency."""
        if not isinstance(self.source, SummedSource) or not isinstance(self.source.space, ChainSpace):
            return None
        if lacking := self.source.lacking():
            refuse_missing(lacking, self.source.space)
        if not self.widening:
            return Sum(*self.source.offered_us())
        return sure_bound(self.source.offered_parts(), self.widening)

    def text(self, value: float) -> str:
        return f"{value / 1e3:.4g} ms" if value >= 1e3 else f"{value:.4g} µs"


class Count:
    """Multiply-accumulates or parameters of a network."""

    def __init__(self, space: Space, counted: Counted) -> None:
        self.space = space
        self.name: str = counted
        self._values = {block.key: float(_COUNTS[counted](block)) for block in space.distinct_blocks}

    def of(self, architectures: ArrayLike) -> Floats:
        values = np.array([[value] for value in self._values.values()])
        found: Floats = self.space.total(values, architectures)[:, 0]
        return found

    def total(self) -> Sum | None:
        return Sum(*block_offers(self.space, self._values)) if isinstance(self.space, ChainSpace) else None

    def text(self, value: float) -> str:
        return f"{value / 1e6:.4g} M {self.name}"


class ChoiceScores:
    """A score per position and choice, e.g. log-probabilities or an accuracy proxy; an architecture's is their sum."""

    def __init__(self, space: Space, offered: tuple[Floats, ...], name: str = "score") -> None:
        counts = [len(values) for values in offered]
        if counts != space.choice_counts.tolist() or not all(np.isfinite(values).all() for values in offered):
            raise DataError(f"{name} needs a finite score for each choice of {space.name}, position by position.")
        self.space = space
        self.name = name
        self._offered = offered

    @classmethod
    def of_labels(cls, space: Space, scores: Mapping[str, Mapping[str, float]], name: str = "score") -> ChoiceScores:
        """From position name -> label -> score. Raises DataError naming what is missing or unknown."""
        wanted = [(choice.name, label) for choice in space.choices for label in choice.labels]
        given = [(position, label) for position, labels in scores.items() for label in labels]
        for wrong, verb in ((set(wanted) - set(given), "lacks"), (set(given) - set(wanted), "has")):
            if wrong:
                named = ", ".join(f"{position} {label}" for position, label in sorted(wrong)[:5])
                beside = f", which {space.name} does not have" if verb == "has" else ""
                raise DataError(f"{name} {verb} {len(wrong)} scores: {named}{beside}.")
        return cls(
            space,
            tuple(np.array([scores[choice.name][label] for label in choice.labels], float) for choice in space.choices),
            name,
        )

    def of(self, architectures: ArrayLike) -> Floats:
        archs = self.space.check(architectures)
        found: Floats = np.sum([values[archs[:, place]] for place, values in enumerate(self._offered)], axis=0)
        return found

    def total(self) -> Sum:
        return Sum(0.0, self._offered)

    def text(self, value: float) -> str:
        return f"{value:.6g}"


class Function:
    """Any deterministic function of architectures (n, positions) that gives floats (n,): no sum over positions.

    What several processes evaluate must be importable by name: a function of a module, not of a script's `__main__`.
    """

    def __init__(self, function: Callable[[Architectures], Floats], name: str = "score") -> None:
        self.function = function
        self.name = name

    def of(self, architectures: ArrayLike) -> Floats:
        """Raises DataError for what is not one finite number per architecture."""
        archs = np.atleast_2d(np.asarray(architectures, np.uint8))
        values = np.asarray(self.function(archs), float)
        if values.shape != (len(archs),):
            raise DataError(f"{self.name} gives an array of {values.shape} for {len(archs)} architectures.")
        if not np.isfinite(values).all():
            first = int(np.argmin(np.isfinite(values)))
            raise DataError(f"{self.name} gives {values[first]} for architecture {archs[first].tolist()}.")
        return values

    def total(self) -> Sum | None:
        return None

    def text(self, value: float) -> str:
        return f"{value:.6g}"


class Limit(msgspec.Struct, frozen=True):
    """At most this much of a quantity, in its unit: microseconds, MACs, parameters."""

    quantity: Quantity
    most: float

    def __post_init__(self) -> None:
        if not 0 < self.most < np.inf:
            raise UsageError(f"A limit of {self.most} on {self.quantity.name} is not a positive number.")

    def excess(self, architectures: ArrayLike) -> Floats:
        """How far above the limit, relative to it; 0 where it is kept. Shape (n,)."""
        over = self.quantity.of(architectures) / self.most - 1
        return np.where(over <= ROUNDING, 0.0, over)
