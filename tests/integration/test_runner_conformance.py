"""The Python runner through the conformance suite (or HWBENCH_RUNNER), with each of its engines."""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.conformance import RunnerConformance
from tests.integration.runners import PYTHON_RUNNER, default_runner, make_plan, run, write_models


class TestRunner(RunnerConformance):
    @pytest.fixture
    def runner(self) -> list[str]:
        return default_runner()


class TestExecutorch(RunnerConformance):
    engine = "executorch"

    @pytest.fixture
    def runner(self) -> list[str]:
        return default_runner()


class TestTfliteRuntime(RunnerConformance):
    """What older boards have: tflite-runtime 2.14 with numpy 1."""

    @pytest.fixture
    def runner(self, tflite_python: Path) -> list[str]:
        return [str(tflite_python), str(PYTHON_RUNNER)]

    def test_the_package_is_recorded(self, runner: list[str], tmp_path: Path) -> None:
        jobs = write_models(tmp_path)
        assert run(runner, tmp_path, make_plan(jobs))[0] == 0
        first = (tmp_path / "results.jsonl").read_text().splitlines()[0]
        assert '"engine_package":"tflite-runtime","engine_version":"2.14.0"' in first


@pytest.fixture(scope="module")
def module() -> ModuleType:
    """The Python runner as a module."""
    spec = importlib.util.spec_from_file_location("hwbench_runner", PYTHON_RUNNER)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_the_plan_reader_survives_mutations(
    module: ModuleType, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    import msgspec

    from hwbench.measure.plan import Job

    whole = bytearray(msgspec.json.encode(make_plan({"a": Job("a", "models/a.tflite", "0" * 64, 1)})))
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(whole) - 1))
        whole[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    path = tmp_path_factory.getbasetemp() / "mutated.json"
    path.write_bytes(whole)
    with contextlib.suppress(module.PlanError):
        assert module.read_plan(path)["jobs"]


def test_the_inputs_are_nearly_normal(module: ModuleType) -> None:
    import numpy as np

    values = module.seeded_normal(np, 200_000, seed=11)
    assert abs(float(values.mean())) < 0.01
    assert abs(float(values.std()) - 1) < 0.01
    assert values[:3].tolist() == pytest.approx(module.seeded_normal(np, 3, seed=11).tolist())
