"""The engine goes from the option to the plan, the models and the table; a device that measures nothing stands in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec
import pytest

import hwbench
from hwbench.devices import LaunchReport, LaunchRequest, Pulse
from hwbench.devices.linux import LinuxMachine
from hwbench.errors import CorruptFile, ModelError, UsageError
from hwbench.measure.anchors import ANCHORS
from hwbench.measure.campaign import Progress
from hwbench.measure.plan import Plan
from hwbench.models import exports
from hwbench.models.executorch import PteFile
from hwbench.models.export_workers import Task
from hwbench.models.litert import write_model
from hwbench.models.weights import random_weights
from hwbench.records import DeviceRecord, EngineRecord
from hwbench.spaces import ConvBlock, NamedBlock
from hwbench.tables import lookup
from hwbench.workflows.profile_models import engine_of
from hwbench.workflows.settings import MeasureOptions
from tests.conftest import TINY, Hwbench
from tests.unit.test_measure import launch_line, result_file, visit
from tests.unit.test_tables import loose, make_table


class StillDevice:
    """The first job takes 10 µs here, the next 11 µs, and so on; `plans` are what it was asked to do."""

    name = "still"
    runner = "still-1"
    regime = "as_shipped"
    notes: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.plans: list[Plan] = []

    def record(self) -> DeviceRecord:
        return LinuxMachine().record("local")

    def engine(self, name: str = "litert") -> EngineRecord:
        return EngineRecord(name, f"{name}-package", "1", None)

    def lock(self) -> AbstractContextManager[None]:
        return nullcontext()

    def choose_cores(self, threads: int, wanted: tuple[int, ...]) -> tuple[int, ...]:
        return (0,)

    def describe_cores(self, threads: int, wanted: tuple[int, ...]) -> str:
        return "1 of 0"

    def memory_budget_bytes(self) -> int:
        return 1 << 30

    def close(self) -> None:
        pass

    def parent_pid(self) -> int:
        return 0

    def recover(self, request: LaunchRequest, progress: Callable[[Pulse], None]) -> None:
        pass

    def launch(self, request: LaunchRequest, progress: Callable[[Pulse], None]) -> LaunchReport:
        plan = msgspec.json.decode(request.plan.read_bytes(), type=Plan)
        self.plans.append(plan)
        lines = [launch_line([0]) | {"launch": plan.launch}]
        for position, job in enumerate(plan.jobs):
            assert (request.plan.parent / job.model).read_bytes()
            digests: list[object] = []
            lines.append({"kind": "load", "job": job.id, "load_ns": 1, "first_ns": 1, "digests": digests})
            lines += [visit(job.id, number, [10.0 + position] * 5) for number in range(job.rounds)]
        request.results.write_bytes(result_file(lines))
        return LaunchReport()


@pytest.fixture
def half_delegated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports cost nothing, and XNNPACK takes the half of each model that is not an anchor."""

    def run(tasks: Mapping[str, Task], workers: int | None = None) -> Iterator[tuple[str, PteFile]]:
        for key, task in tasks.items():
            yield key, PteFile(b"____ET12" + key.encode(), 2, 2 if "anchor" in task.job.name else 1)

    monkeypatch.setattr(exports, "run_tasks", run)


@pytest.mark.usefixtures("half_delegated")
def test_an_executorch_table_knows_its_engine_and_what_was_delegated(tmp_path: Path) -> None:
    device = StillDevice()
    said: list[Progress] = []
    options = MeasureOptions(engine="executorch")
    found = hwbench.profile(TINY, device=device, options=options, output=tmp_path / "t.json", on_progress=said.append)
    assert {plan.engine for plan in device.plans} == {"executorch"}
    assert all(job.model.endswith(".pte") for plan in device.plans for job in plan.jobs)
    table = lookup.load(found.path)
    assert table.target.engine.name == "executorch"
    assert "executorch-xnnpack-fp32" in lookup.default_name(table.space, table.target)
    assert all(row.delegated_share == 0.5 for row in table.rows)
    assert found.flags["partial_delegation"] == len(table.rows)
    assert not any("partial_delegation" in anchor.flags for anchor in table.anchors.values())
    assert said[0].exporting
    assert said[0].planned > len(table.rows)
    device.plans.clear()
    checked = hwbench.verify(found.path, networks=3, device=device)
    assert {plan.engine for plan in device.plans} == {"executorch"}
    assert all("partial_delegation" in network.flags for network in checked.networks)


