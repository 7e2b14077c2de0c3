"""HELP's evaluation of latency predictors: few measurements of a target, rank correlation over a test set."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import DataError, UsageError
from hwbench.measure.statistics import spearman
from hwbench.tables.matrix import LatencyMatrix
from hwbench.workflows.help_study import NEXT, PUBLISHED, SPLITS, Study, open_study

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Method = Literal["gp", "flops"]
Test = Literal["trimmed", "next1000", "all"]
Picks = Literal["active", "random", "reference"]
Disturb = Callable[[Floats, np.random.Generator], Floats]

_TRIMMED = (0.1, 0.9)
_CENTRAL = {"trimmed": 0.8, "next1000": 0.9, "all": 0.9}
_CANDIDATES = 1500
_FEWEST_TESTED = 20
_WITH_WEIGHTS = ("conv", "grouped", "depthwise", "linear")


class Guess(msgspec.Struct, frozen=True):
    """Predicted latencies; bounds of 90 % intervals, or None where the method gives none."""

    mean: Floats
    lower: Floats | None = None
    upper: Floats | None = None


class Predictor(Protocol):
    """A method after its meta stage. Architectures are places in the matrix."""

    def pick(self, candidates: Places, count: int, central: float) -> Places:
        """The architectures to measure."""

    def adapt(self, measured: Places, latency_us: Floats, wanted: Places) -> Guess:
        """Predictions for the wanted architectures of a target from its measurements."""


class Agreement(msgspec.Struct, frozen=True):
    """Spearman: mean over targets and seeds, deviation over seeds of the mean over targets, mean per target."""

    mean: float
    sd: float
    per_target: dict[str, float]


class Seconds(msgspec.Struct, frozen=True):
    """The meta stage, and one adaptation with the predictions of its test set."""

    meta: float
    adapt: float


class HelpResult(msgspec.Struct, frozen=True):
    """`interval_coverage_90` is None for a method without intervals; the per-target figures are means over seeds."""

    space: str
    method: str
    samples: int
    picks: str
    seeds: int
    test: str
    spearman: Agreement
    interval_coverage_90: float | None
    coverage_per_target: dict[str, float]
    median_ape: float
    seconds: Seconds
    published: dict[str, float]


class Options(msgspec.Struct, frozen=True):
    """`sources` and `targets` None: those of HELP's split."""

    space: str = "nasbench201"
    method: Method = "gp"
    samples: int = 10
    picks: Picks = "active"
    seeds: int = 10
    test: Test = "trimmed"
    sources: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None


def reproduce_help(options: Options, data: Path | None = None) -> HelpResult:
    """Raises UsageError for options that contradict each other, DataError for missing data or targets."""
    return evaluate(open_study(options.space, data), options)


def evaluate(study: Study, options: Options, disturb: dict[str, Disturb] | None = None) -> HelpResult:
    """`reproduce_help` of an opened study; `disturb` changes what is measured on the targets it names."""
    split = SPLITS[options.space]
    targets = options.targets or tuple(one for one in split.targets if one in study.matrix.targets)
    sources = options.sources or tuple(one for one in split.sources if one in study.matrix.targets)
    _check(study, options, sources, targets)
    begin = time.perf_counter()
    predictor = _METHODS[options.method](study.matrix, sources, study.first)
    meta = time.perf_counter() - begin
    runs = [
        [_one(study, options, predictor, target, seed, (disturb or {}).get(target)) for seed in range(options.seeds)]
        for target in targets
    ]
    figures = np.array([[run[:4] for run in of_target] for of_target in runs], float)
    agreement, coverage, error, seconds = np.moveaxis(figures, 2, 0)
    known = bool(np.isfinite(coverage).all())
    return HelpResult(
        options.space, options.method, options.samples, options.picks, options.seeds, options.test,
        Agreement(
            float(agreement.mean()), float(agreement.mean(axis=0).std()),
            dict(zip(targets, agreement.mean(axis=1).tolist(), strict=True)),
        ),
        float(coverage.mean()) if known else None,
        dict(zip(targets, coverage.mean(axis=1).tolist(), strict=True)) if known else {},
        float(np.median(error)),
        Seconds(meta, float(seconds.mean())),
        PUBLISHED[options.space],
    )  # fmt: skip


def test_places(latency: Floats, test: Test, first: int) -> Places:
    """The architectures that agreement is measured on, before those that were measured are taken out.

    `trimmed` is the middle 80 % by the target's own latency of the 1000 after the first, as HELP has it.
    """
    known = np.flatnonzero(np.isfinite(latency))
    if test == "all":
        return known
    following = known[(known >= first) & (known < first + NEXT)]
    if test == "next1000":
        return following
    low, high = (int(len(following) * share) for share in _TRIMMED)
    return following[np.argsort(latency[following], kind="stable")][low:high]


def _one(
    study: Study, options: Options, predictor: Predictor, target: str, seed: int, disturb: Disturb | None
) -> tuple[float, float, float, float]:
    """Spearman, coverage (NaN: no intervals), median relative error and seconds of one target and seed."""
    latency, rng = study.matrix.column(target), np.random.default_rng(seed)
    tested = test_places(latency, options.test, study.first)
    if len(tested) < _FEWEST_TESTED:
        raise DataError(f"Only {len(tested)} architectures of {target} are left to test on.")
    measured = _picked(study, options, predictor, latency, rng)
    values = latency[measured]
    values = values if disturb is None else disturb(values, rng)
    begin = time.perf_counter()
    wanted = np.setdiff1d(tested, measured)
    guess = predictor.adapt(measured, values, wanted)
    seconds = time.perf_counter() - begin
    truth = latency[wanted]
    covered = float("nan")
    if guess.lower is not None and guess.upper is not None:
        covered = float(np.mean((guess.lower <= truth) & (truth <= guess.upper)))
    error = float(np.median(np.abs(guess.mean - truth) / truth))
    return spearman(guess.mean, truth), covered, error, seconds


