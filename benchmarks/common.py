"""What the benchmarks share: the machine's record, results files, and running the command line."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

import hwbench
from hwbench.devices.linux import LinuxMachine
from hwbench.tables import lookup
from hwbench.tables.lookup import LookupTable

RESULTS = Path(__file__).parent / "results"


def parser(description: str | None) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--keep", action="store_true", help="write the result to benchmarks/results/")
    return made


def report(name: str, result: dict[str, Any], keep: bool) -> None:
    """Prints the result as JSON, and keeps it with the machine's record."""
    document = {
        "benchmark": name,
        "command": " ".join([f"python -m benchmarks.{Path(sys.argv[0]).stem}", *map(_without_folders, sys.argv[1:])]),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "hwbench": hwbench.__version__,
        "result": result,
        "machine": msgspec.to_builtins(LinuxMachine().record("local")),
    }
    text = json.dumps(document, indent=1)
    print(text)
    if keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(text + "\n")


def _without_folders(argument: str) -> str:
    """A path's last part: where things lie on this machine is nobody's business."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def run_hwbench(*arguments: object) -> dict[str, Any]:
    """The JSON document of a command; fails with its stderr."""
    command = [sys.executable, "-m", "hwbench", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def summary(table: LookupTable) -> dict[str, Any]:
    """How a run went."""
    widths = [found.half_width for found in table.measurements().values()]
    return {
        "created_at": table.created_at,
        "seconds": table.seconds,
        "inference_share": table.inference_share,
        "launches": len(table.launches),
        "slowdown": table.slowdown,
        "launch_slowdowns": [round(launch.slowdown, 4) for launch in table.launches],
        "half_width_median": float(np.median(widths)),
        "half_width_p90": float(np.quantile(widths, 0.9)),
        "flagged": sum(bool(row.flags) for row in table.rows),
        "rows": len(table.rows),
    }


def compare(a: LookupTable, b: LookupTable) -> dict[str, float]:
    """Two tables of one target: rank correlation, relative differences, and what their intervals cover."""
    from hwbench.measure.statistics import spearman

    left, right = a.measurements(), b.measurements()
    keys = [key for key in left if key in right]
    values = np.array([[left[key].value_us, right[key].value_us] for key in keys])
    difference = np.abs(np.log(values[:, 0] / values[:, 1]))
    corrected = np.abs([np.log(left[key].drift_corrected_us / right[key].drift_corrected_us) for key in keys])
    width = np.array([np.hypot(left[key].half_width, right[key].half_width) for key in keys])
    covered = [left[key].lower_us <= right[key].value_us <= left[key].upper_us for key in keys]
    return {
        "spearman": spearman(values[:, 0], values[:, 1]),
        "difference_median": float(np.median(difference)),
        "difference_p90": float(np.quantile(difference, 0.9)),
        "drift_corrected_difference_median": float(np.median(corrected)),
        "drift_corrected_difference_p90": float(np.quantile(corrected, 0.9)),
        "difference_interval_holds_0": float(np.mean(difference <= width)),
        "interval_covers_other_run": float(np.mean(covered)),
    }


def load_table(path: Path) -> LookupTable:
    return lookup.load(path)


def cpu_seconds(command: list[str], repeats: int) -> list[float]:
    """User plus system CPU time of a command, per repeat."""
    import resource

    times = []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return times


def timed(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


class Burner:
    """A process that burns one core: `while True: pass`, pinned."""

    def __init__(self, core: int) -> None:
        self._core = core

    def __enter__(self) -> Burner:
        program = f"import os; os.sched_setaffinity(0, {{{self._core}}})\nwhile True: pass"
        self._process = subprocess.Popen([sys.executable, "-c", program])
        time.sleep(0.3)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def quantiles(values: NDArray[np.float64] | list[float]) -> dict[str, float]:
    low, median, p90, high = np.quantile(values, [0.0, 0.5, 0.9, 1.0])
    return {"min": float(low), "median": float(median), "p90": float(p90), "max": float(high)}
