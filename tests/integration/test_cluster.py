"""Ray as an executor gives what this process gives; without Ray the test says so and is skipped."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PROGRAM = """
import ray
from hwbench.search.cluster import RayExecutor
from hwbench.errors import UsageError
from hwbench.search.quantities import Function
from hwbench.workflows.searching.search import find_architectures
from tests.unit import test_search_evolution as own

def ask(executor):
    limits = [own.limit_of(own.latency_of(), 1.5)]
    found = find_architectures(
        own.SPACE, limits, score=Function(own.uneven), method="evolution", settings=own.FEW, count=4, executor=executor
    )
    return found.candidates, found.evaluated

try:
    RayExecutor()
except UsageError as error:
    assert "not running" in str(error)
else:
    raise AssertionError("ran without Ray")
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
with RayExecutor() as executor:
    assert ask(executor) == ask(None)
ray.shutdown()
print("same")
"""


def test_a_cluster_changes_nothing() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'hwbench[cluster]'")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "host"), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.strip().endswith("same"), done.stderr[-3000:]
