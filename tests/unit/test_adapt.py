"""`hwbench adapt`: what is measured, that nothing is measured twice, what is said of it, what is refused."""

from __future__ import annotations

import gzip
import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from benchmarks import adapt_local
from typer.testing import CliRunner

from hwbench import files
from hwbench.cli.main import app
from hwbench.errors import DataError, DeviceBusy, Incomparable, MissingRows, UsageError
from hwbench.measure.statistics import spearman
from hwbench.spaces.encodings import one_hot
from hwbench.tables import lookup, matrix
from hwbench.tables.matrix import Column, LatencyMatrix
from hwbench.tables.source import TableSource
from hwbench.transfer import predictor_file
from hwbench.transfer.help.settings import HELP
from hwbench.transfer.predictor_file import PoolColumn
from hwbench.workflows.adapting import methods as adapt_methods
from hwbench.workflows.adapting.adapt import AdaptResult, adapt
from hwbench.workflows.adapting.methods import ByMetaLearning, Method
from hwbench.workflows.adapting.pool import open_pool
from hwbench.workflows.adapting.targets import DeviceTarget
from hwbench.workflows.networks import Bench
from hwbench.workflows.settings import MeasureOptions, target_of
from hwbench.workflows.sources import latency_source
from tests.adaptations import SPACE, WeighingDevice, weighed_pool, weighed_table
from tests.few_shot_pools import simulated_matrix
from tests.unit.test_exchange import run, text

CHAIN = "fbnet-cifar-r32-c100"
METHODS: tuple[Method, ...] = ("gp", "help", "adaproxy")


