"""HELP trained and evaluated by its own protocol, beside Meta-SGD, MAML, and what needs no training on a pool.

Three trainings, ten draws of ten measurements each, the trimmed test of 800, HELP's ten references in addition. The
baselines see the same draws. Seconds of training are of one core and hold on a machine that does nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.common import parser, report
from hwbench.transfer.help.settings import HELP, MAML, META_SGD
from hwbench.workflows.reproducing.help import METHODS, HelpResult, Method, Options, evaluate
from hwbench.workflows.reproducing.help_study import Study, open_study

TRAININGS = 3
SEEDS = 10
TRAINED: tuple[Method, ...] = ("help", "metasgd", "maml")
# What the mean over trainings has to reach; training within five minutes.
WANTED = {"nasbench201": 0.928, "fbnet": 0.908}
MOST_SECONDS = 300.0


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--spaces", default=",".join(WANTED), help="with commas")
    arguments.add_argument("--methods", default=",".join(METHODS), help="with commas")
    arguments.add_argument("--trainings", type=int, default=TRAININGS)
    arguments.add_argument("--seeds", type=int, default=SEEDS)
    arguments.add_argument("--checkpoints", type=Path, help="folder that trained methods are kept in and taken from")
    options = arguments.parse_args()
    rows = []
    for space in options.spaces.split(","):
        study = open_study(space)
        for method in options.methods.split(","):
            trainings = options.trainings if method in TRAINED else 1
            found = [_one(study, space, method, seed, options.seeds, options.checkpoints) for seed in range(trainings)]
            rows.append(_row(space, method, found))
    settings = {"help": HELP, "metasgd": META_SGD, "maml": MAML}
    report("help_training", {"rows": rows, "settings": msgspec.to_builtins(settings)}, options.keep)


def _one(
    study: Study, space: str, method: Method, training_seed: int, seeds: int, checkpoints: Path | None
) -> HelpResult:
    kept = checkpoints is not None and method in TRAINED
    path = checkpoints / f"{space}-{method}-{training_seed}.safetensors" if checkpoints and kept else None
    asked = Options(space, method, picks="random", seeds=seeds, training_seed=training_seed, checkpoint=path)
    return evaluate(study, asked)


def _row(space: str, method: str, found: list[HelpResult]) -> dict[str, Any]:
    """The mean and each target over trainings; the deviation of the mean is over trainings and draws together."""
    means = [one.spearman.mean for one in found]
    within = [one.spearman.sd**2 for one in found]
    mean = float(np.mean(means))
    row: dict[str, Any] = {
        "space": space,
        "method": method,
        "measurements": found[0].measurements,
        "trainings": means,
        "mean": mean,
        "sd": float(np.sqrt(np.var(means) + np.mean(within))),
        "per_target": {
            target: float(np.mean([one.spearman.per_target[target] for one in found]))
            for target in found[0].spearman.per_target
        },
        "training_seconds": [one.seconds.meta for one in found],
        "adaptation_seconds": float(np.mean([one.seconds.adapt for one in found])),
    }
    if method == "help":
        slowest = max(row["training_seconds"])
        row |= {
            "published": found[0].published,
            "wanted": WANTED.get(space),
            "reached": mean >= WANTED.get(space, -1.0),
            "in_time": slowest <= MOST_SECONDS,
        }
    return row


if __name__ == "__main__":
    main()
