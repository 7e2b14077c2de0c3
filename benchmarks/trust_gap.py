"""One number for one model file: hwbench beside the engine's own tool and a naive loop, idle and with a burner.

Five processes of each, interleaved, for one block and one 10-block network. Spread is (max - min) / median of the
five headlines; a round is five processes, and several rounds are made.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Burner, parser, report, run_hwbench
from hwbench.models.litert import write_model
from hwbench.models.weights import random_weights
from hwbench.spaces import MBConv, NamedBlock

PROCESSES = 5
NAIVE = """
import sys, time
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(sys.argv[1], num_threads=1)
model.allocate_tensors()
times = []
for _ in range(50):
    begin = time.perf_counter()
    model.invoke()
    times.append(time.perf_counter() - begin)
print(sum(times) / len(times) * 1e6)
"""
# Input size, input channels, output channels, expansion, kernel, stride.
BLOCK = [(14, 80, 80, 6, 3, 1)]
NETWORK = [
    (56, 16, 16, 1, 3, 1), (56, 16, 24, 3, 3, 2), (28, 24, 24, 6, 3, 1), (28, 24, 40, 6, 5, 2), (14, 40, 40, 3, 5, 1),
    (14, 40, 80, 6, 3, 1), (14, 80, 80, 6, 3, 1), (14, 80, 96, 6, 5, 1), (14, 96, 192, 6, 5, 2), (7, 192, 192, 6, 3, 1),
]  # fmt: skip


def model(specs: list[tuple[int, int, int, int, int, int]]) -> bytes:
    network = [
        NamedBlock(
            f"n{i}", MBConv((size, size, c_in), c_out, c_in * expand, kernel, stride, stride == 1 and c_in == c_out)
        )
        for i, (size, c_in, c_out, expand, kernel, stride) in enumerate(specs)
    ]
    return write_model(network, random_weights(network, 0)).data


def ask_hwbench(path: Path) -> tuple[float, bool, float]:
    """Headline in microseconds, whether it is flagged, seconds spent measuring."""
    document = run_hwbench("profile", path)
    found = document["models"][0]
    return found["latency"]["value_us"], bool(found["latency"]["flags"]), document["seconds"]


def ask_engine_tool(path: Path) -> tuple[float, bool, float]:
    with tempfile.NamedTemporaryFile(suffix=".json") as output:
        command = [
            str(Path(sys.executable).parent / "litert-benchmark"),
            "--model",
            str(path),
            "--result_json",
            output.name,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        return 1e3 * find_average(json.loads(Path(output.name).read_text())), False, 0.0


def find_average(document: Any) -> float:
    """The average latency in milliseconds, wherever this version of the tool puts it."""
    if isinstance(document, dict):
        for key, value in document.items():
            if "avg" in key.lower() and "warm" not in key.lower() and isinstance(value, int | float):
                return float(value)
        for value in document.values():
            if isinstance(value, dict | list):
                try:
                    return find_average(value)
                except LookupError:
                    continue
    raise LookupError("no average in the tool's result")


def ask_naive(path: Path) -> tuple[float, bool, float]:
    done = subprocess.run([sys.executable, "-c", NAIVE, str(path)], capture_output=True, text=True, check=True)
    return float(done.stdout), False, 0.0


TOOLS = {"hwbench": ask_hwbench, "litert-benchmark": ask_engine_tool, "naive loop": ask_naive}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = {"block": Path(folder) / "block.tflite", "network": Path(folder) / "network.tflite"}
        models["block"].write_bytes(model(BLOCK))
        models["network"].write_bytes(model(NETWORK))
        for _, state in itertools.product(range(options.rounds), ("idle", "burner")):
            found: dict[tuple[str, str], list[tuple[float, bool, float]]] = {}
            with Burner(1) if state == "burner" else nullcontext():
                for _, tool, name in itertools.product(range(PROCESSES), TOOLS, models):
                    found.setdefault((tool, name), []).append(TOOLS[tool](models[name]))
            for (tool, name), values in found.items():
                microseconds = np.array([value for value, _, _ in values])
                unflagged = [value for value, flag, _ in values if not flag]
                results.setdefault(f"{tool}, {name}, {state}", []).append(
                    {
                        "microseconds": microseconds.round(2).tolist(),
                        "spread": float(np.ptp(microseconds) / np.median(microseconds)),
                        "flagged": sum(flag for _, flag, _ in values),
                        "spread_of_unflagged": float(np.ptp(unflagged) / np.median(unflagged)) if unflagged else None,
                        "seconds_median": float(np.median([seconds for _, _, seconds in values])),
                    }
                )
    summary = {
        name: {
            "spread_median": float(np.median([r["spread"] for r in rounds])),
            "spread_worst": max(r["spread"] for r in rounds),
            "spread_of_unflagged_worst": max((r["spread_of_unflagged"] or 0.0) for r in rounds),
            "flagged": sum(r["flagged"] for r in rounds),
            "of": PROCESSES * len(rounds),
            "seconds_median": float(np.median([r["seconds_median"] for r in rounds])),
        }
        for name, rounds in results.items()
    }
    report("trust_gap", {"summary": summary, "rounds": results}, options.keep)


if __name__ == "__main__":
    main()