def test_a_litert_table_is_as_it_was(tmp_path: Path) -> None:
    device = StillDevice()
    found = hwbench.profile(TINY, device=device, output=tmp_path / "t.json")
    assert {plan.engine for plan in device.plans} == {"litert"}
    assert all(job.model.endswith(".tflite") for plan in device.plans for job in plan.jobs)
    assert all(row.delegated_share is None for row in found.table.rows)
    assert "partial_delegation" not in found.flags


@pytest.mark.usefixtures("half_delegated")
def test_model_files_say_their_engine(tmp_path: Path) -> None:
    device = StillDevice()
    (tmp_path / "a.pte").write_bytes(b"____ET12 and so on")
    found = hwbench.profile_models([tmp_path / "a.pte"], device=device, passes=False)
    assert {plan.engine for plan in device.plans} == {"executorch"}
    assert found.target.engine.name == "executorch"
    assert found.models[0].latency.value_us == pytest.approx(10.0 + len(ANCHORS))
    (tmp_path / "b.tflite").write_bytes(tflite())
    with pytest.raises(UsageError, match=r"a\.pte executorch and .*b\.tflite litert"):
        engine_of([tmp_path / "a.pte", tmp_path / "b.tflite"])
    (tmp_path / "c.pte").write_bytes(b"hello, I am no model")
    with pytest.raises(ModelError, match=r"c\.pte is not a \.tflite model, nor a \.pte model"):
        engine_of([tmp_path / "c.pte"])


def tflite() -> bytes:
    network = [NamedBlock("block", ConvBlock((4, 4, 3), 4, 1))]
    return write_model(network, random_weights(network, 0)).data


def test_wrong_combinations_are_refused_in_one_sentence(hwbench: Hwbench, tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(tflite())
    for words, sentence in (
        (("--engine", "executorch", "--delegate", "builtin"), "ExecuTorch has no delegate 'builtin'"),
        (("--delegate", "portable"), "LiteRT has no delegate 'portable'; it has xnnpack and builtin."),
        (("a.tflite", "--engine", "executorch"), "a.tflite is a model for litert, not for executorch."),
    ):
        done = hwbench("profile", *words)
        assert done.returncode == 2
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_tables_without_delegated_shares_still_load(tmp_path: Path) -> None:
    table = make_table()
    content = loose(table)
    for row in content["rows"]:
        del row["delegated_share"]
    lookup.files.save(tmp_path / "t.json", lookup.KIND, lookup.VERSION, content)
    assert lookup.load(tmp_path / "t.json") == table


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_impossible_shares_are_refused(tmp_path: Path, share: float) -> None:
    content = loose(make_table())
    content["rows"][0]["delegated_share"] = share
    lookup.files.save(tmp_path / "t.json", lookup.KIND, lookup.VERSION, content)
    with pytest.raises(CorruptFile, match=r"t\.json"):
        lookup.load(tmp_path / "t.json")


@pytest.mark.parametrize(("hot", "launches", "flagged"), [(1, 1, False), (9, 2, True)])
def test_launches_that_heat_spoiled_are_done_again_twice_and_then_flagged(
    tmp_path: Path, hot: int, launches: int, flagged: bool
) -> None:
    class HotDevice(StillDevice):
        def launch(self, request: LaunchRequest, progress: Callable[[Pulse], None]) -> LaunchReport:
            super().launch(request, progress)
            warm = len(self.plans) <= hot
            return LaunchReport(("throttled",), redo=True) if warm else LaunchReport()

    device = HotDevice()
    found = hwbench.profile(TINY, device=device, output=tmp_path / "t.json")
    assert len(device.plans) == len(found.table.launches) + launches
    assert [plan.launch for plan in device.plans] == list(range(len(device.plans)))
    assert all(("throttled" in row.flags) == flagged for row in found.table.rows)
