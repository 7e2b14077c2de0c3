"""Which estimator and cache mode: record blocks and networks once, then compare every way to read the samples.

A recording is, within a minute or two, a launch of all blocks in each cache mode and launches of random networks.
Networks of set A choose; set B, measured at other times, reports what was chosen. Test-retest is between
recordings. The criterion is the larger of the additivity bias (absolute) and the test-retest median.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import parser, report
from hwbench import spaces
from hwbench.devices import LaunchRequest, LocalDevice
from hwbench.devices.linux import LinuxMachine
from hwbench.measure.campaign import ModelRow
from hwbench.measure.plan import Burst, Job, Plan
from hwbench.measure.results import read_results
from hwbench.measure.statistics import spearman
from hwbench.workflows.model_rows import anchor_models, block_models, flush_bytes, network_models, write_rows
from hwbench.workflows.settings import MeasureOptions

BURST_QUANTILES = (0.0, 0.1, 0.25, 0.5)
CHOOSING_SEED, REPORTING_SEED = 1, 2
# Networks are slow, so several processes may be needed until the machine was quiet for each.
NETWORK_ROUNDS, BLOCK_ROUNDS = 12, 15

Visits = dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]]


def modes(space: spaces.ChainSpace) -> dict[str, int]:
    """Bytes to flush, by cache mode: nothing, and shares of what a profile flushes."""
    whole = flush_bytes(space, "fp32", LinuxMachine().record("local"))
    return {"warm": 0, "cold, quarter": whole // 4, "cold, half": whole // 2, "cold": whole}


def record(folder: Path, rows: list[ModelRow], rounds: int, flush: int, seed: int) -> Visits:
    """One launch: (wall, CPU) microseconds of each visit's invokes, by job."""
    device = LocalDevice()
    plan = Plan(
        launch=0, run_pass="time", delegate="xnnpack", threads=1, cores=device.choose_cores(1, ()), seed=seed,
        jobs=tuple(Job(row.id, row.model, row.sha256, rounds, row.anchor) for row in rows), deadline_s=600.0,
        memory_budget_bytes=8 << 30, parent_pid=os.getpid(), flush_bytes=flush,
        interleave=4 if flush else 1, burst=Burst(),
    )  # fmt: skip
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    results = folder / "results.jsonl"
    device.launch(LaunchRequest(folder / "plan.json", results, 600.0), lambda _: None)
    visits: Visits = {}
    for visit in read_results(results, plan.launch, plan.rounds).visits:
        pair = (np.array(visit.wall_ns) / 1e3, np.array(visit.cpu_ns) / 1e3)
        visits.setdefault(visit.job, []).append(pair)
    return visits


def read(visits: Visits, job: str, clock: int, quantile: float, rule: str) -> float:
    """A job's latency: a quantile of each burst, then a rule over visits (`2`: second lowest, `q0.5`: median)."""
    bursts = [float(np.quantile(pair[clock], quantile)) for pair in visits[job]]
    return (
        float(np.quantile(bursts, float(rule[1:]))) if rule.startswith("q") else float(np.sort(bursts)[int(rule) - 1])
    )


def errors(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> dict[str, float]:
    error = predicted / measured - 1
    return {
        "bias": float(error.mean()),
        "mape": float(np.abs(error).mean()),
        "spread": float(error.std()),
        "spearman": spearman(predicted, measured),
    }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--recordings", type=int, default=4)
    arguments.add_argument("--networks", type=int, default=16)
    arguments.add_argument("--pause", type=float, default=30.0)
    options = arguments.parse_args()
    space = spaces.get(spaces.DEFAULT)
    architectures = {seed: space.sample(options.networks, seed) for seed in (CHOOSING_SEED, REPORTING_SEED)}
    blocks: dict[str, list[Visits]] = {mode: [] for mode in modes(space)}
    networks: dict[int, Visits] = {CHOOSING_SEED: {}, REPORTING_SEED: {}}
    times = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for sub in ("blocks", "1", "2"):
            (folder / sub / "models").mkdir(parents=True)
        block_rows = write_rows(anchor_models() + block_models(space), MeasureOptions(), folder / "blocks")
        network_rows = {
            seed: write_rows(network_models(space, architectures[seed]), MeasureOptions(), folder / str(seed))
            for seed in architectures
        }
        for recording in range(options.recordings):
            times.append(time.strftime("%H:%M:%S"))
            for mode, flush in modes(space).items():
                blocks[mode].append(record(folder / "blocks", block_rows, BLOCK_ROUNDS, flush, recording))
            seed = (CHOOSING_SEED, REPORTING_SEED)[recording % 2]
            found = record(folder / str(seed), network_rows[seed], NETWORK_ROUNDS, 0, recording)
            for job, visits in found.items():
                networks[seed].setdefault(job, []).extend(visits)
            if recording + 1 < options.recordings:
                time.sleep(options.pause)
    candidates = []
    for mode, (clock, clock_name), quantile, rule in itertools.product(
        blocks, enumerate(("wall", "cpu")), BURST_QUANTILES, ("1", "2", "3", "q0.1", "q0.25", "q0.5")
    ):
        candidates.append(
            evaluate(space, blocks[mode], networks, architectures, clock, quantile, rule)
            | {"cache": mode, "clock": clock_name, "burst_quantile": quantile, "over_visits": rule}
        )
    candidates.sort(key=lambda found: found["criterion"])
    result = {"recorded_at": times, "flush_bytes": modes(space), "best": candidates[:12], "all": candidates}
    report("estimator", result, options.keep)


def evaluate(
    space: spaces.ChainSpace,
    recordings: list[Visits],
    networks: dict[int, Visits],
    architectures: dict[int, NDArray[np.uint8]],
    clock: int,
    quantile: float,
    rule: str,
) -> dict[str, Any]:
    keys = [block.key for block in space.distinct_blocks]
    tables = [{key: read(visits, key, clock, quantile, rule) for key in keys} for visits in recordings]
    differences = [
        abs(np.log(a[key] / b[key])) for a, b in itertools.combinations(tables, 2) for key in keys
    ]  # fmt: skip
    pooled = {key: read({key: [v for r in recordings for v in r[key]]}, key, clock, quantile, rule) for key in keys}
    found: dict[str, Any] = {}
    for seed, label in ((CHOOSING_SEED, "choosing"), (REPORTING_SEED, "reporting")):
        if networks[seed]:
            measured = np.array(
                [read(networks[seed], f"network-{n}", clock, quantile, rule) for n in range(len(architectures[seed]))]
            )
            predicted = np.array(
                [sum(pooled[named.block.key] for named in space.network(arch)) for arch in architectures[seed]]
            )
            found[label] = errors(predicted, measured)
    retest = {"median": float(np.median(differences)), "p90": float(np.quantile(differences, 0.9))}
    return {
        "criterion": max(abs(found["choosing"]["bias"]), retest["median"]),
        "test_retest": retest,
        "additivity": found,
    }


if __name__ == "__main__":
    main()
