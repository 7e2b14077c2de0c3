"""Chooses what HELP is trained with: Spearman on targets whose latencies training never sees.

These are HELP's meta-valid ones, which are much like its sources, and families of the known targets that are left out.
Each variant changes one setting of hwbench's choice; `paper` is the published code's settings. No target of HELP's
test takes part.
"""

from __future__ import annotations

import itertools
import sys
import time
from typing import Any

import msgspec
import numpy as np

from benchmarks.common import parser, report
from hwbench.transfer.help.settings import HELP, PAPER
from hwbench.transfer.help.training import meta_train
from hwbench.workflows.adapting.few_shot import Stage
from hwbench.workflows.adapting.trained import pool_of
from hwbench.workflows.reproducing.help_study import SPLITS, Split, open_study

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
LEFT_OUT = {
    "phones": ("pixel3", "samsung_a50", "essential_ph_1"),
    "processors": ("silver_4114", "silver_4210r", "gold_6240"),
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
        for (judge, judges), name in itertools.product(_judges(split).items(), chosen):
            known = tuple(one for one in (*split.sources, *split.validation) if one not in judges)
            pool = pool_of(Stage(study.matrix, known, judges, references, study.first))
            begin, last = time.process_time(), []
            # Without early stopping: the last state is looked at, not the one that the judges would choose.
            asked = msgspec.structs.replace(settings[name], patience=0)
            for seed in range(options.seeds):
                _, outcome = meta_train(pool, asked, seed)
                last.append(outcome.validation[-1])
            seconds = (time.process_time() - begin) / options.seeds
            row = {"space": space, "judges": judge, "variant": name, "spearman": last, "cpu_seconds": seconds}
            rows.append(row)
            print(f"{space} {judge} {name}: {np.mean(last):.4f}, {seconds:.0f} s", file=sys.stderr)
    report("help_settings", {"rows": rows}, options.keep)


def _judges(split: Split) -> dict[str, tuple[str, ...]]:
    return {"meta-valid": split.validation, **LEFT_OUT}


if __name__ == "__main__":
    main()
