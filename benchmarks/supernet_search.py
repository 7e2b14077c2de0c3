"""The supernet's network against random networks of the same latency and the same compute, on Fashion-MNIST.

Two tables: one of this computer, given as a file, and a phone-like one that is synthetic: each (position, operator)
has the latency of that place in the published Pixel 1 table, so that their ratios are a real phone's, while the
networks are smaller. How a case is run, and how many rivals it gets, is in
`hwbench/workflows/reproducing/search_study.py`.

A run is made of pieces of some minutes: a search, or the training of one network. Finished ones stay in --folder, and
the same command goes on from them: --cpu-minutes ends a run early, --part 0/2 and --part 1/2 share the cases between
two processes, and the summary is printed once every case is complete. CPU times decide how many rivals a case gets, so
nothing else should run meanwhile.
"""

from __future__ import annotations

import time
from math import comb
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import parser, report
from hwbench import spaces
from hwbench.search import data
from hwbench.search.supernet import recipes
from hwbench.search.supernet.network import chain_of
from hwbench.spaces.space import ChainSpace
from hwbench.tables import opening
from hwbench.tables.opening import Source
from hwbench.workflows.reproducing.phone_like import NAME, phone_like
from hwbench.workflows.reproducing.search_study import Case, CaseResult, Study, TrainedNetwork, run_case, study_images

# So narrow that architectures of one latency differ by more than trainings of one architecture.
SPACE = "proxylessnas-v4.4.4.8.12.32-r28-c10-i1-d3.3.3-s1.2.2"
SETTINGS = Path(__file__).parent / "settings" / "supernet_search.json"
QUANTILES = (0.10, 0.25)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--table", type=Path, help="a lookup table of the space, measured on this computer")
    arguments.add_argument("--space", default=SPACE)
    arguments.add_argument("--data", type=Path, help="a data set; Fashion-MNIST as installed by default")
    arguments.add_argument("--folder", type=Path, required=True, help="finished pieces; a run goes on from them")
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--sizes", type=int, nargs=3, default=(10_000, 2000, 10_000), help="train, validation, test")
    arguments.add_argument("--settings", default=str(SETTINGS), help="as of `hwbench search --method supernet`")
    arguments.add_argument("--derive", choices=["filled", "fitted"], default="fitted")
    arguments.add_argument("--derived", type=int, default=3, help="how many of the likeliest networks are trained")
    arguments.add_argument("--quantiles", type=float, nargs="+", default=QUANTILES)
    arguments.add_argument(
        "--tuning-cpu-seconds", type=float, default=0.0, help="spent on choosing the settings; the cases share it"
    )
    arguments.add_argument("--cpu-minutes", type=float, default=float("inf"), help="begin no piece after so many")
    arguments.add_argument("--part", default="0/1", help="every N-th case, from the K-th on, as K/N")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    space = chain_of(spaces.get(options.space))
    sources = sources_of(space, options.table)
    cases = [
        Case(name, source, quantile, seed)
        for seed in range(options.seeds)
        for name, source in sources.items()
        for quantile in options.quantiles
    ]
    found = data.find_fashion_mnist() if options.data is None else data.load(options.data)
    found.check_fits(space)
    images = study_images(found, *options.sizes)
    share = options.tuning_cpu_seconds / len(cases)
    study = Study(space, images, recipes.read(options.settings), share, options.folder, options.derived, options.derive)
    study.begin()
    first, step = map(int, options.part.split("/"))
    for case in cases[first::step]:
        run_case(study, case, lambda: time.process_time() < 60 * options.cpu_minutes)
    results = [run_case(study, case, lambda: False) for case in cases]
    complete = [one for one in results if one is not None]
    if len(complete) < len(cases):
        print(f"{len(complete)} of {len(cases)} cases are complete; the same command goes on.")
        return
    result: dict[str, Any] = {
        "space": space.name,
        "images": dict(zip(("train", "validation", "test"), options.sizes, strict=True)),
        "settings": msgspec.to_builtins(study.recipe),
        "overall": _overall(complete),
        "summary": [_summary(complete, name, quantile) for name in sources for quantile in options.quantiles],
        "cases": msgspec.to_builtins(complete),
    }
    report("supernet_search", result, options.keep)


def sources_of(space: ChainSpace, table: Path | None) -> dict[str, Source]:
    """The tables of the study, by name."""
    sources: dict[str, Source] = {NAME: opening.source_of(phone_like(space), space)}
    if table is not None:
        sources["this computer"] = opening.source_of(opening.load_table(table), space)
    return sources


def _overall(cases: list[CaseResult]) -> dict[str, Any]:
    gains = np.array([case.found.test - case.chosen.test for case in cases])
    over_mean = np.array([_mean_test(case.derived) - _mean_test(case.rivals) for case in cases])
    return {
        "cases": len(cases),
        "gain_mean": float(gains.mean()),
        "gain_standard_error": _standard_error(gains),
        "mean_derived_over_mean_rival": float(over_mean.mean()),
        "mean_derived_over_mean_rival_standard_error": _standard_error(over_mean),
        "cases_where_the_mean_derived_is_better": int((over_mean > 0).sum()),
        "gain_mean_by_number_of_rivals": {
            str(count): float(np.mean([case.found.test - _best_of(case, count) for case in cases]))
            for count in range(1, min(len(case.rivals) for case in cases) + 1)
        },
        "won": int((gains > 0).sum()),
        "limits_held": sum(case.found.latency_us <= case.limit_us for case in cases),
        "cpu_seconds": sum(
            case.searched.cpu_seconds + sum(one.cpu_seconds for one in (*case.derived, *case.rivals)) for case in cases
        ),
    }


def _best_of(case: CaseResult, count: int) -> float:
    """Expected test accuracy of the one that validation prefers among `count` random ones of the case's rivals."""
    ranked = sorted(case.rivals, key=lambda rival: rival.validation)
    ways = np.array([comb(place, count - 1) for place in range(len(ranked))])
    return float(ways @ [rival.test for rival in ranked] / ways.sum())


def _mean_test(networks: tuple[TrainedNetwork, ...]) -> float:
    return float(np.mean([one.test for one in networks]))


def _standard_error(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _summary(cases: list[CaseResult], name: str, quantile: float) -> dict[str, Any]:
    own = [case for case in cases if case.table == name and case.quantile == quantile]
    gains = np.array([case.found.test - case.chosen.test for case in own])
    rivals = np.array([rival.test for case in own for rival in case.rivals])
    return {
        "table": name,
        "quantile": quantile,
        "limit_us": own[0].limit_us,
        "seeds": len(own),
        "derived_test": [[one.test for one in case.derived] for case in own],
        "found_test": [case.found.test for case in own],
        "chosen_rival_test": [case.chosen.test for case in own],
        "rivals": [len(case.rivals) for case in own],
        "gain_mean": float(gains.mean()),
        "gain_smallest": float(gains.min()),
        "won": int((gains > 0).sum()),
        "rivals_test_mean": float(rivals.mean()),
        "rivals_test_deviation": float(rivals.std(ddof=1)) if len(rivals) > 1 else None,
        "latency_over_limit": [case.found.latency_us / case.limit_us for case in own],
    }


if __name__ == "__main__":
    main()
