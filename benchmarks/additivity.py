"""Sums of blocks against random whole networks that chose nothing, for each target of this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import load_table, parser, report, run_hwbench, summary

TARGETS: dict[str, list[str]] = {
    "xnnpack fp32 1 thread": [],
    "xnnpack int8 1 thread": ["--precision", "int8"],
    "xnnpack fp32 2 threads": ["--threads", "2"],
    "builtin fp32 1 thread": ["--delegate", "builtin"],
    "xnnpack fp32 1 thread, warm weights": ["--cache", "warm"],
}
SEED = 77


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--networks", type=int, default=20)
    arguments.add_argument(
        "--first-preset", default="standard", help="preset of the first target; the others are quick"
    )
    arguments.add_argument("--targets", default=",".join(map(str, range(len(TARGETS)))), help="numbers of targets")
    arguments.add_argument("--name", default="additivity", help="name of the result")
    options = arguments.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in map(int, options.targets.split(",")):
            name, words = list(TARGETS.items())[number]
            preset = options.first_preset if number == 0 else "quick"
            path = Path(folder) / f"{number}.json"
            run_hwbench("profile", "--preset", preset, "--output", path, *words)
            verified = run_hwbench("table", "verify", path, "--networks", options.networks, "--seed", SEED)
            found = {key: verified[key] for key in ("networks", "bias", "mape", "spearman", "spearman_ci", "seconds")}
            flagged = sum(bool(network["flags"]) for network in verified["measured"])
            measured = [
                {
                    "predicted_us": network["predicted_us"],
                    "measured_us": network["measured_us"],
                    "flags": network["flags"],
                }
                for network in verified["measured"]
            ]
            results[name] = {
                **found,
                "networks_flagged": flagged,
                "preset": preset,
                "seed": SEED,
                "table": summary(load_table(path)),
                "measured": measured,
            }
            print(name, found, "flagged", flagged, flush=True)
    report(options.name, results, options.keep)


if __name__ == "__main__":
    main()
