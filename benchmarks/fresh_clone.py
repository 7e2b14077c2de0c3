"""`make run` and `make test` in a clean clone with a new virtual environment."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import load_table, parser, report, summary, timed


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--skip-test", action="store_true")
    options = arguments.parse_args()
    root = Path(__file__).parent.parent
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "hwbench"
        subprocess.run(["git", "clone", "--quiet", str(root), str(clone)], check=True)
        # Nothing that earlier runs left on this machine, neither caches of packages nor of anchors.
        environment = os.environ | {"XDG_CACHE_HOME": str(Path(folder) / "cache"), "PIP_NO_CACHE_DIR": "1"}
        environment.pop("VIRTUAL_ENV", None)

        def make(target: str) -> None:
            subprocess.run(["make", "-C", str(clone), target], check=True, env=environment)

        result["make_run_seconds"] = timed(lambda: make("run"))
        table = load_table(clone / "hwbench-results" / "this-computer.json")
        result["table"] = summary(table)
        result["rows_measured"] = len(table.measurements())
        result["additivity"] = (
            {"bias": table.additivity.bias, "mape": table.additivity.mape} if table.additivity else None
        )
        result["report_bytes"] = (clone / "hwbench-results" / "report.html").stat().st_size
        if not options.skip_test:
            result["make_test_seconds"] = timed(lambda: make("test"))
    report("fresh_clone", result, options.keep)


if __name__ == "__main__":
    main()
