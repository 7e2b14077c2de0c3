"""A trained network as it is deployed: its weights, the images it is tried with, and what PyTorch answers to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench import files, spaces
from hwbench.errors import CorruptFile, DataError, HwbenchError, ModelError, UsageError
from hwbench.models import weight_files
from hwbench.models.weight_files import Scaling
from hwbench.models.weights import Array, Weights
from hwbench.search.data.images import Dataset, Images, split
from hwbench.spaces.space import Architectures, NamedBlock, Space

if TYPE_CHECKING:
    from hwbench.search.training.batches import Normalisation

_SEED = 0
# Images are fractions of one: no set of them has such a mean or deviation.
_LARGEST = 1e6


class TrainedNetwork(msgspec.Struct, frozen=True):
    """A network with its weights, read from a file and checked."""

    path: Path
    sha256: str
    space: Space
    architecture: Architectures
    network: tuple[NamedBlock, ...]
    weights: Weights
    scaling: Scaling | None


class Trial(msgspec.Struct, frozen=True):
    """What a network is tried with: inputs (n, height, width, channels) and labels of its test images.

    `calibration` are training images as inputs, `scores` (n, classes) PyTorch's outputs.
    """

    inputs: Array
    labels: NDArray[np.int64]
    calibration: Array
    scores: NDArray[np.float32]


def load_trained(path: Path) -> TrainedNetwork:
    """The network of a weights file. Raises DataError, CorruptFile or ModelError naming the file."""
    weights, record = weight_files.load(path)
    try:
        space = spaces.get(record.space)
        (architecture,) = space.check(record.architecture)
    except (HwbenchError, OverflowError, ValueError) as error:
        raise CorruptFile(f"{path} names no architecture that there is: {error}") from error
    sha256 = files.sha256(files.read(path))
    return TrainedNetwork(path, sha256, space, architecture, space.network(architecture), weights, record.scaling)


def trial_of(trained: TrainedNetwork, dataset: Dataset, test_images: int | None, calibration_images: int) -> Trial:
    """The network's answers to `test_images` of the data set's test images (None: all), each class with its share.

    Raises ModelError for weights that are not the network's, DataError for an impossible scaling, UsageError without
    torch.
    """
    normalisation = _normalisation(trained, dataset)
    from hwbench.search.training.network import scores

    test = _some(dataset.test, test_images)
    calibration = _some(dataset.train, calibration_images)
    try:
        found = scores(trained.network, trained.weights, test, normalisation)
    except ModelError as error:
        raise ModelError(f"{trained.path} does not hold the weights of its network: {error.message}") from error
    if not np.isfinite(found).all():
        raise ModelError(f"{trained.path}: the network's outputs are not finite.", hint="Train it anew.")
    return Trial(normalisation.array(test.pixels), test.labels, normalisation.array(calibration.pixels), found)


def _normalisation(trained: TrainedNetwork, dataset: Dataset) -> Normalisation:
    try:
        from hwbench.search.training.batches import Normalisation
    except ImportError as error:
        raise UsageError("A trained network is checked with torch.", hint="pip install 'hwbench[search]'") from error
    scaling = trained.scaling
    if scaling is None:
        return Normalisation(dataset.train)
    channels = trained.network[0].block.in_shape[2]
    known = len(scaling.mean) == len(scaling.deviation) == channels
    small = all(abs(mean) <= _LARGEST for mean in scaling.mean)
    if not known or not small or not all(1 / _LARGEST <= one <= _LARGEST for one in scaling.deviation):
        raise DataError(f"{trained.path} has a scaling of images that cannot be.", hint="Save its weights anew.")
    return Normalisation.of(scaling)


def _some(images: Images, count: int | None) -> Images:
    """`count` of the images, the same ones at each call."""
    return images if count is None or count >= len(images) else split(images, count, _SEED)[1]
