"""Do targets put architectures in the same order? Tables and matrices in, verdicts and what breaks the order out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench import spaces
from hwbench.errors import Incomparable, UsageError
from hwbench.spaces.space import Space
from hwbench.tables import flaws
from hwbench.tables import matrix as matrices
from hwbench.tables.flaws import Flaw
from hwbench.tables.lookup import LookupTable
from hwbench.tables.matrix import LatencyMatrix
from hwbench.tables.opening import AnyTable
from hwbench.tables.source import own_deviation
from hwbench.transfer.agreement import Agreement, Observed, agreements, kendall, noise_ceiling, top_overlap
from hwbench.transfer.predictor_file import Predictor
from hwbench.transfer.ranks import Floats, Redraw
from hwbench.transfer.verdict import Verdict, judge
from hwbench.workflows import sources

_BREAKERS = 5


class Breaker(msgspec.Struct, frozen=True):
    """A block that two targets rate differently: its latency on each, and its share of the difference in order.

    `weight`: standard deviation, over architectures, of what the block adds to a's relative latency less to b's.
    """

    key: str
    a_us: float
    b_us: float
    weight: float


class Pair(msgspec.Struct, frozen=True):
    """`top_overlap`: the share of the fastest tenth on a that is among b's. Breakers need tables of both targets."""

    agreement: Agreement
    verdict: Verdict
    kendall: float
    top_overlap: float
    breakers: tuple[Breaker, ...] = ()


class Comparison(msgspec.Struct, frozen=True):
    """`clusters` are sets of targets that are all monotone with each other; `ceilings` None where noise is unknown."""

    space: str
    architectures: int
    targets: tuple[str, ...]
    pairs: tuple[Pair, ...]
    clusters: tuple[tuple[str, ...], ...]
    ceilings: dict[str, float | None]
    flaws: tuple[Flaw, ...]

    @property
    def exit_code(self) -> int:
        """0: all pairs are monotone; 1: one is not; 2: too few architectures, or too much noise, to tell."""
        answers = {pair.verdict.answer for pair in self.pairs}
        return 1 if "no" in answers else 2 if "too few" in answers else 0


def compare(paths: Sequence[Path], *, networks: int = 1000, seed: int = 0, space_name: str | None = None) -> Comparison:
    """Every two targets of the files over common architectures: those of the matrices, else random ones of the space.

    Raises DataError or UsageError for files that cannot be compared, Incomparable for emulated results, MissingRows.
    """
    contents = {path: sources.load(path) for path in paths}
    found = [one for one in contents.values() if isinstance(one, LatencyMatrix)]
    tables = {path: one for path, one in contents.items() if not isinstance(one, LatencyMatrix)}
    named = {one.space for one in contents.values() if one.space is not None} if space_name is None else {space_name}
    if len(named) != 1:
        raise Incomparable(
            f"The files are of {len(named)} spaces: {', '.join(sorted(named)) or 'none is named'}.", hint="Add --space."
        )
    (name,) = named
    targets: list[Observed] = []
    remarks: tuple[Flaw, ...] = ()
    space = spaces.get(name) if tables else None
    if found:
        merged = matrices.merge({str(path): one for path, one in contents.items() if isinstance(one, LatencyMatrix)})
        remarks = flaws.of_matrix(merged)
        rows = np.random.default_rng(seed).permutation(len(merged.architectures))[:networks]
        targets += [Observed(target, merged.column(target)[rows]) for target in merged.targets]
        archs = merged.encoded[rows]
    elif space is not None:
        archs = space.sample(networks, seed).astype(float)
    by_target: dict[str, AnyTable] = {}
    for table, target in zip(tables.values(), sources.target_names(tables), strict=True):
        if space is None:
            raise TypeError(name)
        if not isinstance(table, Predictor):
            by_target[target] = table
        targets.append(_of_table(target, table, space, space.check(archs.astype(np.int64))))
    if len(targets) < 2:
        raise UsageError("There is one target alone.", hint="Give a second table, or a matrix of several targets.")
    pairs = []
    for one, (a, b) in zip(agreements(targets, seed=seed), itertools.combinations(targets, 2), strict=True):
        breakers: tuple[Breaker, ...] = ()
        if space is not None and a.target in by_target and b.target in by_target:
            breakers = _breakers(by_target[a.target], by_target[b.target], space, space.check(archs.astype(np.int64)))
        pairs.append(Pair(one, judge(one), kendall(a, b), top_overlap(a, b), breakers))
    return Comparison(
        name,
        len(archs),
        tuple(one.target for one in targets),
        tuple(pairs),
        clusters([one.target for one in targets], pairs),
        {one.target: noise_ceiling(one, seed=seed) for one in targets},
        remarks,
    )


