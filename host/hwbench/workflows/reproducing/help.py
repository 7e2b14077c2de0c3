"""HELP's evaluation of latency predictors: few measurements of a target, rank correlation over a test set."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, cast

import msgspec
import numpy as np

from hwbench.errors import DataError, UsageError
from hwbench.measure.statistics import spearman
from hwbench.transfer.help.settings import HELP, MAML, META_SGD
from hwbench.workflows.adapting.few_shot import (
    AdaProxy,
    ChoosingPredictor,
    Floats,
    Flops,
    GaussianProcess,
    Places,
    Predictor,
    Stage,
    Table,
)
from hwbench.workflows.adapting.trained import MetaLearned, Scratch
from hwbench.workflows.reproducing.help_study import NEXT, PUBLISHED, SPLITS, Study, open_study

Method = Literal["gp", "help", "metasgd", "maml", "brpnas", "adaproxy", "table", "flops"]
Test = Literal["trimmed", "next1000", "all"]
Picks = Literal["active", "random", "reference"]
Disturb = Callable[[Floats, np.random.Generator], Floats]

_TRIMMED = (0.1, 0.9)
_CENTRAL = {"trimmed": 0.8, "next1000": 0.9, "all": 0.9}
_CANDIDATES = 1500
_FEWEST_TESTED = 20

METHODS: dict[Method, Callable[[Stage], Predictor]] = {
    "gp": GaussianProcess,
    "help": partial(MetaLearned, settings=HELP),
    "metasgd": partial(MetaLearned, settings=META_SGD),
    "maml": partial(MetaLearned, settings=MAML),
    "brpnas": Scratch,
    "adaproxy": AdaProxy,
    "table": Table,
    "flops": Flops,
}
_CHOOSING: tuple[Method, ...] = ("gp",)
_TRAINED: tuple[Method, ...] = ("help", "metasgd", "maml")


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
    """`interval_coverage_90` is None for a method without intervals; the per-target figures are means over seeds.

    `measurements` counts all of a target: the samples, and the references of a method that has them.
    """

    space: str
    method: str
    samples: int
    measurements: int
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
    """`sources` and `targets` None: those of HELP's split; `picks` None: active where the method chooses, else random.

    `training_seed` is of methods that are trained. Their `checkpoint` is used if it is there, else written.
    """

    space: str = "nasbench201"
    method: Method = "gp"
    samples: int = 10
    picks: Picks | None = None
    seeds: int = 10
    test: Test = "trimmed"
    sources: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    training_seed: int = 0
    checkpoint: Path | None = None

    @property
    def picked(self) -> Picks:
        return self.picks or ("active" if self.method in _CHOOSING else "random")


def reproduce_help(options: Options, data: Path | None = None) -> HelpResult:
    """Raises UsageError for options that contradict each other, DataError for missing data or targets."""
    return evaluate(open_study(options.space, data), options)


def evaluate(study: Study, options: Options, disturb: dict[str, Disturb] | None = None) -> HelpResult:
    """`reproduce_help` of an opened study; `disturb` changes what is measured on the targets it names."""
    split = SPLITS[options.space]
    targets = options.targets or tuple(one for one in split.targets if one in study.matrix.targets)
    sources = options.sources or tuple(one for one in split.sources if one in study.matrix.targets)
    _check(study, options, sources, targets)
    validation = tuple(
        one for one in split.validation if one in study.matrix.targets and one not in (*sources, *targets)
    )
    stage = Stage(
        study.matrix, sources, validation, np.array(study.references, np.int64), study.first,
        options.training_seed, options.checkpoint,
    )  # fmt: skip
    begin = time.perf_counter()
    predictor = METHODS[options.method](stage)
    meta = time.perf_counter() - begin
    runs = [
        [_one(study, options, predictor, target, seed, (disturb or {}).get(target)) for seed in range(options.seeds)]
        for target in targets
    ]
    agreement, coverage, error, seconds, measured = np.moveaxis(np.array(runs, float), 2, 0)
    known = bool(np.isfinite(coverage).all())
    return HelpResult(
        options.space, options.method, options.samples, int(measured.max()),
        options.picked, options.seeds, options.test,
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
) -> tuple[float, float, float, float, int]:
    """Spearman, coverage (NaN: no intervals), median relative error, seconds and measurements of a target and seed."""
    latency, rng = study.matrix.column(target), np.random.default_rng(seed)
    tested = test_places(latency, options.test, study.first)
    if len(tested) < _FEWEST_TESTED:
        raise DataError(f"Only {len(tested)} architectures of {target} are left to test on.")
    picked = picked_places(study, options, predictor, latency, rng)
    measured = np.concatenate([predictor.references, picked[~np.isin(picked, predictor.references)]])
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
    return spearman(guess.mean, truth), covered, error, seconds, len(measured)


def picked_places(
    study: Study, options: Options, predictor: Predictor, latency: Floats, rng: np.random.Generator
) -> Places:
    """The measured architectures: never one of the test set's 1000, except where the test is all architectures."""
    known = np.flatnonzero(np.isfinite(latency))
    if options.picked == "reference":
        return np.intersect1d(study.references[: options.samples], known)
    held_out = np.zeros(len(latency), bool)
    if options.test != "all":
        held_out[study.first : study.first + NEXT] = True
    allowed = known[~held_out[known]]
    if options.picked == "random":
        pool = allowed if options.test == "all" else allowed[allowed < study.first]
        return rng.choice(pool, options.samples, replace=False)
    candidates = rng.choice(allowed, min(_CANDIDATES, len(allowed)), replace=False)
    assert options.method in _CHOOSING
    return cast(ChoosingPredictor, predictor).pick(candidates, options.samples, _CENTRAL[options.test])


def _check(study: Study, options: Options, sources: Sequence[str], targets: Sequence[str]) -> None:
    if not sources or not targets:
        raise UsageError("No source or no target is left.", hint="Name them with --sources and --targets.")
    if both := sorted(set(sources) & set(targets)):
        raise UsageError(f"{both[0]} is a source and a target.", hint="A target has to be left out of the pool.")
    for name in (*sources, *targets):
        study.matrix.column(name)
    if options.seeds < 1:
        raise UsageError("At least one seed is needed.")
    check_references(study, options)
    if options.picked == "active" and options.method not in _CHOOSING:
        raise UsageError(f"{options.method} chooses no architectures.", hint="Use --picks random.")
    if options.checkpoint is not None and options.method not in _TRAINED:
        raise UsageError(f"{options.method} is not trained on a pool.", hint="Leave --checkpoint out.")


def check_references(study: Study, options: Options) -> None:
    """Raises UsageError when more reference architectures are asked for than there are."""
    if options.picked == "reference" and options.samples > len(study.references):
        raise UsageError(
            f"There are {len(study.references)} reference architectures, not {options.samples}.",
            hint="Take fewer samples, or other picks.",
        )
