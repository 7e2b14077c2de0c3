"""CPU time of `hwbench --help`, modules that `import hwbench` loads, seconds to write all model files of the space."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import cpu_seconds, parser, quantiles, report, timed
from hwbench import spaces
from hwbench.workflows.model_rows import anchor_models, block_models, write_rows
from hwbench.workflows.settings import MeasureOptions

REPEATS = 10


def main() -> None:
    options = parser(__doc__).parse_args()
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import hwbench"], capture_output=True, text=True, check=True
    ).stderr
    heavy = [
        name for name in ("torch", "scipy", "numpy", "ai_edge_litert") if f"| {name}\n" in loaded.replace("|  ", "| ")
    ]
    space = spaces.get(spaces.DEFAULT)
    writing: dict[str, list[float]] = {"fp32": [], "int8": []}
    for precision, seconds in writing.items():
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "models").mkdir()

                def write(folder: str = folder, precision: str = precision) -> None:
                    chosen = "int8" if precision == "int8" else "fp32"
                    models = anchor_models() + block_models(space)
                    write_rows(models, MeasureOptions(precision=chosen), Path(folder))

                seconds.append(timed(write))
    result = {
        "help_cpu_seconds": quantiles(cpu_seconds([sys.executable, "-m", "hwbench", "--help"], REPEATS)),
        "heavy_modules_loaded_by_import": heavy,
        "write_all_models_seconds": {precision: quantiles(seconds) for precision, seconds in writing.items()},
        "models": len(space.distinct_blocks),
    }
    report("startup", result, options.keep)


if __name__ == "__main__":
    main()