def clusters(targets: Sequence[str], pairs: Sequence[Pair]) -> tuple[tuple[str, ...], ...]:
    """Sets of mutually monotone targets, the pairs that agree best joined first; a lone target is a set of its own."""
    known = {frozenset((pair.agreement.a, pair.agreement.b)): pair for pair in pairs}
    sets = [{target} for target in targets]
    for pair in sorted(pairs, key=lambda one: -one.agreement.estimate):
        left, right = (next(own for own in sets if end in own) for end in (pair.agreement.a, pair.agreement.b))
        joined = itertools.product(left, right)
        if left is not right and all(known[frozenset(two)].verdict.answer == "yes" for two in joined):
            left |= right
            sets.remove(right)
    return tuple(tuple(target for target in targets if target in own) for own in sets)


def _of_table(target: str, table: AnyTable | Predictor, space: Space, archs: NDArray[np.uint8]) -> Observed:
    """Sums of rows; redrawn, each row varies as its interval says, and sums by their additivity error.

    A predictor's values are taken as they are: its errors are no timing noise.
    """
    sums = sources.source_of(table, space).predict(archs).mean_us
    if not isinstance(table, LookupTable):
        return Observed(target, sums)
    known = table.calibrated()
    rows = [known.get(block.key) for block in space.distinct_blocks]
    values = np.array([np.nan if row is None else row.value_us for row in rows])
    deviations = np.array([0.0 if row is None else own_deviation(row, table.spread) for row in rows])
    additivity = 0.0 if table.additivity is None else table.additivity.spread

    def redraw(rng: np.random.Generator, draws: int) -> Floats:
        varied = values[:, None] * np.exp(deviations[:, None] * rng.standard_normal((len(values), draws)))
        totals = space.total(varied, archs).T
        found: Floats = totals * np.exp(additivity * rng.standard_normal(totals.shape))
        return found

    drawn: Redraw = redraw
    noise = np.std(np.log(drawn(np.random.default_rng(0), 50)), axis=0)
    return Observed(target, sums, noise, drawn, shared=True)


def _breakers(a: AnyTable, b: AnyTable, space: Space, archs: NDArray[np.uint8]) -> tuple[Breaker, ...]:
    """The blocks that move the difference of the two targets' relative latencies most, the first the most."""
    known = [_values(table) for table in (a, b)]
    keys = [block.key for block in space.distinct_blocks]
    if any(key not in own for own in known for key in keys):
        return ()
    counts = space.total(np.eye(len(keys)), archs)
    latencies = np.array([[own[key] for key in keys] for own in known])
    relative = latencies / (counts @ latencies.T).mean(axis=0)[:, None]
    weights = counts.std(axis=0) * np.abs(relative[0] - relative[1])
    worst = np.argsort(-weights)[:_BREAKERS]
    return tuple(
        Breaker(keys[n], float(latencies[0, n]), float(latencies[1, n]), float(weights[n])) for n in worst if weights[n]
    )


def _values(table: AnyTable) -> dict[str, float]:
    if isinstance(table, LookupTable):
        return {key: row.value_us for key, row in table.calibrated().items()}
    if table.kind != "block":
        return {}
    return {key: row.value for key, row in table.values().items()}
