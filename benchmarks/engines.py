"""LiteRT and ExecuTorch tables of one space with the native runner: the same order? do sums equal networks?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import compare, load_table, parser, report, run_hwbench, summary

ENGINES = ("litert", "executorch")
SEED = 78


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--networks", type=int, default=20)
    arguments.add_argument("--preset", default="standard")
    arguments.add_argument("--precision", default="fp32")
    arguments.add_argument("--name", default="engines", help="name of the result")
    options = arguments.parse_args()
    result: dict[str, Any] = {"preset": options.preset, "precision": options.precision, "seed": SEED}
    with tempfile.TemporaryDirectory() as folder:
        paths = {engine: Path(folder) / f"{engine}.json" for engine in ENGINES}
        for engine, path in paths.items():
            run_hwbench("profile", "--engine", engine, "--preset", options.preset, "--precision", options.precision,
                        "--output", path)  # fmt: skip
            print(engine, "profiled", flush=True)
        for engine, path in paths.items():
            verified = run_hwbench("table", "verify", path, "--networks", options.networks, "--seed", SEED)
            table = load_table(path)
            found = {key: verified[key] for key in ("networks", "bias", "mape", "spearman", "spearman_ci", "seconds")}
            partial = sum("partial_delegation" in row.flags for row in table.rows)
            result[engine] = {
                "runner": table.target.runner,
                "engine": f"{table.target.engine.package} {table.target.engine.version}",
                "additivity": found,
                "networks_flagged": sum(bool(network["flags"]) for network in verified["measured"]),
                "partial_delegation": partial,
                "table": summary(table),
            }
            print(engine, found, flush=True)
        tables = {engine: load_table(path) for engine, path in paths.items()}
        result["litert_against_executorch"] = compare(tables["litert"], tables["executorch"])
    report(options.name, result, options.keep)


if __name__ == "__main__":
    main()
