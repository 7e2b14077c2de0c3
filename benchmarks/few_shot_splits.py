"""The default predictor where pool and target differ in kind: GPUs from a pool without any, CPUs and phones from GPUs.

Everything else is HELP's protocol. Latency on GPUs is bound by launches at small batches, which nothing in such a pool
shows, so these splits say what the predictor knows beyond its sources.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from benchmarks.common import parser, report
from hwbench.workflows.reproducing.help import Options, Picks, Test, evaluate
from hwbench.workflows.reproducing.help_study import open_study

SEEDS = 10
CPUS = ("silver_4114", "silver_4210r")
PHONES = ("samsung_a50", "pixel3", "essential_ph_1", "samsung_s7")
BUDGETS: tuple[tuple[int, Picks], ...] = ((10, "active"), (10, "random"), (20, "active"))
TESTS: tuple[Test, ...] = ("trimmed", "all")


class Split(msgspec.Struct, frozen=True):
    space: str
    name: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]


def splits(space: str, largest_batch: int) -> tuple[Split, ...]:
    """Of HELP's sources and validation targets; none of its test."""
    gpus = tuple(f"{gpu}_{batch}" for gpu in ("1080ti", "titanx") for batch in (1, 32, largest_batch))
    return (
        Split(space, "GPUs from CPUs and phones", (*CPUS, *PHONES), ("1080ti_1", "titanx_32")),
        Split(space, "CPUs and phones from GPUs", gpus, ("silver_4114", "gold_6240", "samsung_a50", "pixel3")),
        Split(space, "CPUs from phones", PHONES, ("silver_4114", "gold_6240")),
    )


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seeds", type=int, default=SEEDS)
    options = arguments.parse_args()
    rows = []
    for space, largest_batch in (("nasbench201", 256), ("fbnet", 64)):
        study = open_study(space)
        for split, (samples, picks), test in itertools.product(splits(space, largest_batch), BUDGETS, TESTS):
            asked = Options(
                space, samples=samples, picks=picks, seeds=options.seeds, test=test,
                sources=split.sources, targets=split.targets,
            )  # fmt: skip
            found: dict[str, Any] = msgspec.to_builtins(evaluate(study, asked))
            # HELP publishes nothing for these splits.
            del found["published"]
            rows.append({"split": split.name, "sources": split.sources, **found})
    report("few_shot_splits", {"rows": rows}, options.keep)


if __name__ == "__main__":
    main()
