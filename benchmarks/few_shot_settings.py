"""Chooses what the default predictor assumes: on HELP's meta-train and meta-valid targets, one device family out.

Every target of a family is predicted from those of the others, from 10 active and 10 random measurements, and GPUs
from a pool without any. Settings
are compared by mean Spearman; the widening of intervals is the one whose coverage per target is nearest 90 %, among
those whose mean coverage is within a hundredth of it. No target of HELP's test takes part.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import parser, report
from hwbench.measure.statistics import spearman
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.few_shot.picks import choose
from hwbench.transfer.few_shot.posterior import posterior_of, widening_of
from hwbench.transfer.few_shot.prior import Encoded, Prior, draws_of, mean_variances, prior_of
from hwbench.transfer.few_shot.settings import DEFAULT, Range, Settings
from hwbench.workflows.adapting.few_shot import architectures_of, head_of
from hwbench.workflows.reproducing.help import test_places
from hwbench.workflows.reproducing.help_study import NEXT, SPLITS, Study, open_study

FAMILIES = ("1080ti", "titanx", "silver", "gold", "samsung")
GPUS = ("1080ti", "titanx")
GPU_TARGETS = ("1080ti_1", "titanx_32")
SAMPLES = 10
CENTRAL = 0.8
NORMAL_90 = 1.645
WIDENINGS = (1.0, 1.2, 1.45, 1.6, 1.8, 2.0, 2.2, 2.5, 3.0, 4.0)
WEIGHTS = (2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "sources wider": {"sources": Range(0.1, 3)},
    "counts narrower": {"counts": Range(0.003, 1, 0.5)},
    "totals always": {"totals": Range(0.003, 1)},
    "layers wider": {"layers": Range(0.003, 0.15)},
    "layers narrower": {"layers": Range(0.0003, 0.02)},
    "simulated wider": {"simulated": Range(0.03, 10, 0.3)},
    "simulated narrower": {"simulated": Range(0.003, 1, 0.3)},
    "kernels wider": {"kernels": Range(0.01, 1)},
    "kernels narrower": {"kernels": Range(0.001, 0.1)},
    "less noise": {"noise": Range(0.001, 0.5)},
    "more noise": {"noise": Range(0.001, 1.5)},
    "smaller noise too": {"noise": Range(0.0001, 1)},
    "slope surer": {"slope": 0.8, "slope_variance": 0.1},
    "scale looser": {"rate": 0.1},
    "scale tighter": {"rate": 1.0},
    "spikes rarer": {"spike_probability": 0.01},
    "no spikes": {"spike_probability": 1e-12},
}


class Run(msgspec.Struct, frozen=True):
    """One target, kind of picks and seed; `errors` in posterior deviations before widening."""

    space: str
    left_out: str
    target: str
    picks: str
    agreement: float
    errors: NDArray[np.float64]
    surprise: NDArray[np.float64]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--only", default="", help="names of variants, with commas")
    options = arguments.parse_args()
    pools = [pool for space in ("nasbench201", "fbnet") for pool in _pools(space)]
    chosen = [name.strip() for name in options.only.split(",") if name.strip()] or list(VARIANTS)
    results = {}
    for name in chosen:
        settings = msgspec.structs.replace(DEFAULT, **VARIANTS[name])
        runs = [run for pool in pools for run in _runs(pool, settings, options.seeds)]
        families = [run for run in runs if run.left_out == "family"]
        results[name] = {"spearman": _agreement(runs), "intervals": _best_widening(families)}
    report("few_shot_settings", {"seeds": options.seeds, "variants": results}, options.keep)


class Pool(msgspec.Struct, frozen=True):
    """The prior without some targets, everything encoded, and those targets; `left_out` is "family" or "GPUs"."""

    space: str
    left_out: str
    matrix: LatencyMatrix
    first: int
    targets: tuple[str, ...]
    prior: Prior
    encoded: Encoded


def _pools(space: str) -> Iterator[Pool]:
    study, split = open_study(space), SPLITS[space]
    known = (*split.sources, *split.validation)
    for left_out in families(known):
        sources = [target for target in known if target not in left_out]
        yield _pool(study, space, "family", sources, left_out)
    yield _pool(study, space, "GPUs", [target for target in known if not target.startswith(GPUS)], GPU_TARGETS)


def _pool(study: Study, space: str, left_out: str, sources: list[str], targets: tuple[str, ...]) -> Pool:
    prior = prior_of(head_of(study.matrix, sources, study.first))
    encoded = prior.at(architectures_of(study.matrix))
    return Pool(space, left_out, study.matrix, study.first, targets, prior, encoded)


def families(known: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The targets, those of one device family together."""
    found: dict[str, list[str]] = {}
    for target in known:
        found.setdefault(next((family for family in FAMILIES if target.startswith(family)), target), []).append(target)
    return tuple(map(tuple, found.values()))


def _runs(pool: Pool, settings: Settings, seeds: int) -> Iterator[Run]:
    regimes = pool.prior.description.regimes
    prior = msgspec.structs.replace(
        pool.prior,
        settings=settings,
        draws=draws_of(settings, regimes),
        mean_variances=mean_variances(settings, regimes),
    )
    picks: Literal["active", "random"]
    for target, picks, seed in itertools.product(pool.targets, ("active", "random"), range(seeds)):
        rng, latency = np.random.default_rng(seed), pool.matrix.column(target)
        if picks == "random":
            measured = rng.choice(pool.first, SAMPLES, replace=False)
        else:
            outside = np.r_[: pool.first, pool.first + NEXT : len(latency)]
            candidates = rng.choice(outside, min(1500, len(outside)), replace=False)
            measured = candidates[choose(prior, pool.encoded.take(candidates), SAMPLES, central=CENTRAL)]
        found = posterior_of(prior, pool.encoded.take(measured), latency[measured])
        tested = np.setdiff1d(test_places(latency, "trimmed", pool.first), measured)
        at = pool.encoded.take(tested)
        mean = found.mean(at)
        errors = np.abs(mean - latency[tested]) / (found.deviation(at) / found.widening)
        yield Run(pool.space, pool.left_out, target, picks, spearman(mean, latency[tested]), errors, found.surprise)


def _agreement(runs: list[Run]) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for run in runs:
        group = "" if run.left_out == "family" else f" without GPUs: {run.target}"
        groups.setdefault(f"{run.space} {run.picks}{group}", []).append(run.agreement)
    return {name: round(float(np.mean(values)), 4) for name, values in groups.items()}


def _best_widening(runs: list[Run]) -> dict[str, float]:
    found = []
    for widening, weight in itertools.product(WIDENINGS, WEIGHTS):
        held: dict[tuple[str, ...], list[float]] = {}
        for run in runs:
            bound = NORMAL_90 * widening_of(run.surprise, widening, weight)
            held.setdefault((run.space, run.target, run.picks), []).append(float((run.errors < bound).mean()))
        coverage = np.array([np.mean(values) for values in held.values()])
        off = float(np.abs(coverage - 0.9).mean())
        centred = abs(coverage.mean() - 0.9) <= 0.01
        found.append((not centred, off, widening, weight, float(coverage.mean()), float(coverage.min())))
    _, off, widening, weight, mean, least = min(found)
    return {"widening": widening, "weight": weight, "mean": mean, "least": least, "mean_distance_from_90": off}


if __name__ == "__main__":
    main()
