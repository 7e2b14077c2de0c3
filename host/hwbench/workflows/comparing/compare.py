"""Do targets put architectures in the same order? Tables and matrices in, verdicts and what breaks the order out."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwbench import spaces
from hwbench.errors import DataError, Incomparable, UsageError
from hwbench.spaces.space import Architectures, Space
from hwbench.tables import flaws
from hwbench.tables import matrix as matrices
from hwbench.tables.matrix import LatencyMatrix
from hwbench.tables.pool import resolve
from hwbench.tables.pool import tables as pool_tables
from hwbench.transfer.agreement import Observed, agreements, kendall, noise_ceiling, top_overlap
from hwbench.transfer.predictor_file import Predictor
from hwbench.transfer.verdict import judge
from hwbench.workflows import sources
from hwbench.workflows.comparing.breakers import breakers
from hwbench.workflows.comparing.comparison import Comparison, Pair, TargetSource, save
from hwbench.workflows.comparing.regrets import Regrets, regrets
from hwbench.workflows.comparing.targets import TableTarget, ceiling, joined, observed

Contents: TypeAlias = Mapping[Path, sources.Content]


def compare(
    tables: Sequence[str | Path] = (),
    *,
    pool: bool = False,
    networks: int = 1000,
    seed: int = 0,
    space_name: str | None = None,
    score: str | None = None,
    accuracy: str | None = None,
    output: Path | None = None,
    overwrite: bool = False,
) -> Comparison:
    """Every two targets of the files over common architectures: those of the matrices, else random ones of the space.

    `tables` are paths, or names of tables of the pool. `pool` adds all tables of the pool that are of their space, or
    of the default space if there are none. `score` (macs, parameters, a file of scores per choice) or `accuracy` (a
    file of accuracies) is what regret is counted in; without either there is none. `output` keeps the result as a file.

    Raises DataError or UsageError for files that cannot be compared, Incomparable for emulated results, MissingRows.
    """
    if output is not None and output.exists() and not overwrite:
        raise UsageError(f"{output} exists already.", hint="Add --overwrite, or choose another file with --output.")
    contents: Contents = {path: sources.load(path) for path in map(resolve, tables)}
    if pool:
        contents = {**contents, **_of_pool(contents, space_name)}
    if not contents:
        raise UsageError("There is nothing to compare.", hint="Name tables, or add --pool.")
    names = _space_names(contents, space_name)
    found = {path: one for path, one in contents.items() if isinstance(one, LatencyMatrix)}
    matrix = matrices.merge({str(path): one for path, one in found.items()}) if found else None
    predictors = {path: one for path, one in contents.items() if isinstance(one, Predictor)}
    measured = joined(
        {path: one for path, one in contents.items() if not isinstance(one, LatencyMatrix | Predictor)},
        {path: spaces.get(name) for path, name in names.items() if path not in found},
        () if matrix is None else matrix.targets,
    )
    columns, archs, notes = _columns(matrix, spaces.get(next(iter(names.values()))), networks, seed)
    seen = [*columns, *(observed(one, archs) for one in measured)]
    predicted = _predicted(predictors, archs, {one.target for one in seen})
    seen += predicted
    if len(seen) < 2 and not any(len(one.runs) > 1 for one in measured):
        raise UsageError("There is one target alone.", hint="Give a second table, or a matrix of several targets.")
    scored, lost = regrets(measured, matrix, score, accuracy)
    pairs = _pairs(seen, measured, archs, lost, seed)
    tabled = {one.name: one for one in measured}
    result = Comparison(
        space=next(iter(names.values())),
        architectures=len(seen[0].values_us),
        targets=tuple(one.target for one in seen),
        pairs=pairs,
        clusters=clusters([one.target for one in seen], pairs),
        ceilings={
            one.target: ceiling(tabled[one.target], one, archs, seed)
            if one.target in tabled
            else noise_ceiling(one, seed=seed)
            for one in seen
        },
        flaws=() if matrix is None else flaws.of_matrix(matrix),
        sources=(
            *_matrix_sources(found),
            *map(_source, measured),
            *(
                TargetSource(one.target, names[path], None, (path.name,))
                for one, path in zip(predicted, predictors, strict=True)
            ),
        ),
        score=scored,
        notes=(*notes, *_notes(measured)),
        seed=seed,
    )
    if output is not None:
        save(result, output)
    return result


def clusters(targets: Sequence[str], pairs: Sequence[Pair]) -> tuple[tuple[str, ...], ...]:
    """Sets of mutually monotone targets, the pairs that agree best joined first; a lone target is a set of its own."""
    known = {frozenset((pair.agreement.a, pair.agreement.b)): pair for pair in pairs}
    sets = [{target} for target in targets]
    for pair in sorted(pairs, key=lambda one: -one.agreement.estimate):
        left, right = (next(own for own in sets if end in own) for end in (pair.agreement.a, pair.agreement.b))
        couples = itertools.product(left, right)
        if left is not right and all(known[frozenset(two)].verdict.answer == "yes" for two in couples):
            left |= right
            sets.remove(right)
    return tuple(tuple(target for target in targets if target in own) for own in sets)


def _of_pool(contents: Contents, space_name: str | None) -> dict[Path, sources.Content]:
    """The tables of the pool that are of the given files' space and not among them."""
    wanted = space_name or next((one.space for one in contents.values() if one.space), spaces.DEFAULT)
    given = {path.resolve() for path in contents}
    found = pool_tables(space=wanted)
    if not found:
        raise DataError(f"The pool has no table of {wanted}.", hint="`hwbench table pool` lists what there is.")
    return {one.path: sources.load(one.path) for one in found if one.path.resolve() not in given}