@pytest.fixture(autouse=True)
def _quick_training(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = msgspec.structs.replace(HELP, width=16, query=16, episodes=10)
    monkeypatch.setitem(adapt_methods.METHODS, "help", partial(ByMetaLearning, settings=quick))


@pytest.fixture
def columns(tmp_path: Path) -> Path:
    """A matrix of six simulated devices, d0 to d5."""
    matrix.save(simulated_matrix(CHAIN, 300, 6, 0.01), tmp_path / "m.json")
    return tmp_path / "m.json"


def on_device(tmp_path: Path, device: WeighingDevice, **more: Any) -> AdaptResult:
    pool = more.pop("pool", None) or weighed_pool(tmp_path)
    return adapt(pool, **{"device": device, "output": tmp_path / "p.json", **more})


@pytest.mark.parametrize(("method", "references"), [("gp", 0), ("help", 10), ("adaproxy", 0)])
def test_networks_are_measured_fitted_and_checked_in_other_launches(
    tmp_path: Path, method: Method, references: int
) -> None:
    device = WeighingDevice()
    found = on_device(tmp_path, device, pool=weighed_pool(tmp_path, 4), method=method)
    predictor = found.predictor
    counted = predictor.counted
    assert (counted.references, counted.picked, counted.held_out, counted.repeated) == (references, 10, 3, 2)
    sizes = [sum(not job.anchor for job in plan.jobs) for plan in device.plans]
    assert set(sizes) == {counted.total - 5, 5}
    assert sizes == sorted(sizes, reverse=True)
    archs = [network.architecture for network in predictor.measured]
    assert len(set(archs)) == len(archs)
    assert not set(archs) & {one.network.architecture for one in predictor.held_out}
    assert [one.architecture for one in predictor.repeated] == archs[references : references + 2]
    assert all(abs(one.again_us / one.first_us - 1) < 0.02 for one in predictor.repeated)
    assert predictor_file.load(found.path) == predictor
    assert {column.kind for column in predictor.pool} == {"sums"}
    assert predictor.agreement is not None
    assert (predictor.agreement.n, predictor.agreement.left_out) == (13, 10)
    assert predictor.agreement.lower < predictor.agreement.upper
    assert predictor.ceiling is not None
    assert predictor.ceiling > (0.5 if method == "help" else 0.95)
    assert (predictor.prospect is not None) == (method == "gp")
    assert not (tmp_path / "p.json.session").exists()
    for samples in predictor.samples:
        data = (tmp_path / samples.name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == samples.sha256
        assert gzip.decompress(data)
    assert len(predictor.samples) == 2
    assert predictor.seconds is not None
    assert 0 < predictor.seconds < found.seconds.adapt


def test_the_predictor_of_a_device_knows_networks_that_were_never_measured(tmp_path: Path) -> None:
    found = on_device(tmp_path, WeighingDevice())
    source = latency_source(found.path)
    archs = SPACE.sample(200, 9)
    table = TableSource(lookup.load(weighed_table(tmp_path / "other.json", 99)), SPACE).predict(archs).mean_us
    assert spearman(source.predict(archs).mean_us, table) > 0.9
    inside = [one.lower_us <= one.network.latency_us <= one.upper_us for one in found.predictor.held_out]
    assert sum(inside) >= 2


@pytest.mark.parametrize("stops_at", [1, 2, 3])
def test_what_was_measured_before_ctrl_c_is_not_measured_again(tmp_path: Path, stops_at: int) -> None:
    whole = WeighingDevice()
    expected = on_device(tmp_path, whole).predictor
    (tmp_path / "p.json").unlink()
    first, second = WeighingDevice(stops_at), WeighingDevice()
    with pytest.raises(KeyboardInterrupt):
        on_device(tmp_path, first)
    with pytest.raises(UsageError, match="unfinished run"):
        on_device(tmp_path, WeighingDevice())
    with pytest.raises(UsageError, match="samples was 10, is 12"):
        on_device(tmp_path, WeighingDevice(), resume=True, samples=12)
    found = on_device(tmp_path, second, resume=True).predictor
    # The launch that Ctrl-C came into was begun, and is done with.
    assert len(first.plans) + len(second.plans) in (len(whole.plans), len(whole.plans) + 1)
    assert [one.architecture for one in found.measured] == [one.architecture for one in expected.measured]
    assert [one.network.architecture for one in found.held_out] == [
        one.network.architecture for one in expected.held_out
    ]
    if stops_at > 1:
        assert found.measured == expected.measured
    assert not (tmp_path / "p.json.session").exists()


def test_a_busy_device_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy() -> Any:
        raise DeviceBusy("another measures")

    device = WeighingDevice()
    with monkeypatch.context() as patch:
        patch.setattr(device, "lock", busy)
        with pytest.raises(DeviceBusy):
            on_device(tmp_path, device)
    assert not (tmp_path / "p.json.session").exists()
    assert on_device(tmp_path, device).path.exists()


def test_files_in_the_way_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("mine")
    device = WeighingDevice()
    with pytest.raises(UsageError, match=r"p\.json exists already"):
        on_device(tmp_path, device)
    with pytest.raises(UsageError, match="nothing to resume"):
        on_device(tmp_path, device, output=tmp_path / "q.json", resume=True)
    assert not device.plans
    assert on_device(tmp_path, device, overwrite=True).path == tmp_path / "p.json"


def test_the_target_itself_is_left_out_of_the_pool(tmp_path: Path) -> None:
    device, pool = WeighingDevice(), weighed_pool(tmp_path)
    own = on_device(tmp_path, device, pool=pool).predictor.origin
    assert own is not None
    table = lookup.load(pool[0])
    lookup.save(msgspec.structs.replace(table, target=own.target), pool[0])
    found = on_device(tmp_path, device, pool=pool, overwrite=True)
    assert found.left_out == (lookup.target_name(own.target),)
    assert [column.file for column in found.predictor.pool] == ["d1.json", "d2.json"]
    with pytest.raises(DataError, match=r"empty: .* is the target itself"):
        on_device(tmp_path, device, pool=pool[:1], overwrite=True)


def test_emulated_results_teach_nothing_and_are_no_target(tmp_path: Path) -> None:
    weighed_table(tmp_path / "virtual.json", 7, emulated=True)
    with pytest.raises(Incomparable, match=r"virtual\.json was measured on an emulated device"):
        on_device(tmp_path, WeighingDevice(), pool=[*weighed_pool(tmp_path), tmp_path / "virtual.json"])
    with pytest.raises(Incomparable, match="emulated"):
        adapt(weighed_pool(tmp_path), target=str(tmp_path / "virtual.json"), output=tmp_path / "p.json")
    with pytest.raises(Incomparable, match="still is emulated"):
        on_device(tmp_path, WeighingDevice(emulated=True))
    assert not (tmp_path / "p.json").exists()
    assert not (tmp_path / "p.json.session").exists()


def test_a_pool_too_small_for_help_is_refused_with_the_way_out_before_anything_is_measured(tmp_path: Path) -> None:
    device = WeighingDevice()
    with pytest.raises(DataError, match=r"has 3 targets .* HELP needs 4.*--method gp"):
        on_device(tmp_path, device, method="help")
    assert not device.plans
    assert not (tmp_path / "p.json.session").exists()


def test_what_help_learned_from_a_pool_is_kept_and_a_damaged_copy_is_learned_again(
    columns: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def once(name: str) -> list[float]:
        found = adapt(target=f"{columns}:d5", method="help", output=tmp_path / name).predictor
        return [one.predicted_us for one in found.held_out]

    first = once("a.json")
    (kept,) = (files.cache_folder() / "help").glob("*.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr("hwbench.transfer.help.predictor.train", None)
        assert once("b.json") == first
    kept.write_bytes(kept.read_bytes()[:-3])
    assert once("c.json") == first


@pytest.mark.parametrize("method", METHODS)
def test_a_column_of_a_matrix_plays_the_target(columns: Path, tmp_path: Path, method: Method) -> None:
    found = adapt(target=f"{columns}:d5", method=method, output=tmp_path / "p.json").predictor
    assert found.origin is None
    assert [column.name for column in found.pool] == ["d0", "d1", "d2", "d3", "d4"]
    assert {column.kind for column in found.pool} == {"networks"}
    truth = dict(zip(matrix.load(columns).architectures, matrix.load(columns).column("d5"), strict=True))
    for network in (*found.measured, *(one.network for one in found.held_out)):
        assert network.latency_us == truth[network.architecture]
    assert found.counted.held_out == 300 - len(found.measured)
    assert found.agreement is not None
    assert found.agreement.n == len(found.held_out)
    assert found.ceiling is None
    if method != "help":
        assert found.agreement.spearman > 0.8
    with pytest.raises(UsageError, match="is not measured"):
        adapt(target=f"{columns}:d5", device=WeighingDevice(), output=tmp_path / "q.json")


def test_tables_and_matrices_make_one_pool(tmp_path: Path) -> None:
    archs = np.unique(SPACE.sample(200, 3), axis=0)
    values = 30 + one_hot(SPACE, archs) @ np.random.default_rng(0).uniform(1, 50, int(SPACE.choice_counts.sum()))
    known = LatencyMatrix(
        SPACE.name, "latency_us", tuple(map(tuple, archs.tolist())), (Column("whole", tuple(values.tolist())),)
    )
    matrix.save(known, tmp_path / "m.json")
    pool = [*weighed_pool(tmp_path), tmp_path / "m.json"]
    target = weighed_table(tmp_path / "target.json", 50)
    found = adapt(pool, target=str(target), output=tmp_path / "p.json").predictor
    assert found.pool[0] == PoolColumn("whole", "m.json", "networks")
    assert [column.kind for column in found.pool[1:]] == ["sums"] * 3
    assert {network.architecture for network in found.measured} <= set(known.architectures)
    shown = text("table", "show", tmp_path / "p.json")
    assert "whole (whole networks)" in shown
    assert "(sums of blocks)" in shown


def test_without_files_the_pool_is_what_came_with_hwbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "shipped" / "device"
    shipped.mkdir(parents=True)
    for seed in range(3):
        weighed_table(shipped / f"{SPACE.name}--litert-xnnpack-fp32-b1-t{seed + 1}.json", seed)
    monkeypatch.setenv("HWBENCH_POOL", str(shipped.parent))
    found = adapt(device=WeighingDevice(), space=SPACE.name, output=tmp_path / "p.json").predictor
    assert [column.kind for column in found.pool] == ["sums"] * 3
    name = f"{SPACE.name}--litert-xnnpack-fp32-t2"
    single = adapt([name], target=f"{SPACE.name}--litert-xnnpack-fp32-t1", output=tmp_path / "q.json").predictor
    assert [column.name for column in single.pool] == ["d1 litert xnnpack fp32 b1 t1"]
    with pytest.raises(DataError, match="the pool has no table of that name"):
        adapt(["no-such-table"], device=WeighingDevice(), output=tmp_path / "r.json")


def test_pools_and_targets_that_cannot_be_used_are_refused(columns: Path, tmp_path: Path) -> None:
    pool = weighed_pool(tmp_path)
    refused = partial(adapt, output=tmp_path / "p.json")
    with pytest.raises(UsageError, match="5 networks are too few"):
        refused(pool, target=f"{columns}:d5", samples=5)
    with pytest.raises(DataError, match="The pool is empty"):
        refused(target=str(pool[0]))
    with pytest.raises(Incomparable, match="A pool is of one space"):
        refused([*pool, columns], target=str(pool[0]))
    with pytest.raises(UsageError, match="given twice"):
        refused([pool[0], pool[0]], target=str(pool[1]))
    with pytest.raises(UsageError, match="has 6 targets"):
        refused(target=str(columns))
    with pytest.raises(DataError, match="no target 'd9'"):
        refused(target=f"{columns}:d9")
    with pytest.raises(DataError, match="too few to choose 200 among"):
        refused(target=f"{columns}:d5", samples=200)
    table = lookup.load(pool[0])
    lookup.save(msgspec.structs.replace(table, rows=table.rows[1:]), pool[0])
    with pytest.raises(MissingRows, match=r"d0\.json cannot be in the pool") as caught:
        refused(pool, target=str(pool[1]))
    assert caught.value.keys == (table.rows[0].key,)
    predictor = refused(pool[1:], target=str(pool[2])).path
    with pytest.raises(DataError, match="is a predictor"):
        adapt([predictor], target=str(pool[2]), output=tmp_path / "q.json")
    with pytest.raises(DataError, match="is a predictor, and no target"):
        adapt(pool[1:], target=str(predictor), output=tmp_path / "q.json")


def test_networks_that_fail_are_told_and_too_many_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(numbers: set[int]) -> WeighingDevice:
        device = WeighingDevice()
        lines_of = WeighingDevice.launch

        def launch(request: Any, progress: Any) -> Any:
            report = lines_of(device, request, progress)
            *lines, _ = [json.loads(line) for line in request.results.read_bytes().splitlines()]
            bad = {f"network-{number}" for number in numbers}
            kept = [line for line in lines if line.get("job") not in bad]
            kept += [
                {"kind": "failure", "job": job, "stage": "load", "message": "no memory"}
                for job in sorted(bad)
                if any(line.get("job") == job for line in lines)
            ]
            from tests.unit.test_measure import result_file

            request.results.write_bytes(result_file(kept))
            return report

        monkeypatch.setattr(device, "launch", launch)
        return device

    found = on_device(tmp_path, failing({4, 5})).predictor
    assert found.counted.picked == 8
    assert any("2 of 10 networks gave no latency" in note and "no memory" in note for note in found.notes)
    with pytest.raises(DataError, match=r"Only 5 of 10 networks could be measured: .*no memory"):
        on_device(tmp_path, failing({1, 2, 3, 4, 5}), overwrite=True)


def test_the_command_on_a_file(columns: Path, tmp_path: Path) -> None:
    words = ["adapt", "--target", f"{columns}:d5", "-o", tmp_path / "p.json"]
    found = run(*words)
    assert found["predictor"] == str(tmp_path / "p.json")
    assert found["method"] == "gp"
    assert found["measurements"]["picked"] == 10
    assert found["measurements"]["total"] == 10 + found["measurements"]["held_out"]
    assert found["agreement"]["lower"] <= found["agreement"]["spearman"] <= 1
    assert found["prospect"]["more"] % 3 == 0
    assert set(found["seconds"]) == {"meta", "adapt", "measure"}
    assert found["seconds"]["measure"] is None
    with pytest.raises(UsageError, match="exists already"):
        run(*words)
    shown = text(*words, "--overwrite", "--samples", 12)
    assert "12 picked" in shown
    assert "in their 95 % interval" in shown
    assert "expected Spearman" in shown
    assert text("table", "show", tmp_path / "p.json").splitlines()[0].startswith("gp predictor of d5")


def test_the_command_on_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = weighed_pool(tmp_path)
    words = [
        "adapt",
        *(word for path in pool for word in ("--pool", path)),
        "--device",
        "local",
        "-o",
        tmp_path / "p.json",
    ]
    devices = [WeighingDevice(2), WeighingDevice()]
    monkeypatch.setattr("hwbench.devices.find", lambda *_, **__: devices.pop(0))
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exception is not None
    assert getattr(done.exception, "exit_code", None) == 130
    shown = text(*words, "--resume")
    assert "15 whole networks were measured on the target: 10 picked, 3 held out, 2 repeated; " in shown
    assert "which are few" in shown
    assert "measured again" in shown
    assert "with its own second run" in shown


def test_settings_of_the_measurement_belong_to_the_target(tmp_path: Path) -> None:
    device = WeighingDevice()
    found = on_device(tmp_path, device, options=MeasureOptions(precision="int8", threads=2, preset="quick"))
    origin = found.predictor.origin
    assert origin is not None
    assert (origin.target.precision, origin.target.threads, origin.preset) == ("int8", 2, "quick")
    assert {plan.threads for plan in device.plans} == {2}
    assert "int8" in found.predictor.target


def test_the_benchmark_judges_all_methods_on_the_same_measurements(tmp_path: Path) -> None:
    device = WeighingDevice()
    options = MeasureOptions()
    record = device.record()
    bench = Bench(device, record, target_of(device, record.id, options), options)
    pool = open_pool(weighed_pool(tmp_path, 4), None, lambda _, __: False)
    target = DeviceTarget(bench, pool.space, tmp_path / "p.json", tmp_path / "session", {}, False, lambda _: None)
    found = adapt_local.study(pool, target, 30, list(METHODS))
    assert found["networks"] == 30
    assert sum(len(plan.jobs) - 3 for plan in device.plans) == 2 * (20 + 30 + 30)
    assert found["test_retest_spearman"] > 0.95
    assert {"gp 10", "gp 20", "help 20", "adaproxy 10", "adaproxy 20"} <= found.keys()
    assert found["gp 10"]["spearman"] > 0.85
