"""What deploying a network brings: files, what they answer beside PyTorch, what they take beside a prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench import files
from hwbench.measure.evaluation import Outputs
from hwbench.models.formats import Affine, Engine, Precision
from hwbench.models.inputs import real_values
from hwbench.records import EMULATED, DeviceRecord, Measurement, Target

KIND, VERSION = "deployment", 1

# A prediction holds if the measurement is within its interval or this near to it.
TOLERANCE = 0.05
# fp32: of the largest output; beyond it, it is another function.
_LARGEST_DIFFERENCE = 1e-4
# Images of a hundred that may be answered otherwise.
_POINTS: dict[Precision, float] = {"fp32": 0.1, "int8": 1.0}


class Predicted(msgspec.Struct, frozen=True):
    """The latency that `source`, a table's file or a name, says, with its 95 % interval (None: it knows none)."""

    source: str
    value_us: float
    lower_us: float | None
    upper_us: float | None


class Held(msgspec.Struct, frozen=True):
    """Whether a prediction holds; `error` is of the measurement relative to it."""

    error: float
    within_interval: bool
    within_tolerance: bool
    holds: bool


class Answers(msgspec.Struct, frozen=True):
    """What a file answers on the device, beside PyTorch on the host.

    `same_class` counts the images that both put in one class. `largest_difference` is that of any of the compared
    outputs, relative to the largest magnitude of PyTorch's.
    """

    images: int
    accuracy: float
    torch_accuracy: float
    same_class: int
    largest_difference: float
    agrees: bool


class HostAnswers(msgspec.Struct, frozen=True):
    """The same file on the host: how many images get the same class there, and the largest difference of outputs.

    It is relative to the largest output for fp32, in steps of the output's integers for int8. Two processors round
    differently, so a tie may go either way.
    """

    images: int
    same_class: int
    largest_difference: float
    agrees: bool


class DeployedModel(msgspec.Struct, frozen=True):
    """One exported file. `predicted` and `held` are None without a prediction, `held` also on an emulated device.

    `host` is None where the device is the host.
    """

    path: str
    sha256: str
    bytes: int
    engine: Engine
    precision: Precision
    target: Target
    delegated_share: float | None
    latency: Measurement
    predicted: Predicted | None
    held: Held | None
    answers: Answers
    host: HostAnswers | None

    @property
    def good(self) -> bool:
        """Whether its prediction holds, if there is one, and its answers are those of PyTorch and of the host."""
        return (
            self.answers.agrees and (self.host is None or self.host.agrees) and (self.held is None or self.held.holds)
        )


class Deployment(msgspec.Struct, frozen=True):
    """A trained network on a device. `notes` are the device's."""

    weights: str
    weights_sha256: str
    space: str
    architecture: tuple[int, ...]
    labels: tuple[str, ...]
    dataset: str
    calibration_images: int
    device: DeviceRecord
    models: tuple[DeployedModel, ...]
    seconds: float
    notes: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether all of its files are."""
        return all(model.good for model in self.models)


def save(found: Deployment, path: Path) -> None:
    """Writes it, replacing what was there. Raises DeviceError when the disk refuses."""
    files.save(path, KIND, VERSION, found)


def load(path: Path) -> Deployment:
    """What `deploy` left. Raises DataError, CorruptFile or SchemaTooNew naming the file."""
    return files.load(path, KIND, VERSION, Deployment)


def held(latency: Measurement, predicted: Predicted | None) -> Held | None:
    """Whether the measurement is what was predicted; None where there is nothing to hold, or nothing that was timed."""
    if predicted is None or EMULATED in latency.flags:
        return None
    error = latency.value_us / predicted.value_us - 1
    lower, upper = predicted.lower_us, predicted.upper_us
    within_interval = lower is not None and upper is not None and lower <= latency.value_us <= upper
    within_tolerance = abs(error) <= TOLERANCE
    return Held(error, within_interval, within_tolerance, within_interval or within_tolerance)


def answers(
    outputs: Outputs,
    affine: Affine | None,
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    precision: Precision,
) -> Answers:
    """Outputs on a device beside PyTorch's `scores` (images, classes) of the same images.

    fp32 agrees if no output differs by more than 1e-4 of the largest and the accuracy by no more than 0.1 points;
    int8 if the accuracy differs by no more than one point. One image may always make the difference.
    """
    images = len(labels)
    theirs = scores.argmax(1)
    right, torch_right = int((outputs.classes == labels).sum()), int((theirs == labels).sum())
    expected = np.take_along_axis(scores.astype(np.float64), outputs.places, axis=1)
    difference = float(np.abs(real_values(outputs.values, affine) - expected).max()) / _largest(scores)
    agrees = abs(right - torch_right) <= _allowed(precision, images) and (
        precision == "int8" or difference <= _LARGEST_DIFFERENCE
    )
    same = int((outputs.classes == theirs).sum())
    return Answers(images, right / images, torch_right / images, same, difference, agrees)


def host_answers(device: Outputs, host: Outputs, precision: Precision) -> HostAnswers:
    """What the device said beside what the host said of the same file and inputs, element by element."""
    images, same = len(host.places), int((device.classes == host.classes).sum())
    agrees = images - same <= _allowed(precision, images)
    return HostAnswers(images, same, _difference(device, host, precision), agrees)


def _difference(device: Outputs, host: Outputs, precision: Precision) -> float:
    """Of elements that both tell; where they are in another order, both tell them with their places."""
    there, here = np.argsort(device.places, axis=1), np.argsort(host.places, axis=1)
    same = np.take_along_axis(device.places, there, 1) == np.take_along_axis(host.places, here, 1)
    apart = np.abs(np.take_along_axis(device.values, there, 1) - np.take_along_axis(host.values, here, 1))[same]
    largest = float(apart.max(initial=0.0))
    return largest if precision == "int8" else largest / _largest(host.values)


def _allowed(precision: Precision, images: int) -> int:
    """How many images may be answered otherwise; one always may."""
    return max(1, int(_POINTS[precision] / 100 * images))


def _largest(values: NDArray[np.floating[Any]]) -> float:
    """The largest magnitude; a network that says nothing but zero has one as well."""
    return max(float(np.abs(values).max()), 1e-30)
