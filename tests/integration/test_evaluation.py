"""Evaluations on this computer: interrupted anywhere they go on where they were; results that cannot be are refused."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hwbench.devices import LocalDevice
from hwbench.devices.base import LaunchReport, LaunchRequest, Pulse
from hwbench.devices.local_runner import of_python
from hwbench.errors import CorruptFile, DeviceLost, ModelError
from hwbench.files import sha256
from hwbench.measure.evaluation import Engaged, Given, Outputs, evaluate
from hwbench.measure.plan import Evaluation, Plan
from hwbench.models.calibration import seeded_inputs
from hwbench.models.weights import random_weights
from hwbench.spaces import NamedBlock
from tests.integration.runners import BLOCKS, write_models
from tests.reference_forward import forward

COUNT = 40
ENGAGED = Engaged("litert", "xnnpack", 1, (), latency_us=10.0)
BLOCK = BLOCKS["classifier"]
IMAGES = seeded_inputs(BLOCK.in_shape, COUNT, seed=3)


class Unplugged(LocalDevice):
    """This computer, which goes away in the middle of its next launch: what that has written so far is there."""

    def __init__(self, keep_bytes: int) -> None:
        super().__init__(of_python(Path(sys.executable)))
        self._keep_bytes = keep_bytes

    def launch(self, request: LaunchRequest, progress: Callable[[Pulse], None]) -> LaunchReport:
        super().launch(request, progress)
        request.results.write_bytes(request.results.read_bytes()[: self._keep_bytes])
        raise DeviceLost("It went away.")


@pytest.fixture
def given(tmp_path: Path) -> Given:
    job = write_models(tmp_path)["classifier"]
    data = IMAGES.tobytes()
    (tmp_path / "models" / "inputs.bin").write_bytes(data)
    return Given(job.model, job.sha256, "models/inputs.bin", sha256(data), COUNT, outputs=10, top=16)


@pytest.fixture
def device() -> LocalDevice:
    return LocalDevice(of_python(Path(sys.executable)))


def check(found: Outputs) -> None:
    """All outputs, each of its own input."""
    network = (NamedBlock("block", BLOCK),)
    weights = random_weights(network, seed=0)
    expected = np.array([forward(network, weights, image).reshape(-1) for image in IMAGES])
    assert found.places.shape == found.values.shape == (COUNT, 10)
    np.testing.assert_allclose(
        found.values, np.take_along_axis(expected, found.places, 1), atol=1e-5 * np.abs(expected).max()
    )
    assert found.classes.tolist() == expected.argmax(1).tolist()


def plans(folder: Path) -> list[Evaluation]:
    found = [
        msgspec.json.decode(path.read_bytes(), type=Plan).evaluation for path in sorted(folder.glob("e-*.plan.json"))
    ]
    return [one for one in found if one is not None]


def test_every_input_is_run_once(device: LocalDevice, given: Given, tmp_path: Path) -> None:
    seen: list[int] = []
    found = evaluate(device, given, ENGAGED, tmp_path, "e", lambda state: seen.append(state.visits))
    check(found)
    assert [(one.first, one.count, one.top) for one in plans(tmp_path)] == [(0, COUNT, 10)]
    assert seen[0] == 0
    check(evaluate(device, given, ENGAGED, tmp_path, "e"))
    assert len(plans(tmp_path)) == 1


def test_what_takes_long_is_dealt_to_several_launches(device: LocalDevice, given: Given, tmp_path: Path) -> None:
    slow = msgspec.structs.replace(ENGAGED, latency_us=600e6 / 15)
    check(evaluate(device, given, slow, tmp_path, "e"))
    assert [(one.first, one.count) for one in plans(tmp_path)] == [(0, 15), (15, 15), (30, 10)]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_it_goes_on_behind_the_last_input_that_is_known(
    device: LocalDevice, given: Given, tmp_path: Path, share: float
) -> None:
    whole = tmp_path / "e-0.results.jsonl"
    evaluate(device, given, ENGAGED, tmp_path, "e")
    keep = int(share * whole.stat().st_size)
    for path in tmp_path.glob("e-*"):
        path.unlink()
    with pytest.raises(DeviceLost):
        evaluate(Unplugged(keep), given, ENGAGED, tmp_path, "e")
    known = whole.read_bytes().count(b'"kind":"output"') - (not whole.read_bytes().endswith(b"\n") and keep > 0)
    check(evaluate(device, given, ENGAGED, tmp_path, "e"))
    first, second = plans(tmp_path)
    assert (first.first, first.count) == (0, COUNT)
    assert second.first + second.count == COUNT
    assert known - 1 <= second.first <= known + 1


def test_a_model_that_does_not_run_is_named(device: LocalDevice, given: Given, tmp_path: Path) -> None:
    wrong = msgspec.structs.replace(given, inputs_sha256="0" * 64)
    with pytest.raises(ModelError, match="does not run on local: hash"):
        evaluate(device, wrong, ENGAGED, tmp_path, "e")


def test_results_that_cannot_be_are_refused(device: LocalDevice, given: Given, tmp_path: Path) -> None:
    evaluate(device, given, ENGAGED, tmp_path, "e")
    results = tmp_path / "e-0.results.jsonl"
    whole = results.read_bytes()
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    lines = [json.loads(line) for line in whole.splitlines()]
    for _ in range(60):
        damaged = [dict(line) for line in lines]
        line = rng.choice([line for line in damaged if line["kind"] == "output"])
        match rng.randrange(5):
            case 0:
                line["input"] += rng.choice([-1, 1, 1000])
            case 1:
                line["places"] = [*line["places"][:-1], rng.choice([10, -1, line["places"][0]])]
            case 2:
                line["values"] = line["values"][1:]
            case 3:
                line["values"] = line["values"][::-1]
            case _:
                damaged.insert(rng.randrange(len(damaged)), line)
        results.write_bytes(b"".join(json.dumps(one).encode() + b"\n" for one in damaged))
        with pytest.raises(CorruptFile, match=r"e-0\.results\.jsonl"):
            evaluate(device, given, ENGAGED, tmp_path, "e")
