"""Search with files: tables and limits as a user names them, candidates measured on the device, the answer saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from hwbench import spaces
from hwbench.devices import Device
from hwbench.errors import Incomparable, UsageError
from hwbench.files import sha256
from hwbench.measure.campaign import Campaign, Progress
from hwbench.records import Measurement
from hwbench.search import exact, limits, score_files
from hwbench.search.evolution import Settings
from hwbench.search.quantities import ROUNDING, Count, Latency, Limit, Quantity
from hwbench.spaces import architecture_file
from hwbench.spaces.space import Space
from hwbench.tables.lookup import LookupTable
from hwbench.tables.source import LatencySource
from hwbench.workflows.networks import bench_of, measure
from hwbench.workflows.search import Candidate, Method, SearchResult, find_architectures
from hwbench.workflows.sources import Opened, open_file

DEFAULT_OUTPUT = Path("hwbench-results") / "architecture.json"


class Measured(msgspec.Struct, frozen=True):
    """A candidate on the device. `value_us` is held against the limit: its latency, or what that surely stays under."""

    candidate: int
    latency_us: float
    lower_us: float
    upper_us: float
    flags: tuple[str, ...]
    value_us: float
    holds: bool


class FrontPoint(msgspec.Struct, frozen=True):
    """An architecture that no other beats in predicted latency and in score."""

    architecture: tuple[int, ...]
    labels: tuple[str, ...]
    latency_us: float
    lower_us: float
    upper_us: float
    score: float


class TableSearch(msgspec.Struct, frozen=True):
    """What was found; `front` instead of candidates when nothing was limited.

    `answer` is the place of the candidate to take: the first, or the first that held when measured (None: none did).
    `notes` are what to know about the tables.
    """

    result: SearchResult
    answer: int | None
    measured: tuple[Measured, ...]
    front: tuple[FrontPoint, ...]
    notes: tuple[str, ...]
    path: Path | None

    @property
    def chosen(self) -> Candidate | None:
        return None if self.answer is None else self.result.candidates[self.answer]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What to search for. `tables` are paths, of a matrix also `PATH:TARGET`; `score` is macs, parameters or a path.

    `confidence` in percent is how sure limits on latencies are to hold in a new measurement; None: as predicted.
    """

    tables: tuple[str, ...]
    limits: tuple[str, ...] = ()
    score: str = "macs"
    method: Method = "exact"
    confidence: float | None = None
    space: str | None = None
    count: int = 1
    settings: Settings = Settings()

    def __post_init__(self) -> None:
        if self.confidence is not None and not 50 <= self.confidence < 100:
            raise UsageError(f"A confidence of {self.confidence} % is not between 50 and 100.")


