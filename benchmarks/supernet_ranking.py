"""Why the supernet's network is as good as it is: does what the supernet says agree with networks trained on their own?

For finished cases of `benchmarks.supernet_search`: the search is run again, and what it says of every network that the
case has trained, derived or random, is held against that network's test accuracy. It says three things: the accuracy
with shared weights, what the regression over such accuracies predicts, and the log-probability. Beside them is what the
validation images say, after training: nothing that selects networks can be expected to agree better.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.common import parser, report
from benchmarks.supernet_search import QUANTILES, SETTINGS, SPACE, sources_of
from hwbench import spaces
from hwbench.search import data
from hwbench.search.fitted import DRAWN, drawn_near, fitted
from hwbench.search.quantities import Function, Latency, Limit
from hwbench.search.supernet import recipes
from hwbench.search.supernet.accuracy import SharedAccuracy
from hwbench.search.supernet.network import chain_of
from hwbench.search.supernet.search import Splits, SupernetSearch
from hwbench.workflows.reproducing.search_study import Case, CaseResult, Study, run_case, study_images


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--table", type=Path, help="as for the study")
    arguments.add_argument("--folder", type=Path, required=True, help="the study's finished pieces")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments.add_argument("--sizes", type=int, nargs=3, default=(10_000, 2000, 10_000), help="as for the study")
    arguments.add_argument("--epochs-times", type=int, default=1, help="so many times the study's epochs of search")
    arguments.add_argument(
        "--tuning-share", type=float, default=0.0, help="CPU seconds of tuning that the study counted"
    )
    options = arguments.parse_args()
    torch.set_num_threads(1)
    space = chain_of(spaces.get(SPACE))
    images = study_images(data.find_fashion_mnist(), *options.sizes)
    study = Study(space, images, recipes.read(str(SETTINGS)), options.tuning_share, options.folder)
    rows = [
        _agreement(study, Case(name, source, quantile, seed), options.epochs_times)
        for seed in options.seeds
        for name, source in sources_of(space, options.table).items()
        for quantile in QUANTILES
    ]
    said = ("shared_accuracy", "regression", "log_probability", "validation")
    mean = {name: float(np.mean([row["spearman_with_test"][name] for row in rows])) for name in said}
    result = {"epochs_times": options.epochs_times, "mean_spearman_with_test": mean, "cases": rows}
    report("supernet_ranking", result, options.keep)


def _agreement(study: Study, case: Case, times: int) -> dict[str, Any]:
    done = run_case(study, case, lambda: False)
    if done is None:
        raise SystemExit(f"{study.folder} lacks pieces of {case.table} at {case.quantile}, seed {case.seed}.")
    recipe = study.recipe.search
    longer = msgspec.structs.replace(
        recipe,
        seed=case.seed,
        warm_up=msgspec.structs.replace(recipe.warm_up, epochs=times * recipe.warm_up.epochs),
        weights=msgspec.structs.replace(recipe.weights, epochs=times * recipe.weights.epochs),
    ).referred_to(done.limit_us)
    search = SupernetSearch(study.space, case.source, Splits(study.images.train, study.images.validation), longer)
    outcome = search.run()
    seen = study.images.validation.take(slice(0, longer.validation_images))
    shared = Function(SharedAccuracy(search.supernet, seen, search.normalisation), "shared accuracy")
    limit = Limit(Latency(case.source, case.table), done.limit_us)
    regression = fitted(study.space, drawn_near(study.space, [limit], DRAWN, case.seed), shared)
    networks = (*done.derived, *done.rivals)
    architectures = np.concatenate([study.space.parse(network.labels) for network in networks])
    says: dict[str, NDArray[np.float64]] = {
        "shared_accuracy": shared.of(architectures),
        "regression": regression.of(architectures),
        "log_probability": outcome.scores(study.space).of(architectures),
        "validation": np.array([network.validation for network in networks]),
    }
    test = np.array([network.test for network in networks])
    return {
        "table": case.table,
        "quantile": case.quantile,
        "seed": case.seed,
        "networks": len(networks),
        "random_test_deviation": _deviation(done),
        "spearman_with_test": {name: float(spearmanr(values, test).statistic) for name, values in says.items()},
    }


def _deviation(done: CaseResult) -> float:
    return float(np.std([rival.test for rival in done.rivals], ddof=1))


if __name__ == "__main__":
    main()
