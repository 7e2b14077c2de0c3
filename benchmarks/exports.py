"""Seconds to export all models of the space for ExecuTorch, the first time and the second, and what is delegated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import parser, report

LIMITS_S = {"first": 120.0, "second": 2.0}

# A fresh interpreter each time: the second run is to show that nothing heavy is loaded.
PROGRAM = """
import json, sys, time
from pathlib import Path

begin = time.perf_counter()
from hwbench import spaces
from hwbench.workflows.model_rows import anchor_models, block_models, write_rows
from hwbench.workflows.settings import MeasureOptions

precision, delegate, folder = sys.argv[1:]
options = MeasureOptions(precision=precision, delegate=delegate, engine="executorch")
rows = write_rows(anchor_models() + block_models(spaces.get(spaces.DEFAULT)), options, Path(folder))
shares = [row.delegated_share for row in rows]
print(json.dumps({
    "seconds": time.perf_counter() - begin,
    "models": len(rows),
    "whole_delegated": sum(share == 1 for share in shares),
    "bytes": sum((Path(folder) / row.model).stat().st_size for row in rows),
    "torch_loaded": "torch" in sys.modules,
}))
"""


def main() -> None:
    options = parser(__doc__).parse_args()
    result = {}
    for precision, delegate in (("fp32", "xnnpack"), ("int8", "xnnpack"), ("fp32", "portable")):
        with tempfile.TemporaryDirectory() as folder:
            result[f"{delegate}-{precision}"] = {
                "first": run(precision, delegate, Path(folder)),
                "second": run(precision, delegate, Path(folder)),
            }
    report("exports", {"limits_seconds": LIMITS_S, **result}, options.keep)


def run(precision: str, delegate: str, folder: Path) -> dict[str, object]:
    (folder / "models").mkdir(exist_ok=True)
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-c", PROGRAM, precision, delegate, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, object] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