def search_tables(
    question: Question,
    *,
    verify: int = 0,
    device: Device | None = None,
    preset: str | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> TableSearch:
    """Searches, measures the `verify` best on the table's own device, and writes the answer as an architecture file.

    Without limits the front of the only table is returned and nothing is written. Raises as `find_architectures`
    does, DataError or UsageError for files that cannot be used, Incomparable for emulated results, another space, or a
    device that is not the table's target.
    """
    path = output or DEFAULT_OUTPUT
    if path.exists() and not overwrite and not resume and question.limits:
        raise UsageError(f"{path} exists already.", hint="Add --overwrite, or choose another file with --output.")
    tables = _named([open_file(text) for text in question.tables])
    space = _space(tables, question.space)
    score = score_files.named(question.score, space)
    sources: dict[str, LatencySource] = {one.name: one.source(space) for one in tables}
    notes = tuple(note for one in tables for note in _notes(one, question.confidence))
    if not question.limits:
        return _front(space, score, sources, question, verify, notes)
    held = [_limit(limits.parse(text), space, sources, question.confidence) for text in question.limits]
    twice = {one.quantity.name for one in held if sum(one.quantity.name == other.quantity.name for other in held) > 1}
    if twice:
        raise UsageError(f"{', '.join(sorted(twice))} is limited twice.", hint="Give the lower limit alone.")
    unlimited = set(sources) - {one.quantity.name for one in held}
    if unlimited:
        raise UsageError(f"Nothing limits {', '.join(sorted(unlimited))}.", hint="Give each table a --limit NAME=60ms.")
    result = find_architectures(
        space,
        held,
        score=score,
        method=question.method,
        count=max(question.count, verify),
        settings=None if question.method == "exact" else question.settings,
    )
    measured: tuple[Measured, ...] = ()
    answer: int | None = 0
    if verify:
        measured = _verify(tables, held, result.candidates[:verify], question, device, preset, resume, on_progress)
        answer = next((one.candidate for one in measured if one.holds), None)
    if answer is not None:
        architecture_file.save(space, result.candidates[answer].architecture, path)
    return TableSearch(result, answer, measured, (), notes, None if answer is None else path)


def _named(tables: list[Opened]) -> list[Opened]:
    """Two tables whose files have one name are told apart by their paths. Raises UsageError for one given twice."""
    names = [one.name for one in tables]
    named = [one if names.count(one.name) == 1 else msgspec.structs.replace(one, name=str(one.path)) for one in tables]
    if len({one.name for one in named}) != len(named):
        raise UsageError("A table is given twice.")
    return named


def _space(tables: Sequence[Opened], name: str | None) -> Space:
    """The one space of all tables, or the one that was named. Raises UsageError, Incomparable."""
    named = {one.content.space: one.path for one in tables if one.content.space is not None}
    if len(named) > 1:
        described = ", ".join(f"{path} of {space}" for space, path in named.items())
        raise Incomparable(f"The tables are of different spaces: {described}.")
    wanted = name or next(iter(named), None)
    if wanted is None:
        raise UsageError("The tables do not say of which space they are.", hint="Add --space.")
    return spaces.get(wanted)


def _limit(wanted: limits.Wanted, space: Space, sources: dict[str, LatencySource], confidence: float | None) -> Limit:
    match wanted.of:
        case "macs" | "parameters":
            return Limit(Count(space, wanted.of), wanted.most)
        case "" if len(sources) != 1:
            raise UsageError(f"A limit must say of which table it is: {' or '.join(sources)}.", hint="Write NAME=60ms.")
        case "":
            name = next(iter(sources))
        case _:
            name = wanted.of if wanted.of in sources else Path(wanted.of).stem
    if name not in sources:
        raise UsageError(
            f"There is no table {wanted.of!r} to limit.", hint=f"Known are {', '.join([*sources, *limits.COUNTED])}."
        )
    return Limit(Latency(sources[name], name, None if confidence is None else confidence / 100), wanted.most)


def _notes(one: Opened, confidence: float | None) -> list[str]:
    if not isinstance(one.content, LookupTable):
        return []
    notes = []
    flagged = [row for row in one.content.rows if row.flags]
    if flagged:
        notes.append(f"{one.name}: {len(flagged)} of {len(one.content.rows)} rows are flagged.")
    if confidence is not None and one.content.additivity is None:
        notes.append(
            f"{one.name} was never verified, so its intervals leave out how far sums are from whole networks: "
            "run `hwbench table verify`."
        )
    return notes


def _front(
    space: Space,
    score: Quantity,
    sources: dict[str, LatencySource],
    question: Question,
    verify: int,
    notes: tuple[str, ...],
) -> TableSearch:
    if len(sources) != 1 or verify or question.method != "exact" or question.confidence is not None:
        raise UsageError(
            "Without a limit there is the exact front of one table, and nothing to verify or be sure of.",
            hint="Add --limit 60ms.",
        )
    ((name, source),) = sources.items()
    found = exact.front_of(space, score, Latency(source, name))
    spans = source.predict(found)
    front = tuple(
        FrontPoint(tuple(arch.tolist()), space.describe(arch), *map(float, numbers))
        for arch, *numbers in zip(found, spans.mean_us, spans.lower_us, spans.upper_us, score.of(found), strict=True)
    )
    return TableSearch(SearchResult(space.name, score.name, "exact", (), 0.0), None, (), front, notes, None)


def _verify(
    tables: Sequence[Opened],
    held: Sequence[Limit],
    candidates: Sequence[Candidate],
    question: Question,
    device: Device | None,
    preset: str | None,
    resume: bool,
    on_progress: Callable[[Progress], None],
) -> tuple[Measured, ...]:
    """The candidates on the device, in their order; those that gave no latency are left out."""
    if len(tables) != 1 or not isinstance(table := tables[0].content, LookupTable):
        raise UsageError("Candidates are verified on the device of the one table that `hwbench profile` wrote.")
    path = tables[0].path
    (limit,) = (one for one in held if isinstance(one.quantity, Latency))
    architectures = np.array([candidate.architecture for candidate in candidates], np.uint8)

    def finish(campaign: Campaign, _: object) -> tuple[Measured, ...]:
        found = campaign.estimates.measurements
        return tuple(
            _measured(number, limit, found[f"network-{number}"])
            for number in range(len(architectures))
            if f"network-{number}" in found
        )

    bench = bench_of(table, path, device, preset, question.settings.seed)
    decisive = {"table": table.created_at, "architectures": sha256(architectures.tobytes())}
    folder = path.with_name(f"{path.name}.search.session")
    return measure(
        bench, spaces.get(table.space), architectures, folder, decisive, finish, resume=resume, on_progress=on_progress
    )


def _measured(number: int, limit: Limit, found: Measurement) -> Measured:
    widening = limit.quantity.widening if isinstance(limit.quantity, Latency) else 0.0
    value = found.value_us + widening * (found.upper_us - found.value_us)
    holds = value <= limit.most * (1 + ROUNDING)
    return Measured(number, found.value_us, found.lower_us, found.upper_us, found.flags, value, holds)
