"""Do the targets of the pool put architectures in the same order? Agreement, clusters, ceilings, breaking operators.

    python -m benchmarks.own_targets [--folder lookup_tables] [--networks 1000] [--keep]

For each space of the pool the matrix with intervals and regret in MACs; across spaces of the same choices each target
with itself in the other space. A second folder of tables of the same targets (`--second`) measures the noise ceilings.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

from benchmarks.common import parser, report
from hwbench import spaces
from hwbench.tables import pool
from hwbench.tables.pool import PoolTable
from hwbench.workflows.comparing.compare import compare
from hwbench.workflows.comparing.comparison import Comparison, Pair

SCORE = "macs"


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--folder", type=Path, help="the pool; by default that of this checkout")
    arguments.add_argument("--second", type=Path, help="second runs of the same targets, laid out in the same way")
    arguments.add_argument("--networks", type=int, default=1000)
    options = arguments.parse_args()
    tables = [*pool.tables(where=options.folder), *(pool.tables(where=options.second) if options.second else ())]
    names = list(dict.fromkeys(one.space for one in tables))
    result: dict[str, Any] = {"networks": options.networks, "score": SCORE, "spaces": {}}
    for name in names:
        began = time.perf_counter()
        found = compare([one.path for one in tables if one.space == name], networks=options.networks, score=SCORE)
        result["spaces"][name] = {
            "seconds": time.perf_counter() - began, **summary(found), "questions": questions(tables, found),
        }  # fmt: skip
    result["across_spaces"] = [
        across([one for one in tables if one.space == a], [one for one in tables if one.space == b], options.networks)
        for a, b in itertools.combinations(names, 2)
        if spaces.get(a).same_choices(spaces.get(b))
    ]
    report("own_targets", result, options.keep)


def summary(found: Comparison) -> dict[str, Any]:
    return {
        "targets": found.targets,
        "clusters": found.clusters,
        "ceilings": found.ceilings,
        "measured_twice": sorted(found.measured_twice),
        "pairs": [described(pair) for pair in found.pairs],
        "notes": found.notes,
    }


def described(pair: Pair) -> dict[str, Any]:
    one = pair.agreement
    return {
        "a": one.a,
        "b": one.b,
        "spearman": one.spearman,
        "interval": [one.lower, one.upper],
        "monotone": pair.verdict.answer,
        "regret": [[lost.mean, lost.worst, lost.unmet] for lost in pair.regrets],
        "operators": [[group.text, group.a_share, group.b_share, group.share] for group in pair.operators],
        "blocks": [[block.block.text, block.places, block.a_us, block.b_us, block.factor] for block in pair.breakers],
    }


def questions(tables: list[PoolTable], found: Comparison) -> dict[str, Any]:
    """Is XNNPACK one cluster whatever the engine, and do 7x7 kernels part it from the engines' own kernels?"""
    kernels: dict[str, bool] = {}
    clusters: dict[str, bool] = {}
    for pair in found.pairs:
        a, b = (name.split() for name in (pair.agreement.a, pair.agreement.b))
        same = a[1:] == b[1:]
        if same and {a[0], b[0]} == {"litert", "executorch"} and a[1] == "xnnpack":
            clusters[" ".join(a[1:])] = any({pair.agreement.a, pair.agreement.b} <= set(own) for own in found.clusters)
        if {a[1], b[1]} == {"xnnpack", "builtin"} and a[0] == b[0] and a[2:] == b[2:]:
            kernels[" ".join([a[0], *a[2:]])] = bool(pair.operators) and pair.operators[0].kernel == 7
    return {"engines_of_xnnpack_in_one_cluster": clusters, "kernel_7_breaks_xnnpack_and_builtin_most": kernels}


def across(first: list[PoolTable], second: list[PoolTable], networks: int) -> dict[str, Any]:
    """Each target with itself in the other space."""
    pairs = []
    for a, b in itertools.product(first, second):
        if a.target == b.target:
            (pair,) = compare([a.path, b.path], networks=networks, score=SCORE).pairs
            pairs.append(described(pair))
    return {"spaces": [first[0].space, second[0].space], "pairs": pairs}


if __name__ == "__main__":
    main()