def _picked(study: Study, options: Options, predictor: Predictor, latency: Floats, rng: np.random.Generator) -> Places:
    """The measured architectures: never one of the test set's 1000, except where the test is all architectures."""
    known = np.flatnonzero(np.isfinite(latency))
    if options.picks == "reference":
        return np.intersect1d(study.references[: options.samples], known)
    held_out = np.zeros(len(latency), bool)
    if options.test != "all":
        held_out[study.first : study.first + NEXT] = True
    allowed = known[~held_out[known]]
    if options.picks == "random":
        pool = allowed if options.test == "all" else allowed[allowed < study.first]
        return rng.choice(pool, options.samples, replace=False)
    candidates = rng.choice(allowed, min(_CANDIDATES, len(allowed)), replace=False)
    return predictor.pick(candidates, options.samples, _CENTRAL[options.test])


def _check(study: Study, options: Options, sources: Sequence[str], targets: Sequence[str]) -> None:
    if not sources or not targets:
        raise UsageError("No source or no target is left.", hint="Name them with --sources and --targets.")
    if both := sorted(set(sources) & set(targets)):
        raise UsageError(f"{both[0]} is a source and a target.", hint="A target has to be left out of the pool.")
    for name in (*sources, *targets):
        study.matrix.column(name)
    if options.seeds < 1:
        raise UsageError("At least one seed is needed.")
    if options.picks == "reference" and options.samples > len(study.references):
        raise UsageError(
            f"There are {len(study.references)} reference architectures, not {options.samples}.",
            hint="Take fewer samples, or other picks.",
        )
    if options.picks == "active" and options.method == "flops":
        raise UsageError("FLOPs choose no architectures.", hint="Use --picks random.")


class _GaussianProcess:
    """hwbench's default predictor; every architecture of the matrix is encoded in the meta stage."""

    def __init__(self, matrix: LatencyMatrix, sources: Sequence[str], first: int) -> None:
        from hwbench.transfer.few_shot.prior import prior_of

        self._architectures = architectures_of(matrix)
        self._prior = prior_of(head_of(matrix, sources, first))
        self._encoded = self._prior.at(self._architectures)

    def pick(self, candidates: Places, count: int, central: float) -> Places:
        from hwbench.transfer.few_shot.picks import choose

        return candidates[choose(self._prior, self._encoded.take(candidates), count, central=central)]

    def adapt(self, measured: Places, latency_us: Floats, wanted: Places) -> Guess:
        from hwbench.transfer.few_shot.predictor import fit_encoded

        taken = self._encoded.take(measured)
        predictor = fit_encoded(self._prior, self._architectures[measured], taken, latency_us)
        found = predictor.predict_encoded(self._encoded.take(wanted), 0.9)
        return Guess(found.mean_us, found.lower_us, found.upper_us)


class _Flops:
    """Multiply-accumulates of all searched operators, dead edges too, as published FLOPs count them.

    Least squares through the measurements puts them on the target's scale.
    """

    def __init__(self, matrix: LatencyMatrix, sources: Sequence[str], first: int) -> None:
        from hwbench.transfer.few_shot.describe import describe

        description = describe(matrix.space)
        table = description.kernels
        if table is None:
            raise UsageError(f"MACs of {matrix.space} are not known.")
        counted = np.array([name.startswith(_WITH_WEIGHTS) for name in table.kind_names])[table.kind]
        macs = table.per_part((table.macs * counted)[:, None])
        self._macs = description.sums(macs, architectures_of(matrix))[0][:, 0]

    def pick(self, candidates: Places, count: int, central: float) -> Places:
        raise NotImplementedError("FLOPs choose no architectures")

    def adapt(self, measured: Places, latency_us: Floats, wanted: Places) -> Guess:
        line = np.stack([np.ones(len(measured)), self._macs[measured]], axis=1)
        constant, slope = np.linalg.lstsq(line, latency_us, rcond=None)[0]
        # Ranks are those of the MACs whatever the measurements say.
        return Guess(constant + max(float(slope), 1e-12) * self._macs[wanted])


_METHODS: dict[Method, Callable[[LatencyMatrix, Sequence[str], int], Predictor]] = {
    "gp": _GaussianProcess,
    "flops": _Flops,
}


def architectures_of(matrix: LatencyMatrix) -> NDArray[Any]:
    """The matrix's rows as their space takes them: whole numbers, or HAT's features."""
    from hwbench.spaces import hat

    return matrix.encoded if matrix.space == hat.NAME else matrix.encoded.astype(np.uint8)


def head_of(matrix: LatencyMatrix, sources: Sequence[str], first: int) -> LatencyMatrix:
    """The first architectures, and the sources alone: what a meta stage may see."""
    from hwbench.tables.matrix import Column

    columns = tuple(
        Column(one.target, one.values[:first], one.origin) for one in matrix.columns if one.target in sources
    )
    return LatencyMatrix(matrix.space, matrix.metric, matrix.architectures[:first], columns)
