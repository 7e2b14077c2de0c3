"""The chain from two known targets to a trained network on a third, in a tiny space with images learnt in seconds."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from examples import chain

import hwbench
from hwbench import spaces
from hwbench.errors import Incomparable, UsageError
from hwbench.reports.units import latency
from hwbench.search.data import npz
from hwbench.search.supernet.recipes import Recipe
from hwbench.search.supernet.settings import ArchitectureSettings, SearchSettings, WarmUp
from hwbench.search.training.settings import NO_AUGMENTATION, TrainingSettings, WeightSettings
from hwbench.spaces import architecture_file
from hwbench.tables.lookup import target_name
from hwbench.transfer import predictor_file
from tests.conftest import TINY
from tests.trained import large

RECIPE = Recipe(
    SearchSettings(
        ArchitectureSettings(batch=16, every=2, first_epoch=0),
        WarmUp(1),
        WeightSettings(epochs=1, batch=16, learning_rate=0.05),
        NO_AUGMENTATION,
    ),
    TrainingSettings(WeightSettings(epochs=8, batch=32, learning_rate=0.1), NO_AUGMENTATION),
)
IMAGES = 60


class Run(msgspec.Struct, frozen=True):
    folder: Path
    setting: chain.Setting
    found: chain.Found
    said: list[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("chain")
    train, test = large(512, 1), large(200, 2)
    arrays = (train.pixels, train.labels, test.pixels, test.labels)
    np.savez(folder / "whole.npz", **dict(zip(npz.ARRAYS, arrays, strict=True)))
    setting = chain.Setting(space=TINY, data=str(folder / "whole.npz"), train_images=400, test_images=IMAGES)
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        found = chain.run(setting, folder / "chain", recipe=RECIPE, say=said.append)
    return Run(folder / "chain", setting, found, said)


def test_it_ends_with_a_network_that_runs_on_the_new_target(finished: Run) -> None:
    found, folder = finished.found, finished.folder
    target = found.model.target
    assert (target.engine.name, target.delegate, target.precision) == ("litert", "xnnpack", "int8")
    assert found.model.answers.images == IMAGES
    assert found.model.answers.accuracy > 0.5
    assert found.model.answers.accuracy == pytest.approx(found.model.answers.torch_accuracy, abs=0.1)
    assert Path(found.model.path).read_bytes()
    assert found.model.latency.lower_us <= found.model.latency.value_us <= found.model.latency.upper_us
    assert found.limit_kept == (found.model.latency.value_us <= found.limit_us)
    kept = architecture_file.load(folder / "supernet" / "architecture.json")
    assert spaces.get(TINY).describe(np.array(kept.choices, np.uint8)) == found.labels
    steps = [line.split(":")[0] for line in finished.said if not line.startswith(" ")]
    assert steps == ["profile", "profile", "compare", "adapt", "proxy", "proxy", "proxy", "search", "deploy"]


def test_the_limit_is_kept_by_what_the_search_felt(finished: Run) -> None:
    found, folder = finished.found, finished.folder
    (architecture,) = [architecture_file.load(folder / "supernet" / "architecture.json").choices]
    predictor = folder / f"{chain.NEW}.predictor.json"
    surely = hwbench.Latency(hwbench.latency_source(predictor), confidence=0.95).of(architecture)
    assert found.adapted.mean_us < surely[0] <= found.limit_us
    assert found.model.predicted is not None
    assert found.model.predicted.value_us == pytest.approx(found.adapted.mean_us)
    model = predictor_file.load(predictor).model
    assert isinstance(model, predictor_file.AdaptedProxy)
    proxy = folder / f"{found.proxy}.json"
    assert model.proxy == target_name(hwbench.load_table(proxy).target)
    assert found.by_proxy.mean_us == pytest.approx(hwbench.latency_source(proxy).predict(architecture).mean_us[0])


def test_what_measuring_took_is_said_beside_a_full_table(finished: Run) -> None:
    found = finished.found
    assert found.tables_s == {
        name: hwbench.load_table(finished.folder / f"{name}.json").seconds for name in chain.KNOWN
    }
    assert found.networks_s > 0
    assert (found.counted.picked, found.counted.held_out, found.counted.repeated) == (10, 3, 2)
    told = chain.text(found)
    for microseconds in (
        found.limit_us, found.by_proxy.mean_us, found.adapted.mean_us, found.model.latency.value_us,
    ):  # fmt: skip
        assert latency(microseconds) in told
    assert "10 networks, and 5 to check" in told
    assert ("THE LIMIT IS NOT KEPT" in told) is not found.limit_kept


def test_another_run_measures_nothing_again(finished: Run) -> None:
    before = {path.name: path.read_bytes() for path in finished.folder.glob("*.json")}
    said: list[str] = []
    again = chain.run(finished.setting, finished.folder, recipe=RECIPE, say=said.append)
    assert again == finished.found
    assert not [line for line in said if line.startswith(("profile", "adapt", "deploy", "  "))]
    assert {path.name: path.read_bytes() for path in finished.folder.glob("*.json")} == before


def test_a_folder_of_something_else_is_refused(finished: Run) -> None:
    other = msgspec.structs.replace(finished.setting, preset="standard")
    with pytest.raises(UsageError, match=r"belongs to another setting: see .*setting\.json"):
        chain.run(other, finished.folder, recipe=RECIPE)
    with pytest.raises(Incomparable):
        chain.run(finished.setting, finished.folder, recipe=RECIPE, limit="1s", say=lambda _: None)
    assert chain.run(finished.setting, finished.folder, recipe=RECIPE, say=lambda _: None) == finished.found


def test_images_are_missed_before_anything_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--folder", str(tmp_path / "chain"), "--data", str(tmp_path / "nowhere")]
    assert chain.main(words) == 2
    assert "nowhere is neither a file nor a folder" in capsys.readouterr().err
    assert not (tmp_path / "chain").exists()
