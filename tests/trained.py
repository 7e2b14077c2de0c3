"""A network of the tiny space, trained within seconds on images that a network can learn, and its files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from hwbench import spaces
from hwbench.models import weight_files
from hwbench.models.weight_files import WeightsRecord
from hwbench.models.weights import Array
from hwbench.search.data.images import Dataset, Images
from hwbench.search.training.batches import Normalisation
from hwbench.search.training.network import train
from hwbench.search.training.settings import NO_AUGMENTATION, TrainingSettings, WeightSettings
from hwbench.spaces.space import NamedBlock, Space
from tests.conftest import TINY
from tests.supernets import images

SPACE = spaces.get(TINY)


class TrainedFiles(msgspec.Struct, frozen=True):
    """Weights and images as files, and what they hold."""

    weights: Path
    npz: Path
    space: Space
    architecture: NDArray[np.uint8]
    arrays: dict[str, Array]
    dataset: Dataset

    @property
    def network(self) -> tuple[NamedBlock, ...]:
        return self.space.network(self.architecture)


def large(count: int, seed: int) -> Images:
    """Images of 16 x 16 x 3 that show their class, one of four."""
    small = images(count, seed)
    return Images(small.pixels.repeat(2, axis=1).repeat(2, axis=2), small.labels)


def train_tiny(folder: Path, test_images: int = 300) -> TrainedFiles:
    """Trains and writes `trained.safetensors` and `images.npz`."""
    torch.set_num_threads(1)
    dataset = Dataset("images.npz", large(512, 1), large(test_images, 2), 4)
    (architecture,) = SPACE.sample(1, seed=5)
    settings = TrainingSettings(WeightSettings(epochs=4, batch=32, learning_rate=0.1), NO_AUGMENTATION)
    network = SPACE.network(architecture)
    arrays = train(network, dataset.train, settings).weights
    scaling = Normalisation(dataset.train).scaling
    record = WeightsRecord(SPACE.name, tuple(architecture.tolist()), scaling=scaling)
    weight_files.save(folder / "trained.safetensors", arrays, record)
    np.savez(
        folder / "images.npz", x_train=dataset.train.pixels, y_train=dataset.train.labels,
        x_test=dataset.test.pixels, y_test=dataset.test.labels,
    )  # fmt: skip
    return TrainedFiles(folder / "trained.safetensors", folder / "images.npz", SPACE, architecture, arrays, dataset)
