"""A table measured while another process burns a core, against quiet ones before and after."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Burner, load_table, parser, quantiles, report, run_hwbench, summary


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--preset", default="standard")
    options = arguments.parse_args()
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, disturbed in (("quiet", False), ("burner", True), ("quiet again", False)):
            path = Path(folder) / f"{name.replace(' ', '-')}.json"
            with Burner(1) if disturbed else nullcontext():
                run_hwbench("profile", "--preset", options.preset, "--output", path)
            tables[name] = load_table(path)
    quiet = tables["quiet"].measurements()
    result: dict[str, Any] = {
        "preset": options.preset,
        "runs": {name: summary(table) for name, table in tables.items()},
    }
    for name in ("burner", "quiet again"):
        moved = {
            row.key: abs(np.log(row.measurement.value_us / quiet[row.key].value_us))
            for row in tables[name].rows
            if row.measurement is not None and row.key in quiet
        }
        unflagged = [moved[row.key] for row in tables[name].rows if not row.flags and row.key in moved]
        result[f"{name} against quiet"] = {
            "rows_flagged_share": float(np.mean([bool(row.flags) for row in tables[name].rows])),
            "moved_unflagged": quantiles(unflagged) if unflagged else None,
            "moved_all": quantiles(list(moved.values())),
        }
    report("burner", result, options.keep)


if __name__ == "__main__":
    main()
