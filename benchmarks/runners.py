"""The native runner beside the Python one: ten networks in alternating launches, and what a call costs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.common import parser, quantiles, report
from hwbench import files, spaces
from hwbench.devices import LaunchRequest, LocalDevice
from hwbench.devices.bundle_store import require
from hwbench.devices.local_runner import local_target, of_bundle, of_python
from hwbench.measure.campaign import ModelRow
from hwbench.measure.plan import Burst, Job, Plan
from hwbench.measure.results import LaunchResult, read_results
from hwbench.measure.samples import collect
from hwbench.models.formats import Engine
from hwbench.records import Estimator
from hwbench.workflows.model_rows import anchor_models, network_models, write_rows
from hwbench.workflows.settings import MeasureOptions

NETWORKS, SEED, DEADLINE_S = 10, 41, 600.0
ENGINES: tuple[Engine, ...] = ("litert", "executorch")
ESTIMATOR = Estimator()


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--launches", type=int, default=5, help="launches of each runner")
    arguments.add_argument("--rounds", type=int, default=8, help="rounds of a launch")
    options = arguments.parse_args()
    target = local_target()
    assert target is not None
    devices = {
        "native": LocalDevice(of_bundle(require(target))),
        "python": LocalDevice(of_python(Path(sys.executable))),
    }
    result: dict[str, Any] = {}
    for engine in ENGINES:
        result[engine] = {
            "networks": networks(devices, engine, options.launches, options.rounds),
            "call": calls(devices, engine),
        }
    report("runners", result, options.keep)


def networks(devices: dict[str, LocalDevice], engine: Engine, launches: int, rounds: int) -> dict[str, Any]:
    """Per network the ratio of the two runners' latencies, and the same of each runner with itself."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "models").mkdir()
        space = spaces.get(spaces.DEFAULT)
        models = [*anchor_models(), *network_models(space, space.sample(NETWORKS, SEED))]
        rows = write_rows(models, MeasureOptions(engine=engine), folder)
        found: dict[str, list[LaunchResult]] = {name: [] for name in devices}
        for number in range(launches):
            # Each goes first as often as the other.
            for name in sorted(devices, reverse=number % 2 == 1):
                plan = _plan(rows, engine, rounds, number, devices[name])
                found[name].append(_launch(devices[name], plan, folder))
    levels = {name: _levels(results, rows) for name, results in found.items()}
    halves = {name: [_levels(results[start::2], rows) for start in (0, 1)] for name, results in found.items()}
    return {
        "launches": launches,
        "rounds": rounds,
        "native_us": levels["native"],
        "python_us": levels["python"],
        "native_over_python": quantiles([levels["native"][row] / levels["python"][row] for row in levels["native"]]),
        "own_halves": {
            name: quantiles([first[row] / second[row] for row in first]) for name, (first, second) in halves.items()
        },
    }


def calls(devices: dict[str, LocalDevice], engine: Engine) -> dict[str, Any]:
    """Microseconds of a call of a model that adds one number to another, 10 % quantile of each launch."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "models").mkdir()
        written = _trivial(engine, folder / "models")
        found: dict[str, Any] = {}
        for delegate, path in written.items():
            row = ModelRow("add", f"models/{path.name}", files.sha256(path.read_bytes()), 0, anchor=True)
            times: dict[str, list[float]] = {name: [] for name in devices}
            for number in range(5):
                for name, device in devices.items():
                    plan = _plan([row], engine, 10, number, device)
                    burst = Burst(warmup_invokes=100, invokes=2000, duration_us=1000, max_invokes=5000)
                    plan = msgspec.structs.replace(plan, delegate=delegate, burst=burst, rewarm_us=0)
                    visits = _launch(device, plan, folder).visits
                    wall = np.concatenate([np.asarray(visit.wall_ns, float) for visit in visits])
                    times[name].append(float(np.quantile(wall, 0.1)) / 1e3)
            found[delegate] = {name: quantiles(values) for name, values in times.items()}
    return found


def _trivial(engine: Engine, folder: Path) -> dict[str, Path]:
    """The model for each delegate."""
    if engine == "litert":
        path = folder / "add.tflite"
        path.write_bytes(_tflite())
        return {"xnnpack": path, "builtin": path}
    program = Path(__file__).with_name("trivial_pte.py")
    subprocess.run([sys.executable, "-W", "ignore", str(program), str(folder)], check=True, capture_output=True)
    return {delegate: folder / f"{delegate}.pte" for delegate in ("xnnpack", "portable")}


def _tflite() -> bytes:
    from ai_edge_litert import schema_py_generated as schema

    from hwbench.models.tflite_writer import TfliteWriter

    writer = TfliteWriter("add one")
    source, output = writer.tensor("input", (1,), np.float32), writer.tensor("output", (1,), np.float32)
    one = writer.tensor("one", (1,), np.float32, data=np.ones(1, np.float32))
    options = (schema.BuiltinOptions.AddOptions, schema.AddOptionsT())
    writer.operator(schema.BuiltinOperator.ADD, 1, [source, one], output, options)
    return writer.finish([source], [output])


def _plan(rows: list[ModelRow], engine: Engine, rounds: int, launch: int, device: LocalDevice) -> Plan:
    return Plan(
        launch=launch, run_pass="time", engine=engine, delegate="xnnpack", threads=1,
        cores=device.choose_cores(1, ()), seed=launch,
        jobs=tuple(Job(row.id, row.model, row.sha256, rounds, row.anchor) for row in rows),
        deadline_s=DEADLINE_S, memory_budget_bytes=4 << 30, parent_pid=device.parent_pid(),
    )  # fmt: skip


def _launch(device: LocalDevice, plan: Plan, folder: Path) -> LaunchResult:
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    results = folder / "results.jsonl"
    device.launch(LaunchRequest(folder / "plan.json", results, DEADLINE_S), lambda _: None)
    return read_results(results, plan.launch, plan.rounds)


def _levels(results: list[LaunchResult], rows: list[ModelRow]) -> dict[str, float]:
    """The estimator's latency of every network."""
    visits = collect(results, ESTIMATOR).visits
    found = {}
    for row in rows:
        if not row.anchor:
            values = sorted(visit.value_us for visit in visits[row.id])
            found[row.id] = values[ESTIMATOR.rank(len(values)) - 1]
    return found


if __name__ == "__main__":
    main()