def _space_names(contents: Contents, given: str | None) -> dict[Path, str]:
    """The space of each file. Raises Incomparable where none is known, or several that differ in their choices."""
    fallback = None if given is None else spaces.get(given).name
    own = {path: one.space or fallback for path, one in contents.items()}
    named = list(dict.fromkeys(name for name in own.values() if name is not None))
    alike = len(named) == 1
    if len(named) > 1 and None not in own.values():
        first, *others = map(spaces.get, named)
        alike = all(first.same_choices(other) for other in others)
    if not alike:
        hint = "Compare tables whose spaces have the same choices." if len(named) > 1 else "Add --space."
        raise Incomparable(
            f"The files are of {len(named)} spaces: {', '.join(sorted(named)) or 'none is named'}.", hint=hint
        )
    return {path: name or named[0] for path, name in own.items()}


def _columns(
    matrix: LatencyMatrix | None, space: Space, networks: int, seed: int
) -> tuple[list[Observed], Architectures, list[str]]:
    """The matrix's targets, the architectures that tables are summed for, and what was left out."""
    if matrix is None:
        return [], space.sample(networks, seed), []
    rows = np.random.default_rng(seed).permutation(len(matrix.architectures))[:networks]
    every = [Observed(target, matrix.column(target)[rows]) for target in matrix.targets]
    columns = [one for one in every if _has_order(one.values_us)]
    notes = [
        f"{one.target} has one value everywhere and is left out." for one in every if not _has_order(one.values_us)
    ]
    return columns, space.check(matrix.encoded[rows].astype(np.int64)), notes


def _predicted(predictors: Mapping[Path, Predictor], archs: Architectures, taken: Collection[str]) -> list[Observed]:
    """Predictions, called by target and method; where that is taken, by the file. Their errors are no timing noise."""
    named = [f"{one.target} ({one.method})" for one in predictors.values()]
    found = []
    for (path, one), name in zip(predictors.items(), named, strict=True):
        source = sources.source_of(one, spaces.get(one.space))
        own = name if named.count(name) == 1 and name not in taken else str(path)
        found.append(Observed(own, source.predict(archs).mean_us))
    return found


def _has_order(values: NDArray[np.float64]) -> bool:
    known = values[np.isfinite(values)]
    return len(known) < 2 or bool(np.ptp(known))


def _pairs(
    seen: Sequence[Observed], measured: Sequence[TableTarget], archs: Architectures, lost: Regrets, seed: int
) -> tuple[Pair, ...]:
    tables = {one.name: one for one in measured}
    pairs = []
    for one, (a, b) in zip(agreements(seen, seed=seed), itertools.combinations(seen, 2), strict=True):
        if not np.isfinite(one.z):
            raise DataError(f"{one.a} or {one.b} has one latency on all {one.n} architectures that they share.")
        ends = ((one.a, one.b), (one.b, one.a))
        both = one.a in tables and one.b in tables
        operators, blocks = breakers(tables[one.a], tables[one.b], archs) if both else ((), ())
        pairs.append(
            Pair(
                one, judge(one), kendall(a, b), top_overlap(a, b),
                tuple(lost[end] for end in ends if end in lost), operators, blocks,
            )
        )  # fmt: skip
    return tuple(pairs)


def _notes(measured: Sequence[TableTarget]) -> list[str]:
    notes = []
    names = list(dict.fromkeys(one.space.name for one in measured))
    if len(names) > 1:
        notes.append(f"The same architectures are compared in {', '.join(names)}, each in its table's own space.")
    for one in measured:
        if len(one.runs) > 1:
            notes.append(f"{one.name} was measured {len(one.runs)} times: its rows are means, its ceiling is measured.")
    return notes


def _matrix_sources(found: Mapping[Path, LatencyMatrix]) -> list[TargetSource]:
    return [
        TargetSource(target, one.space, None, (path.name,)) for path, one in found.items() for target in one.targets
    ]


def _source(one: TableTarget) -> TargetSource:
    return TargetSource(one.name, one.space.name, one.device, tuple(path.name for path in one.paths))
