"""`hwbench deploy` on this computer: a trained network's files, their answers, their latency beside a prediction."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

import hwbench
from hwbench import files
from hwbench.devices import LocalDevice
from hwbench.devices.base import LaunchReport, LaunchRequest
from hwbench.devices.local_runner import of_python
from hwbench.errors import DeviceLost
from hwbench.models.formats import format_of
from hwbench.search.training.batches import Normalisation
from hwbench.search.training.network import accuracy
from hwbench.tables import lookup
from hwbench.tables.source import TableSource
from hwbench.workflows.deploying import deployed
from hwbench.workflows.deploying.plan import Form
from tests.conftest import Hwbench
from tests.trained import SPACE, TrainedFiles, train_tiny

# A shared machine can be any number of times slower from one moment to the next.
WIDE = 10.0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedFiles:
    return train_tiny(tmp_path_factory.mktemp("trained"))


def test_files_of_both_engines_answer_as_torch_does(trained: TrainedFiles, tmp_path: Path) -> None:
    forms = [Form(engine, precision) for engine in ("litert", "executorch") for precision in ("fp32", "int8")]
    found = hwbench.deploy(trained.weights, trained.dataset, forms=forms, output=tmp_path / "out")
    expected = accuracy(trained.network, trained.arrays, trained.dataset.test, Normalisation(trained.dataset.train))
    assert expected > 0.9
    assert [(model.engine, model.precision) for model in found.models] == [(f.engine, f.precision) for f in forms]
    for model in found.models:
        data = Path(model.path).read_bytes()
        assert (files.sha256(data), len(data)) == (model.sha256, model.bytes)
        assert format_of(Path(model.path), data).engine == model.engine
        assert model.answers.images == 300
        assert model.answers.torch_accuracy == pytest.approx(expected)
        assert model.answers.accuracy == pytest.approx(expected, abs=0.01 if model.precision == "int8" else 0.001)
        assert model.answers.agrees
        assert model.latency.lower_us <= model.latency.value_us <= model.latency.upper_us
        assert model.host is model.predicted is model.held is None
    assert found.good
    sizes = {(model.engine, model.precision): model.bytes for model in found.models}
    assert sizes["litert", "int8"] < sizes["litert", "fp32"]
    assert deployed.load(tmp_path / "out" / "deployment.json") == found
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "deployment.json", "trained-fp32.pte", "trained-fp32.tflite", "trained-int8.pte", "trained-int8.tflite",
    ]  # fmt: skip


def scaled(table: Path, to: Path, factor: float, width: float) -> Path:
    """The table with its latencies times a factor, and intervals from 1 / width to width times them."""
    found = lookup.load(table)
    rows = []
    for row in found.rows:
        assert row.measurement is not None
        value = row.measurement.value_us * factor
        changed = msgspec.structs.replace(
            row.measurement, value_us=value, lower_us=value / width, upper_us=value * width
        )
        rows.append(msgspec.structs.replace(row, measurement=changed))
    lookup.save(msgspec.structs.replace(found, rows=tuple(rows)), to)
    return to


def test_the_command_says_whether_a_prediction_holds(
    hwbench: Hwbench, trained: TrainedFiles, tiny_table: Path, tmp_path: Path
) -> None:
    table = scaled(tiny_table, tmp_path / "table.json", 1.0, WIDE)
    words = ("deploy", trained.weights, "--table", table, "--data", trained.npz, "--images", "40")
    done = hwbench(*words, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["good"] is True
    assert found["deployment"] == "hwbench-results/deployed/trained/deployment.json"
    (model,) = found["models"]
    predicted = TableSource(lookup.load(table), SPACE).predict(trained.architecture)
    assert model["predicted"]["value_us"] == pytest.approx(float(predicted.mean_us[0]))
    assert model["predicted"]["upper_us"] == pytest.approx(float(predicted.upper_us[0]))
    assert model["held"]["holds"] is model["held"]["within_interval"] is True
    assert model["held"]["error"] == pytest.approx(model["latency"]["value_us"] / model["predicted"]["value_us"] - 1)
    assert model["answers"]["images"] == 40
    assert (model["engine"], model["precision"]) == ("litert", "fp32")
    again = hwbench(*words)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    shown = hwbench(*words, "--overwrite")
    assert shown.returncode == 0, shown.stderr
    assert "the prediction holds" in shown.stdout
    assert model["sha256"] in shown.stdout
    assert "for fp32 that agrees" in shown.stdout


def test_a_prediction_that_does_not_hold_is_exit_code_1(
    hwbench: Hwbench, trained: TrainedFiles, tiny_table: Path, tmp_path: Path
) -> None:
    table = scaled(tiny_table, tmp_path / "wrong.json", 1 / 100, 1.001)
    words = ("deploy", trained.weights, "--table", table, "--data", trained.npz, "--images", "8")
    done = hwbench(*words, "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["good"] is False
    assert found["models"][0]["held"]["holds"] is False
    assert found["models"][0]["answers"]["agrees"] is True
    shown = hwbench(*words, "--overwrite")
    assert shown.returncode == 1
    assert "THE PREDICTION DOES NOT HOLD" in shown.stdout


class GoesAway(LocalDevice):
    """This computer, lost in the launch of a name."""

    def __init__(self, name: str) -> None:
        super().__init__(of_python(Path(sys.executable)))
        self._lost_in = name

    def launch(self, request: LaunchRequest, progress: object) -> LaunchReport:
        report = super().launch(request, progress)  # type: ignore[arg-type]
        if request.plan.name.startswith(self._lost_in):
            whole = request.results.read_bytes()
            request.results.write_bytes(whole[: len(whole) // 2])
            raise DeviceLost("It went away.")
        return report


@pytest.mark.parametrize("name", ["launch-1", "evaluate-0"])
def test_a_device_that_goes_away_keeps_the_files(trained: TrainedFiles, tmp_path: Path, name: str) -> None:
    output = tmp_path / "out"
    words = {"forms": [Form("litert", "fp32"), Form("litert", "int8")], "output": output}
    with pytest.raises(DeviceLost):
        hwbench.deploy(trained.weights, trained.dataset, device=GoesAway(name), **words)  # type: ignore[arg-type]
    written = {path.name: path.read_bytes() for path in output.glob("*.tflite")}
    assert sorted(written) == ["trained-fp32.tflite", "trained-int8.tflite"]
    assert not (output / "deployment.json").exists()
    kept = {path.name: path.read_bytes() for path in (output / "session" / "litert-fp32").glob("*.results.jsonl")}
    assert f"{name}.results.jsonl" in kept
    device = LocalDevice(of_python(Path(sys.executable)))
    with pytest.raises(hwbench.HwbenchError, match=r"unfinished run.*--resume"):
        hwbench.deploy(trained.weights, trained.dataset, device=device, **words)  # type: ignore[arg-type]
    with pytest.raises(hwbench.HwbenchError, match="cannot be continued with other settings: test images"):
        hwbench.deploy(trained.weights, trained.dataset, device=device, test_images=20, resume=True, **words)  # type: ignore[arg-type]
    found = hwbench.deploy(trained.weights, trained.dataset, device=device, resume=True, **words)  # type: ignore[arg-type]
    assert found.good
    assert {path.name: path.read_bytes() for path in output.glob("*.tflite")} == written
    assert not (output / "session").exists()


def test_kill_and_resume(trained: TrainedFiles, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hwbench", "deploy", str(trained.weights), "--data", str(trained.npz),
               "--precision", "fp32", "-o", "out"]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, env=os.environ | {"COLUMNS": "200"})
    results = tmp_path / "out" / "session" / "litert-fp32" / "launch-0.results.jsonl"
    for _ in range(1200):
        if results.exists() and b'"kind":"visit"' in results.read_bytes():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / "out" / "trained-fp32.tflite").exists()
    done = subprocess.run(
        [*command, "--resume", "--json"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["models"][0]["answers"]["agrees"] is True
