"""`table diff` on separate runs of the same code: how often it finds a difference, and one that was put in.

    python -m benchmarks.table_diff --runs 12 --preset publish [--folder DIR] [--earlier DIR ...]

Tables that already lie in the folder count as runs, whatever their names. Runs of --earlier are compared among
themselves, folder by folder, and added to the total.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tests.simulated import slowed

from benchmarks.common import load_table, parser, quantiles, report, run_hwbench, summary
from hwbench import files
from hwbench.tables import lookup
from hwbench.tables.diff import difference
from hwbench.tables.lookup import LookupTable

# Blocks as large as those of ImageNet models, of two stages.
SPACE = "proxylessnas-v32.16.40.80.1280-r160-c1000-d2.2-s2.2"
FACTOR = 1.03
ROWS = 5


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=12)
    arguments.add_argument("--space", default=SPACE)
    arguments.add_argument("--preset", default="publish")
    arguments.add_argument("--cache", default="warm", choices=("warm", "cold"))
    arguments.add_argument("--name", default="table_diff", help="name of the result")
    arguments.add_argument("--pause", type=float, default=30.0, help="seconds between runs")
    arguments.add_argument("--folder", type=Path, help="where tables are kept; existing ones count as runs")
    arguments.add_argument("--earlier", type=Path, nargs="+", default=[], help="folders of runs of other times")
    arguments.add_argument("--trials", type=int, default=200, help="runs with slower rows put in")
    options = arguments.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    tables = recorded(folder)
    while len(tables) < options.runs:
        path = folder / f"run-{len(tables)}.json"
        seed = len(tables)
        run_hwbench("profile", "--space", options.space, "--preset", options.preset, "--cache", options.cache,
                    "--output", path, "--seed", seed)  # fmt: skip
        tables.append(load_table(path))
        if len(tables) < options.runs:
            time.sleep(options.pause)
    sets = [_set(one, options.trials) for one in (tables, *map(recorded, options.earlier))]
    result = {
        "space": tables[0].space,
        "preset": tables[0].preset,
        "cache": tables[0].target.cache,
        "sets": sets,
        "total": {
            "runs": sum(len(one["runs"]) for one in sets),
            "pairs": sum(one["same_code"]["pairs"] for one in sets),
            "differs": sum(one["same_code"]["differs"] for one in sets),
            "four_or_more_named": float(np.mean([one["slower_rows"]["four_or_more_named"] for one in sets])),
            "false_rows": float(np.mean([one["slower_rows"]["false_rows"] for one in sets])),
        },
    }
    report(options.name, result, options.keep)


def recorded(folder: Path) -> list[LookupTable]:
    """The measured tables of a folder, oldest first."""
    paths = [path for path in sorted(folder.glob("*.json")) if files.kind_of(path) == lookup.KIND]
    return sorted((load_table(path) for path in paths), key=lambda table: table.created_at)


def _set(tables: list[LookupTable], trials: int) -> dict[str, Any]:
    return {
        "runs": [summary(table) for table in tables],
        "same_code": same_code(tables),
        "slower_rows": slower_rows(tables, trials),
    }


def same_code(tables: list[LookupTable]) -> dict[str, Any]:
    found = [difference(a, b) for a, b in itertools.combinations(tables, 2)]
    return {
        "pairs": len(found),
        "answers": dict(Counter(one.answer for one in found)),
        "differs": sum(one.answer == "differs" for one in found),
        "shifted": sum(one.shifted for one in found),
        "rows_named": sum(len(one.named) for one in found),
        "shift": quantiles([abs(one.shift) for one in found]),
        "swing": quantiles([abs(one.swing) for one in found]),
        "resolution": quantiles([one.resolution for one in found]),
        "inflation": quantiles([one.inflation for one in found]),
    }


def slower_rows(tables: list[LookupTable], trials: int) -> dict[str, Any]:
    """Random rows of one of two separate runs made slower; `resolvable` are those whose resolution says they show."""
    rng = np.random.default_rng(0)
    keys = sorted(tables[0].measurements())
    hits, wrong, seen, resolvable = [], [], 0, 0
    for _ in range(trials):
        a, b = (tables[n] for n in rng.choice(len(tables), 2, replace=False))
        chosen = set(rng.choice(keys, ROWS, replace=False))
        found = difference(a, slowed(b, chosen, FACTOR))
        named = {row.key for row in found.named}
        hits.append(len(named & chosen))
        wrong.append(len(named - chosen))
        able = {row.key for row in found.rows if row.key in chosen and row.resolution <= FACTOR - 1}
        resolvable += len(able)
        seen += len(able & named)
    return {
        "trials": trials,
        "factor": FACTOR,
        "rows": ROWS,
        "four_or_more_named": float(np.mean(np.array(hits) >= 4)),
        "named": float(np.mean(hits)) / ROWS,
        "false_rows": float(np.mean(wrong)) / (len(keys) - ROWS),
        "resolvable": resolvable / (trials * ROWS),
        "named_of_resolvable": seen / resolvable if resolvable else None,
    }


if __name__ == "__main__":
    main()
