"""Runs of one preset at different times: all pairs, and whether the intervals cover a new run."""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path

from benchmarks.common import compare, load_table, parser, quantiles, report, run_hwbench, summary


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--preset", default="standard")
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--pause", type=float, default=60.0, help="seconds between runs")
    arguments.add_argument("--folder", type=Path, help="where tables are kept; existing ones count as runs")
    options = arguments.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    for number in range(options.runs):
        path = folder / f"{options.preset}-{number}.json"
        if not path.exists():
            run_hwbench("profile", "--preset", options.preset, "--output", path, "--seed", number)
            if number + 1 < options.runs:
                time.sleep(options.pause)
    tables = [load_table(folder / f"{options.preset}-{number}.json") for number in range(options.runs)]
    pairs = [
        {"pair": [i, j], **compare(tables[i], tables[j])} for i, j in itertools.combinations(range(len(tables)), 2)
    ]
    kept = [i for i, table in enumerate(tables) if not any("gate_timeout" in row.flags for row in table.rows)]
    clean = [pair for pair in pairs if set(pair["pair"]) <= set(kept)]
    figures = (
        "spearman",
        "difference_median",
        "difference_p90",
        "drift_corrected_difference_median",
        "drift_corrected_difference_p90",
        "difference_interval_holds_0",
        "interval_covers_other_run",
    )
    result = {
        "preset": options.preset,
        "runs": [summary(table) for table in tables],
        "pairs": pairs,
        "over_pairs": {name: quantiles([pair[name] for pair in pairs]) for name in figures} if pairs else None,
        "runs_without_gate_timeout": kept,
        "over_pairs_without_gate_timeout": (
            {name: quantiles([pair[name] for pair in clean]) for name in figures} if clean else None
        ),
    }
    report("repeatability" if options.preset == "standard" else f"repeatability_{options.preset}", result, options.keep)


if __name__ == "__main__":
    main()
