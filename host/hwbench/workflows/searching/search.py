"""Search a space: the best architectures under limits, from any quantities."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from hwbench import spaces
from hwbench.errors import UsageError
from hwbench.search import exact
from hwbench.search.evaluations import Evaluations
from hwbench.search.evolution import Settings
from hwbench.search.quantities import Count, Latency, Limit, Quantity
from hwbench.spaces.space import Architectures, Space

Method: TypeAlias = Literal["exact", "evolution", "nsga2"]

_EVOLUTIONS = {"evolution": "hwbench.search.evolution", "nsga2": "hwbench.search.nsga2"}


class Kept(msgspec.Struct, frozen=True):
    """A limit and what is compared with it: of a latency the mean, or what it surely stays under.

    The interval is a latency's 95 % one; `room` is what is left of the limit, as a share of it.
    """

    name: str
    most: float
    value: float
    mean_us: float | None = None
    lower_us: float | None = None
    upper_us: float | None = None

    @property
    def room(self) -> float:
        return 1 - self.value / self.most


class Candidate(msgspec.Struct, frozen=True):
    """An architecture that keeps the limits, as predicted."""

    architecture: tuple[int, ...]
    labels: tuple[str, ...]
    score: float
    kept: tuple[Kept, ...]


class SearchResult(msgspec.Struct, frozen=True):
    """Candidates by falling score. `evaluated` counts the scores that an evolution looked at."""

    space: str
    score: str
    method: str
    candidates: tuple[Candidate, ...]
    seconds: float
    evaluated: int | None = None

    @property
    def best(self) -> Candidate:
        return self.candidates[0]


def find_architectures(
    space: Space | str,
    limits: Sequence[Limit] = (),
    *,
    score: Quantity | None = None,
    method: Method = "exact",
    count: int = 1,
    settings: Settings | None = None,
    journal: Path | None = None,
    resume: bool = False,
    executor: Executor | None = None,
) -> SearchResult:
    """The `count` best architectures that keep all limits; without a `score` those with most MACs.

    `settings`, `journal`, `resume` and `executor` are for the evolutions; the journal holds what was evaluated, and
    stays. Raises LimitUnreachable, MissingRows, and UsageError for what the method cannot answer.
    """
    begin = time.monotonic()
    chosen = spaces.get(space) if isinstance(space, str) else space
    wanted = score or Count(chosen, "macs")
    if count < 1:
        raise UsageError(f"At least one architecture is to be found, not {count}.")
    evaluated = None
    if method == "exact":
        if journal is not None or executor is not None:
            raise UsageError("An exact search evaluates nothing, so it has no journal and no executor.")
        found = exact.best(chosen, wanted, limits, count)
    else:
        settings = settings or Settings()
        evaluations = Evaluations(wanted, executor)
        if journal is not None:
            evaluations.keep(journal, _decisive(chosen, wanted, limits, method, settings), resume)
        found = importlib.import_module(_EVOLUTIONS[method]).evolve(chosen, limits, evaluations, settings, count)
        evaluated = len(evaluations.scores)
    candidates = describe(chosen, wanted, limits, found)
    return SearchResult(chosen.name, wanted.name, method, candidates, time.monotonic() - begin, evaluated)


def describe(
    space: Space, score: Quantity, limits: Sequence[Limit], architectures: Architectures
) -> tuple[Candidate, ...]:
    """What is known of each architecture."""
    if not len(architectures):
        return ()
    scores = score.of(architectures)
    columns = [_kept(limit, architectures) for limit in limits]
    return tuple(
        Candidate(
            tuple(arch.tolist()), space.describe(arch), float(scores[row]), tuple(column[row] for column in columns)
        )
        for row, arch in enumerate(architectures)
    )


def _kept(limit: Limit, architectures: Architectures) -> list[Kept]:
    values = limit.quantity.of(architectures).tolist()
    name = limit.quantity.name
    if not isinstance(limit.quantity, Latency):
        return [Kept(name, limit.most, value) for value in values]
    found = limit.quantity.source.predict(architectures)
    spans = zip(values, found.mean_us.tolist(), found.lower_us.tolist(), found.upper_us.tolist(), strict=True)
    return [Kept(name, limit.most, *numbers) for numbers in spans]


def _decisive(
    space: Space, score: Quantity, limits: Sequence[Limit], method: str, settings: Settings
) -> dict[str, str]:
    """Everything that must agree for an evolution to be continued, in words."""
    confidences = [limit.quantity.confidence if isinstance(limit.quantity, Latency) else None for limit in limits]
    return {
        "space": space.name,
        "score": score.name,
        "method": method,
        "limits": "; ".join(
            f"{limit.quantity.name} {limit.most}" + ("" if sure is None else f" at {sure}")
            for limit, sure in zip(limits, confidences, strict=True)
        ),
        **{name: str(getattr(settings, name)) for name in settings.__struct_fields__},
    }
