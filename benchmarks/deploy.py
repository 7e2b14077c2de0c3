"""A trained network as .tflite and .pte on this computer and on a virtual phone: answers, latency beside predictions.

On this computer: accuracy on all test images of Fashion-MNIST by each file beside PyTorch's, and the measured latency
beside the prediction of a table of the same space, measured here for that engine and precision. `--profile` makes such
tables and corrects them by ten other networks: blocks of microseconds add up to more than networks of them take, since
each pays for a call of its own. On the virtual phone, whose times mean nothing: for how many test images each file's
class is that of its run on this computer. The network is one of a weights file, or the architecture of a file or a
random one, trained from scratch for a few epochs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

import hwbench
from benchmarks.common import parser, report
from hwbench import spaces
from hwbench.devices import Device
from hwbench.measure.presets import PRESETS
from hwbench.models import weight_files
from hwbench.models.formats import Engine, Precision
from hwbench.models.weight_files import WeightsRecord
from hwbench.search import data
from hwbench.search.data import Dataset
from hwbench.search.training.batches import Normalisation
from hwbench.search.training.network import train
from hwbench.search.training.settings import TrainingSettings, WeightSettings
from hwbench.spaces import architecture_file
from hwbench.workflows.deploying.deployed import DeployedModel, Deployment, Predicted
from hwbench.workflows.deploying.plan import Form

SPACE = "proxylessnas-w0.35-r28-c10-i1"
ENGINES: tuple[Engine, ...] = ("litert", "executorch")
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
FORMS = tuple(Form(engine, precision) for engine in ENGINES for precision in PRECISIONS)
POINTS = {"fp32": 0.1, "int8": 1.0}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, help="a trained network; without it one is trained")
    arguments.add_argument("--space", default=SPACE)
    arguments.add_argument("--architecture", type=Path, help="what to train; a random one of the space by default")
    arguments.add_argument("--epochs", type=int, default=4)
    arguments.add_argument("--train-images", type=int, default=20_000)
    arguments.add_argument("--data", type=Path, help="a data set; Fashion-MNIST as installed by default")
    arguments.add_argument("--table", type=Path, action="append", default=[], help="predicts one of the files")
    arguments.add_argument(
        "--profile", action="store_true", help="make calibrated tables for LiteRT's files here first"
    )
    arguments.add_argument("--preset", default="standard")
    arguments.add_argument("--images", type=int, help="test images on this computer; all by default")
    arguments.add_argument("--phone-images", type=int, default=200, help="0: no virtual phone")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    images = data.find_fashion_mnist() if options.data is None else data.load(options.data)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = options.weights or _trained(folder / "trained.safetensors", images, options)
        tables = [*options.table, *(_tables(weights, folder, options.preset) if options.profile else [])]
        here = hwbench.deploy(
            weights, images, forms=FORMS, tables=tables, preset=options.preset, test_images=options.images,
            output=folder / "here",
        )  # fmt: skip
        result: dict[str, Any] = {
            "space": here.space,
            "architecture": here.labels,
            "training": None if options.weights else {"epochs": options.epochs, "images": options.train_images},
            "test_images": here.models[0].answers.images,
            "this_computer": [_summary(model) for model in here.models],
            "promises": _promises(here),
        }
        if options.phone_images:
            with _virtual_phone(folder / "phone") as phone:
                there = hwbench.deploy(
                    weights,
                    images,
                    forms=FORMS,
                    device=phone,
                    test_images=options.phone_images,
                    output=folder / "there",
                )
            result["virtual_phone"] = [_phone_summary(model) for model in there.models]
            result["promises"]["the phone's class of every image is this computer's"] = all(
                model.host is not None and model.host.same_class == model.host.images for model in there.models
            )
    report("deploy", result, options.keep)


def _tables(weights: Path, folder: Path, preset: str) -> list[Path]:
    """A table of the network's space for each of LiteRT's files, corrected by whole networks that are not this one."""
    _, record = weight_files.load(weights)
    paths = []
    for form in FORMS:
        if form.engine == "litert":
            options = hwbench.MeasureOptions(preset=preset, precision=form.precision)
            measured = hwbench.profile(record.space, options=options, output=folder / f"{form.precision}.json")
            paths.append(hwbench.calibrate(measured.path, networks=10).path)
    return paths


def _trained(path: Path, images: Dataset, options: Any) -> Path:
    """A network trained from scratch, as a weights file."""
    space = spaces.get(options.space)
    (architecture,) = (
        space.sample(1, seed=0)
        if options.architecture is None
        else architecture_file.read(space, str(options.architecture))
    )
    count = min(options.train_images, len(images.train) - 1)
    _, chosen = data.split(images.train, count, seed=0)
    settings = TrainingSettings(WeightSettings(epochs=options.epochs, batch=64, learning_rate=0.05))
    found = train(space.network(architecture), chosen, settings)
    scaling = Normalisation(chosen).scaling
    weight_files.save(path, found.weights, WeightsRecord(space.name, tuple(architecture.tolist()), scaling=scaling))
    return path


@contextmanager
def _virtual_phone(folder: Path) -> Iterator[Device]:
    """A phone that is on, with the shortest preset there is."""
    from tests.integration.bundles import built, own_cache
    from tests.phone import binfmt
    from tests.phone.adb_server import DEBIAN
    from tests.phone.adb_server import AdbServer as PrivateServer
    from tests.phone.command_line import ONCE
    from tests.phone.phone import VirtualPhone

    from hwbench.devices.adb import AdbTransport
    from hwbench.devices.adb_server import AdbServer
    from hwbench.devices.phone.phone import Phone
    from hwbench.devices.remote import RemoteDevice

    binfmt.enable()
    built("android-arm64")
    built("linux-x86_64")
    server = PrivateServer(DEBIAN, folder / "adb")
    phone = VirtualPhone(folder / "files")
    try:
        phone.start()
        server.connect(phone)
        transport = AdbTransport(phone.serial, AdbServer(server.port))
        with pytest.MonkeyPatch.context() as patch, own_cache():
            patch.setitem(PRESETS, "quick", ONCE)
            yield RemoteDevice(transport, Phone(transport))
    finally:
        phone.stop()
        server.stop()


def _summary(model: DeployedModel) -> dict[str, Any]:
    return {
        "engine": model.engine,
        "precision": model.precision,
        "delegate": model.target.delegate,
        "runner": model.target.runner,
        "bytes": model.bytes,
        "answers": msgspec.to_builtins(model.answers),
        "latency_us": model.latency.value_us,
        "lower_us": model.latency.lower_us,
        "upper_us": model.latency.upper_us,
        "flags": model.latency.flags,
        "predicted": model.predicted and msgspec.to_builtins(_nameless(model.predicted)),
        "held": msgspec.to_builtins(model.held),
    }


def _nameless(predicted: Predicted) -> Predicted:
    """Where its table lies on this machine is nobody's business."""
    return msgspec.structs.replace(predicted, source=Path(predicted.source).name)


def _phone_summary(model: DeployedModel) -> dict[str, Any]:
    return {
        "engine": model.engine,
        "precision": model.precision,
        "answers": msgspec.to_builtins(model.answers),
        "host": msgspec.to_builtins(model.host),
        "flags": model.latency.flags,
    }


def _promises(found: Deployment) -> dict[str, bool]:
    """What the page on deploying says of this computer, over all files."""
    apart = [abs(m.answers.accuracy - m.answers.torch_accuracy) * 100 / POINTS[m.precision] for m in found.models]
    kept = {"accuracy within 0.1 points (fp32) and 1 point (int8) of PyTorch": max(apart) <= 1 + 1e-9}
    if predicted := [model.held for model in found.models if model.held is not None]:
        kept["latency within 5 % of the prediction"] = all(one.within_tolerance for one in predicted)
    return kept


if __name__ == "__main__":
    main()
