"""What `deploy` refuses, and by which words: before the device is asked for anything."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import hwbench
from hwbench import spaces
from hwbench.devices import LocalDevice
from hwbench.errors import CorruptFile, DataError, HwbenchError, Incomparable, MissingRows, ModelError, UsageError
from hwbench.models import weight_files
from hwbench.models.weight_files import Scaling, WeightsRecord
from hwbench.models.weights import untrained_weights
from hwbench.records import EMULATED
from hwbench.search.data.images import Dataset, Images
from hwbench.tables import imported, lookup
from hwbench.tables.lookup import LookupTable
from hwbench.tables.source import Latencies
from hwbench.workflows.deploying.deployable import load_trained, trial_of
from hwbench.workflows.deploying.deployed import Predicted
from hwbench.workflows.deploying.plan import Form, plan_forms
from tests.adaptations import WeighingDevice, weighed_pool
from tests.conftest import TINY
from tests.table_files import block_table, mutate
from tests.trained import large
from tests.unit.test_tables import make_table

SPACE = spaces.get(TINY)
(ARCHITECTURE,) = SPACE.sample(1, seed=5)
NETWORK = SPACE.network(ARCHITECTURE)
RECORD = WeightsRecord(SPACE.name, tuple(ARCHITECTURE.tolist()))
DATASET = Dataset("squares", large(40, 1), large(40, 2), 4)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write(tmp_path / "trained.safetensors")


def write(path: Path, record: WeightsRecord = RECORD) -> Path:
    weight_files.save(path, untrained_weights(NETWORK, seed=0), record)
    return path


def deploy(weights: Path, dataset: Any = DATASET, **words: Any) -> None:
    hwbench.deploy(weights, dataset, output=weights.parent / "out", **words)


def table(path: Path, change: Callable[[LookupTable], LookupTable] = lambda found: found) -> Path:
    lookup.save(change(make_table(space=SPACE)), path)
    return path


def test_a_file_that_holds_no_weights(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.safetensors cannot be read"):
        deploy(tmp_path / "none.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk" * 10)
    with pytest.raises(CorruptFile, match=r"junk\.safetensors is not a readable safetensors file"):
        deploy(tmp_path / "junk.safetensors")
    (tmp_path / "bare.safetensors").write_bytes(weight_files.encoded({"a": np.zeros(3, np.float32)}, {}))
    with pytest.raises(CorruptFile, match=r"bare\.safetensors does not say which architecture"):
        deploy(tmp_path / "bare.safetensors")


@pytest.mark.parametrize(
    "record",
    [
        WeightsRecord("nothing-w1", RECORD.architecture), WeightsRecord("", ()), WeightsRecord(SPACE.name, ()),
        WeightsRecord(SPACE.name, (99,) * len(RECORD.architecture)),
        WeightsRecord(SPACE.name, (-1,) * len(RECORD.architecture)),
        WeightsRecord(SPACE.name, (2**62,) * len(RECORD.architecture)),
    ],
    ids=str,
)  # fmt: skip
def test_a_record_of_nothing_there_is(tmp_path: Path, record: WeightsRecord) -> None:
    with pytest.raises(CorruptFile, match=r"odd\.safetensors names no architecture that there is"):
        deploy(write(tmp_path / "odd.safetensors", record))


def test_weights_of_another_network(tmp_path: Path) -> None:
    other = msgspec.structs.replace(RECORD, architecture=tuple(SPACE.sample(2, seed=9)[1].tolist()))
    assert other.architecture != RECORD.architecture
    with pytest.raises(ModelError, match=r"other\.safetensors does not hold the weights of its network"):
        deploy(write(tmp_path / "other.safetensors", other))


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    arrays = untrained_weights(NETWORK, seed=0)
    name = next(name for name in arrays if name.endswith(".weight"))
    arrays[name] = np.full_like(arrays[name], np.nan)
    weight_files.save(tmp_path / "nan.safetensors", arrays, RECORD)
    with pytest.raises(ModelError, match=r"nan\.safetensors: the network's outputs are not finite"):
        deploy(tmp_path / "nan.safetensors")


def test_images_of_another_size_and_more_classes(weights: Path, tmp_path: Path) -> None:
    small = Images(DATASET.train.pixels[:, ::2, ::2], DATASET.train.labels)
    with pytest.raises(DataError, match="images of 8 x 8 x 3; the networks take 16 x 16 x 3"):
        deploy(weights, Dataset("small", small, small, 4))
    many = Images(DATASET.train.pixels, np.arange(40))
    with pytest.raises(DataError, match="40 classes; the networks know 4"):
        deploy(weights, Dataset("many", many, many, 40))
    with pytest.raises(DataError, match="nowhere is neither a file nor a folder"):
        deploy(weights, tmp_path / "nowhere")


@pytest.mark.parametrize(
    "scaling",
    [Scaling((0.0,), (1.0,)), Scaling((0.0,) * 3, (1.0, 0.0, 1.0)), Scaling((0.0,) * 3, (1.0, 1.0)),
     Scaling((0.0, 0.0, 1e39), (1.0,) * 3), Scaling((0.0,) * 3, (1e-39, 1.0, 1.0))],
)  # fmt: skip
def test_a_scaling_that_cannot_be(tmp_path: Path, scaling: Scaling) -> None:
    path = write(tmp_path / "trained.safetensors", msgspec.structs.replace(RECORD, scaling=scaling))
    with pytest.raises(DataError, match="scaling of images"):
        deploy(path)


def test_images_are_scaled_as_they_were_in_training(tmp_path: Path) -> None:
    scaling = Scaling((0.5, 0.25, 0.125), (1.0, 2.0, 4.0))
    path = write(tmp_path / "trained.safetensors", msgspec.structs.replace(RECORD, scaling=scaling))
    trial = trial_of(load_trained(path), DATASET, 12, 8)
    assert trial.inputs.shape == (12, 16, 16, 3)
    assert trial.calibration.shape == (8, 16, 16, 3)
    assert np.bincount(trial.labels).tolist() == [3, 3, 3, 3]
    expected = (DATASET.test.pixels / 255 - scaling.mean) / scaling.deviation
    rows = [np.abs(expected - image).max((1, 2, 3)).argmin() for image in trial.inputs]
    assert len(set(rows)) == 12
    np.testing.assert_allclose(trial.inputs, expected[rows], atol=1e-6)
    assert trial.scores.shape == (12, 4)


def test_tables_that_cannot_predict_it(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    lookup.save(make_table(space=spaces.get("proxylessnas-w0.25-r32-c10")), other)
    with pytest.raises(Incomparable, match=rf"other\.json is of proxylessnas-w0\.25-r32-c10; .* of {TINY}"):
        deploy(weights, tables=[other])
    lacking = table(tmp_path / "lacking.json", lambda found: msgspec.structs.replace(found, rows=found.rows[:3]))
    with pytest.raises(MissingRows, match="The table lacks"):
        deploy(weights, tables=[lacking])
    with pytest.raises(Incomparable, match="emulated device"):
        deploy(weights, tables=[table(tmp_path / "emulated.json", emulated)])
    with pytest.raises(Incomparable, match=r"whole\.json belongs to another target: device_id was .*, is"):
        deploy(weights, tables=[table(tmp_path / "whole.json")])
    assert not (tmp_path / "out").exists()


def emulated(found: LookupTable) -> LookupTable:
    rows = []
    for row in found.rows:
        assert row.measurement is not None
        rows.append(
            msgspec.structs.replace(row, measurement=msgspec.structs.replace(row.measurement, flags=(EMULATED,)))
        )
    return msgspec.structs.replace(found, rows=tuple(rows))


def test_each_file_has_one_prediction(weights: Path, tmp_path: Path) -> None:
    whole = table(tmp_path / "whole.json")
    form = Form("litert", "fp32")
    with pytest.raises(UsageError, match=r"both predict LiteRT fp32"):
        deploy(weights, tables=[whole, table(tmp_path / "again.json")])
    with pytest.raises(UsageError, match=r"predicts LiteRT fp32, which is not deployed"):
        deploy(weights, tables=[whole], forms=[Form("litert", "int8")])
    foreign = tmp_path / "foreign.json"
    imported.save(block_table(TINY), foreign)
    for words in ({"tables": [foreign]}, {"tables": [foreign, whole], "forms": [form]}):
        with pytest.raises(UsageError, match=r"foreign\.json does not say of which engine and precision it is"):
            deploy(weights, **words)


def test_what_no_engine_runs(weights: Path) -> None:
    options = hwbench.MeasureOptions(engine="executorch", delegate="portable")
    with pytest.raises(UsageError, match="ExecuTorch does not run int8 with the delegate 'portable'"):
        deploy(weights, forms=[Form("executorch", "int8")], options=options)


def test_nothing_is_overwritten_by_itself(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deployment.json").write_text("{}")
    with pytest.raises(UsageError, match=r"deployment\.json exists already"):
        deploy(weights)
    with pytest.raises(UsageError, match="nothing to resume"):
        deploy(weights, resume=True)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_weight_files(weights: Path, seed: int) -> None:
    data, rng = weights.read_bytes(), random.Random(seed)
    said: list[str] = []
    for _ in range(60):
        weights.write_bytes(mutate(data, rng))
        try:
            trial_of(load_trained(weights), DATASET, 4, 4)
        except HwbenchError as error:
            said.append(str(error))
    assert said
    assert [text for text in said if "trained.safetensors" not in text] == []


def test_an_imported_table_predicts_the_one_file(weights: Path, tmp_path: Path) -> None:
    found = block_table(TINY)
    imported.save(found, tmp_path / "foreign.json")
    form = Form("litert", "int8")
    device = LocalDevice()
    words = (load_trained(weights), [form], [tmp_path / "foreign.json"], None, device)
    (planned,) = plan_forms(*words, hwbench.MeasureOptions(cache="warm"), "standard")
    values = found.values()
    assert planned.form == form
    assert planned.predicted is not None
    assert planned.predicted.value_us == pytest.approx(sum(values[named.block.key].value for named in NETWORK))
    assert planned.bench.options.preset == "standard"
    assert planned.bench.target.precision == "int8"


def test_what_a_source_may_say(weights: Path) -> None:
    class Source:
        def __init__(self, mean_us: float, upper_us: float) -> None:
            self._found = Latencies(np.array([mean_us]), np.array([mean_us / 2]), np.array([upper_us]))

        def missing(self, architectures: object) -> tuple[str, ...]:
            return ()

        def predict(self, architectures: object) -> Latencies:
            return self._found

    def predicted(source: Source) -> Predicted | None:
        (planned,) = plan_forms(
            load_trained(weights), [Form()], [], source, LocalDevice(), hwbench.MeasureOptions(), None
        )
        return planned.predicted

    assert predicted(Source(10.0, 20.0)) == Predicted("The predictor", 10.0, 5.0, 20.0)
    assert predicted(Source(10.0, float("inf"))) == Predicted("The predictor", 10.0, None, None)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(DataError, match="The predictor predicts"):
            predicted(Source(wrong, 20.0))


def test_a_predictor_predicts_the_file_of_the_target_it_was_measured_on(weights: Path, tmp_path: Path) -> None:
    device, options = WeighingDevice(), hwbench.MeasureOptions(precision="int8")
    path = hwbench.adapt(weighed_pool(tmp_path), device=device, options=options, output=tmp_path / "p.json").path
    words = ([path], None, device, hwbench.MeasureOptions(cache="warm"), "standard")
    (planned,) = plan_forms(load_trained(weights), [], *words)
    expected = hwbench.latency_source(path).predict(ARCHITECTURE)
    assert planned.form == Form("litert", "int8")
    assert planned.predicted is not None
    assert planned.predicted.source == str(path)
    assert planned.predicted.value_us == pytest.approx(float(expected.mean_us[0]))
    assert planned.predicted.upper_us == pytest.approx(float(expected.upper_us[0]))
    assert (planned.bench.options.precision, planned.bench.options.preset) == ("int8", "standard")
    with pytest.raises(UsageError, match=r"p\.json predicts LiteRT int8, which is not deployed"):
        plan_forms(load_trained(weights), [Form()], *words)
    with pytest.raises(Incomparable, match=r"p\.json belongs to another target: .*runner was still-1, is"):
        deploy(weights, tables=[path])


def test_a_predictor_of_a_file_names_no_target(weights: Path, tmp_path: Path) -> None:
    known = weighed_pool(tmp_path)
    path = hwbench.adapt(known[:2], target=str(known[2]), output=tmp_path / "p.json").path
    words = ([path], None, LocalDevice(), hwbench.MeasureOptions(cache="warm"), None)
    (planned,) = plan_forms(load_trained(weights), [Form("litert", "int8")], *words)
    assert planned.predicted is not None
    assert planned.predicted.source == str(path)
    with pytest.raises(UsageError, match=r"p\.json does not say of which engine and precision it is"):
        plan_forms(load_trained(weights), [], *words)
