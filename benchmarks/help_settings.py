"""Chooses what HELP is trained with: Spearman on HELP's meta-valid targets, whose latencies training never sees.

Each variant changes one setting of hwbench's choice; `paper` is the published code's settings. No target of HELP's
test takes part.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import msgspec
import numpy as np

from benchmarks.common import parser, report
from hwbench.transfer.help.settings import HELP, PAPER
from hwbench.transfer.help.training import meta_train
from hwbench.workflows.help_learned import pool_of
from hwbench.workflows.help_methods import Stage
from hwbench.workflows.help_study import SPLITS, open_study

VARIANTS: dict[str, dict[str, Any]] = {
    "hwbench": {},
    "no modulator": {"modulator": False},
    "modulator, the paper's divergence weight": {"divergence_weight": PAPER.divergence_weight},
    "references not fine-tuned on": {"references_fine_tune": False},
    "Huber loss, clipped": {"loss": "huber", "most_standard": 4.0},
    "four inner steps": {"inner_steps": 4, "adaptation_steps": 4},
    "outer rate doubled": {"outer_rate": 2 * HELP.outer_rate},
    "outer rate halved": {"outer_rate": HELP.outer_rate / 2},
    "no totals": {"totals": False},
    "twice the episodes": {"episodes": 2 * HELP.episodes},
    "the paper's width": {"width": PAPER.width},
    "the paper's query": {"query": PAPER.query},
}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--spaces", default="nasbench201,fbnet", help="with commas")
    arguments.add_argument("--only", default="", help="names of variants, with semicolons")
    arguments.add_argument("--seeds", type=int, default=1)
    options = arguments.parse_args()
    settings = {name: msgspec.structs.replace(HELP, **changes) for name, changes in VARIANTS.items()} | {"paper": PAPER}
    chosen = [name.strip() for name in options.only.split(";") if name.strip()] or list(settings)
    rows = []
    for space in options.spaces.split(","):
        study, split = open_study(space), SPLITS[space]
        references = np.array(study.references, np.int64)
        pool = pool_of(Stage(study.matrix, split.sources, split.validation, references, study.first))
        for name in chosen:
            begin, best = time.process_time(), []
            for seed in range(options.seeds):
                _, outcome = meta_train(pool, settings[name], seed)
                best.append(max(outcome.validation))
            seconds = (time.process_time() - begin) / options.seeds
            rows.append({"space": space, "variant": name, "validation": best, "cpu_seconds": seconds})
            print(f"{space} {name}: {np.mean(best):.4f}, {seconds:.0f} s", file=sys.stderr)
    report("help_settings", {"rows": rows}, options.keep)


if __name__ == "__main__":
    main()
