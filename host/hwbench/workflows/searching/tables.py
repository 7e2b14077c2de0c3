"""Search with files: tables and limits as a user names them, candidates measured on the device, the answer saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from hwbench.devices import Device
from hwbench.errors import UsageError
from hwbench.measure.campaign import Progress
from hwbench.search import exact, score_files
from hwbench.search.evolution import Settings
from hwbench.search.quantities import Latency, Quantity
from hwbench.spaces import architecture_file
from hwbench.workflows.searching.inputs import Inputs, read_inputs
from hwbench.workflows.searching.search import Candidate, Method, SearchResult, find_architectures
from hwbench.workflows.searching.verify import Measured, OnDevice, first_that_holds, verify_candidates

DEFAULT_OUTPUT = Path("hwbench-results") / "architecture.json"


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
    inputs = read_inputs(question.tables, question.limits, question.space, question.confidence)
    score = score_files.named(question.score, inputs.space)
    if not inputs.limits:
        return _front(inputs, score, question, verify)
    result = find_architectures(
        inputs.space,
        inputs.limits,
        score=score,
        method=question.method,
        count=max(question.count, verify),
        settings=None if question.method == "exact" else question.settings,
    )
    measured: tuple[Measured, ...] = ()
    answer: int | None = 0
    if verify:
        asked = OnDevice(device, preset, question.settings.seed, resume, on_progress)
        measured = verify_candidates(inputs, result.candidates[:verify], asked)
        answer = first_that_holds(measured)
    if answer is not None:
        architecture_file.save(inputs.space, result.candidates[answer].architecture, path)
    return TableSearch(result, answer, measured, (), inputs.notes, None if answer is None else path)


def _front(inputs: Inputs, score: Quantity, question: Question, verify: int) -> TableSearch:
    if len(inputs.sources) != 1 or verify or question.method != "exact" or question.confidence is not None:
        raise UsageError(
            "Without a limit there is the exact front of one table, and nothing to verify or be sure of.",
            hint="Add --limit 60ms.",
        )
    ((name, source),) = inputs.sources.items()
    found = exact.front_of(inputs.space, score, Latency(source, name))
    spans = source.predict(found)
    front = tuple(
        FrontPoint(tuple(arch.tolist()), inputs.space.describe(arch), *map(float, numbers))
        for arch, *numbers in zip(found, spans.mean_us, spans.lower_us, spans.upper_us, score.of(found), strict=True)
    )
    result = SearchResult(inputs.space.name, score.name, "exact", (), 0.0)
    return TableSearch(result, None, (), front, inputs.notes, None)
