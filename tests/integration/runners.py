"""The runners that the conformance suite goes through, and how plans are made for them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hwbench.files import sha256
from hwbench.measure.plan import Burst, Job, Plan
from hwbench.measure.results import LaunchResult, read_results
from hwbench.models.calibration import seeded_inputs
from hwbench.models.formats import FORMATS, Engine, ModelJob, Precision
from hwbench.models.weights import random_weights
from hwbench.spaces import Block, Classifier, ConvBlock, MBConv, NamedBlock
from tests.conftest import ROOT, TEST_CACHE

PYTHON_RUNNER = ROOT / "device_runtime" / "python" / "hwbench_runner.py"
BLOCKS: dict[str, Block] = {
    "stem": ConvBlock((16, 16, 3), 8, 3, 2),
    "mbconv": MBConv((8, 8, 8), 8, 24, 5, skip=True),
    "classifier": Classifier((4, 4, 16), 10),
}


PYTHON = [sys.executable, str(PYTHON_RUNNER)]


def default_runner() -> list[str]:
    """The runner under test: HWBENCH_RUNNER if it is set, else the Python runner with this interpreter."""
    return shlex.split(os.environ.get("HWBENCH_RUNNER", "")) or PYTHON


def write_models(folder: Path, precision: Precision = "fp32", engine: Engine = "litert") -> dict[str, Job]:
    """Three small models of an engine in a folder, as jobs of two rounds each."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    known = FORMATS[engine]
    models = [_model(name, block) for name, block in BLOCKS.items()]
    authored = known.author(models, precision, "xnnpack", TEST_CACHE / "exports", lambda done, total: None)
    jobs = {}
    for name, found in zip(BLOCKS, authored, strict=True):
        path = folder / "models" / f"{name}{known.suffix}"
        path.write_bytes(found.data)
        jobs[name] = Job(name, f"models/{path.name}", sha256(found.data), rounds=2, anchor=name == "stem")
    return jobs


def _model(name: str, block: Block) -> ModelJob:
    network = (NamedBlock("block", block),)
    return ModelJob(name, network, random_weights(network, seed=0), seeded_inputs(block.in_shape, 2, 0))


def make_plan(jobs: Mapping[str, Job], **changes: object) -> Plan:
    plan = Plan(
        launch=3, run_pass="time", delegate="xnnpack", threads=1, cores=(0,), seed=5, jobs=tuple(jobs.values()),
        deadline_s=60.0, memory_budget_bytes=1 << 30, parent_pid=0, burst=Burst(2, 100, 5, 100, 50),
    )  # fmt: skip
    return msgspec.structs.replace(plan, **changes)


def start(runner: list[str], folder: Path, plan: Plan | bytes, results: Path | None = None) -> subprocess.Popen[str]:
    (folder / "plan.json").write_bytes(plan if isinstance(plan, bytes) else msgspec.json.encode(plan))
    command = [*runner, str(folder / "plan.json"), str(results or folder / "results.jsonl")]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def run(runner: list[str], folder: Path, plan: Plan | bytes, results: Path | None = None) -> tuple[int, str]:
    """Exit status and stderr of one launch."""
    process = start(runner, folder, plan, results)
    _, stderr = process.communicate(timeout=120)
    return process.returncode, stderr


def results_of(folder: Path) -> LaunchResult:
    plan = msgspec.json.decode((folder / "plan.json").read_bytes(), type=Plan)
    return read_results(folder / "results.jsonl", plan.launch, plan.rounds)


def selftest(runner: list[str], engine: str) -> dict[str, Any]:
    """What a runner reports; `engines` holds one entry."""
    done = subprocess.run([*runner, "--selftest", engine], capture_output=True, text=True, timeout=60, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    return report
