"""Training one network: it learns, goes on where it was, and keeps its weights; batches and augmentation."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.errors import CorruptFile, HwbenchError, Incomparable, ModelError
from hwbench.models import weight_files
from hwbench.models.torch_nets import build
from hwbench.models.weight_files import WeightsRecord
from hwbench.models.weights import random_weights, untrained_weights
from hwbench.search.data import Images
from hwbench.search.training import batches as training_batches
from hwbench.search.training.batches import Batches, Normalisation, augmented, in_order
from hwbench.search.training.network import Trained, accuracy, recalibrated, scores, train
from hwbench.search.training.ranks import Ranks
from hwbench.search.training.settings import NO_AUGMENTATION, Augmentation, TrainingSettings, WeightSettings
from tests.supernets import SMALL, images
from tests.table_files import mutate

(ARCHITECTURE,) = SMALL.parse(["k3e3", "zero", "k5e3", "zero"])
NETWORK = SMALL.network(ARCHITECTURE)
SETTINGS = TrainingSettings(WeightSettings(epochs=6, batch=32, learning_rate=0.1), NO_AUGMENTATION, checkpoint_steps=3)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(NETWORK, images(256, 1), SETTINGS)


def assert_same(found: Trained, wanted: Trained) -> None:
    assert found.losses == wanted.losses
    assert found.weights.keys() == wanted.weights.keys()
    for name, array in wanted.weights.items():
        np.testing.assert_array_equal(found.weights[name], array, err_msg=name)


def test_it_learns(trained: Trained) -> None:
    normalisation = Normalisation(images(256, 1))
    assert len(trained.losses) == 6
    assert trained.losses[-1] < trained.losses[0]
    assert accuracy(NETWORK, trained.weights, images(128, 2), normalisation) > 0.9
    untrained = untrained_weights(NETWORK, 0)
    assert accuracy(NETWORK, untrained, images(128, 2), normalisation) < 0.6


def test_blocks_whose_residuals_are_zero_pass_on_what_they_get() -> None:
    (deep,) = SMALL.parse(["k3e3", "k7e6", "k5e3", "k3e6"])
    shown, normalisation = images(64, 1), Normalisation(images(64, 1))
    for residuals, same in (("zero", True), ("drawn", False)):
        none = TrainingSettings(WeightSettings(epochs=0), residuals=residuals)
        shallow_scores, deep_scores = (
            scores(network, train(network, shown, none).weights, shown, normalisation)
            for network in (NETWORK, SMALL.network(deep))
        )
        assert np.allclose(shallow_scores, deep_scores, atol=1e-5) is same


def test_zero_residuals_are_trained() -> None:
    (deep,) = SMALL.parse(["k3e3", "k7e6", "k5e3", "k3e6"])
    settings = msgspec.structs.replace(SETTINGS, residuals="zero")
    trained = train(SMALL.network(deep), images(256, 1), settings).weights
    scales = [name for name in trained if name.endswith("project.bn_scale")]
    assert len(scales) == 5
    assert all(np.abs(trained[name]).max() > 0 for name in scales)


def test_it_goes_on_where_it_was_stopped(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Batches.batch, 0

    def failing(self: Batches, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal calls
        calls += 1
        if calls > 20:
            raise MemoryError
        return real(self, step)

    with monkeypatch.context() as patched:
        patched.setattr(Batches, "batch", failing)
        with pytest.raises(MemoryError):
            train(NETWORK, images(256, 1), SETTINGS, folder=tmp_path)
    assert_same(train(NETWORK, images(256, 1), SETTINGS, folder=tmp_path), trained)
    with pytest.raises(Incomparable):
        train(NETWORK, images(256, 2), SETTINGS, folder=tmp_path)


def test_fine_tuning_begins_with_the_given_weights(trained: Trained) -> None:
    short = msgspec.structs.replace(SETTINGS, weights=WeightSettings(epochs=1, batch=32, learning_rate=1e-3))
    tuned = train(NETWORK, images(256, 1), short, weights=trained.weights)
    assert tuned.losses[0] < 1.1 * trained.losses[-1]
    with pytest.raises(ModelError, match=r"lack the array 'stem\.conv"):
        train(NETWORK, images(256, 1), short, weights={})


def test_recalibration_gives_the_norms_the_statistics_of_the_images() -> None:
    weights, made = random_weights(NETWORK, 0), images(96)
    normalisation = Normalisation(made)
    found = recalibrated(NETWORK, weights, made, normalisation)
    (pixels, _), *rest = in_order(made, normalisation)
    assert not rest
    first = build(NETWORK, weights).blocks[0].ops["conv"].conv(pixels)
    np.testing.assert_allclose(found["stem.conv.bn_mean"], first.mean((0, 2, 3)).detach(), atol=1e-5)
    np.testing.assert_allclose(found["stem.conv.bn_variance"], first.var((0, 2, 3)).detach(), rtol=1e-4)
    np.testing.assert_array_equal(found["stem.conv.weight"], weights["stem.conv.weight"])
    # In training mode a network uses the statistics of its batch, which are now the stored ones.
    network = build(NETWORK, found)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(pixels), network.train()(pixels), atol=2e-2, rtol=2e-2)


def test_recalibration_does_not_mind_images_that_lie_class_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_batches, "_EVALUATION_BATCH", 16)
    weights, mixed = random_weights(NETWORK, 0), images(256)
    by_class = mixed.take(np.argsort(mixed.labels, kind="stable"))
    normalisation = Normalisation(mixed)
    found, wanted = (recalibrated(NETWORK, weights, made, normalisation) for made in (by_class, mixed))
    for name in [name for name in wanted if name.endswith("bn_variance")]:
        # Batches of one class alone would give a part of the variance.
        assert np.median(found[name] / wanted[name]) == pytest.approx(1, abs=0.05), name


def test_weights_are_kept_with_what_they_belong_to(trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    record = WeightsRecord(SMALL.name, tuple(ARCHITECTURE.tolist()), {"accuracy": "0.98"})
    weight_files.save(path, trained.weights, record)
    weights, found = weight_files.load(path)
    assert found == record
    assert_same(Trained(weights, trained.losses), trained)
    build(SMALL.network(found.architecture), weights)


def test_damaged_weight_files_are_refused_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    small = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
    weight_files.save(path, small, WeightsRecord("space", (1, 2)))
    content, rng, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        path.write_bytes(mutate(content, rng))
        try:
            weight_files.load(path)
        except HwbenchError as error:
            refused += 1
            if path.name not in str(error):
                raise
    assert refused > 100
    path.write_bytes(b"\xff" * 8 + b"{}")
    with pytest.raises(CorruptFile):
        weight_files.load(path)


def numbered(count: int) -> Images:
    """Images that carry their own number in each pixel."""
    pixels = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 4, 4, 1))
    return Images(np.ascontiguousarray(pixels), np.arange(count) % 2)


def rows_of(batches: Batches, images: Images, step: int) -> list[int]:
    pixels, labels = batches.batch(step)
    normalisation = Normalisation(images)
    found = (pixels[:, 0, 2, 2].numpy() * normalisation.deviation[0] + normalisation.mean[0]) * 255
    rows: list[int] = np.rint(found).astype(int).tolist()
    assert [row % 2 for row in rows] == labels.tolist()
    return rows


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 60), st.integers(2, 8), st.integers(0, 1000))
def test_an_epoch_sees_no_image_twice_and_orders_differ(count: int, batch: int, seed: int) -> None:
    made = numbered(count)
    batches = Batches(made, batch, Normalisation(made), NO_AUGMENTATION, (seed, 0))
    epochs = [
        [row for step in range(batches.per_epoch) for row in rows_of(batches, made, epoch * batches.per_epoch + step)]
        for epoch in range(2)
    ]
    for epoch in epochs:
        assert len(set(epoch)) == len(epoch) == count // batch * batch
    again = Batches(made, batch, Normalisation(made), NO_AUGMENTATION, (seed, 0))
    assert rows_of(again, made, 1) == rows_of(batches, made, 1)


def test_the_ranks_share_the_joint_batch() -> None:
    made, augmentation = images(64), Augmentation(0.3, 2, True)
    normalisation = Normalisation(made)
    whole = Batches(made, 12, normalisation, augmentation, (3, 0)).batch(7)
    parts = [Batches(made, 12, normalisation, augmentation, (3, 0), Ranks(rank, 3)).batch(7) for rank in range(3)]
    torch.testing.assert_close(torch.cat([pixels for pixels, _ in parts]), whole[0], atol=1e-6, rtol=0)
    assert torch.equal(torch.cat([labels for _, labels in parts]), whole[1])


def test_augmentation_moves_mirrors_and_scales() -> None:
    pixels = torch.arange(2 * 4 * 6, dtype=torch.float32).reshape(1, 2, 4, 6)

    def seen(row: list[list[float]]) -> torch.Tensor:
        return augmented(pixels, torch.tensor([row], dtype=torch.float32))

    torch.testing.assert_close(seen([[1, 0, 0], [0, 1, 0]]), pixels)
    torch.testing.assert_close(seen([[-1, 0, 0], [0, 1, 0]]), pixels.flip(3))
    moved = seen([[1, 0, 2 / 6], [0, 1, -2 / 4]])
    torch.testing.assert_close(moved[..., 1:, :-1], pixels[..., :-1, 1:])
    assert moved[..., 0, :].abs().max() == 0
    middle = seen([[1 / 3, 0, 0], [0, 0.5, 0]])
    assert middle.min() > pixels.min()
    assert middle.max() < pixels.max()


def test_normalised_training_images_have_mean_0_and_deviation_1() -> None:
    made = images(200)
    pixels = Normalisation(made).tensor(made.pixels)
    torch.testing.assert_close(pixels.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(pixels.std((0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)
