"""ExecuTorch model files, run by ExecuTorch itself, beside LiteRT's files of the same networks and weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from hwbench import spaces
from hwbench.errors import ModelError, UsageError
from hwbench.models import executorch, litert
from hwbench.models.calibration import activation_ranges, seeded_inputs
from hwbench.models.executorch import PteFile
from hwbench.models.export_workers import Task, run_tasks
from hwbench.models.formats import FORMATS, Delegate, ModelJob, Precision, format_of
from hwbench.models.weights import random_weights
from hwbench.spaces import Block, Classifier, ConvBlock, MBConv, NamedBlock
from hwbench.spaces.cells import Cell, Reduction
from hwbench.spaces.fbnet_blocks import FBNetBlock
from tests.conftest import ROOT, TINY
from tests.reference_forward import forward
from tests.unit import test_litert_models

Array = NDArray[np.float64]
IMAGES = 2


class Case(msgspec.Struct, frozen=True):
    name: str
    job: ModelJob
    precision: Precision
    delegate: Delegate


class Found(msgspec.Struct, frozen=True):
    """A case with its model and what ExecuTorch made of its first image."""

    case: Case
    model: PteFile
    output: Array
    step: float
    nhwc: bool
    integer: bool
    trace: bytes

    @property
    def image(self) -> NDArray[np.float32]:
        first: NDArray[np.float32] = self.case.job.images[0]
        return first

    def litert(self) -> Array:
        """The output of LiteRT's model of the same network and precision, XNNPACK, shape flat."""
        job = self.case.job
        ranges = activation_ranges(job.network, job.weights, job.images) if self.case.precision == "int8" else None
        model = litert.write_model(job.network, job.weights, self.case.precision, ranges).data
        return test_litert_models.run(model, self.image).reshape(-1)


def job_of(name: str, network: tuple[NamedBlock, ...]) -> ModelJob:
    return ModelJob(name, network, random_weights(network, 1), seeded_inputs(network[0].block.in_shape, IMAGES, seed=2))


def cases() -> list[Case]:
    jobs = [
        job_of(f"{number}-{block.key[:10].strip('-')}", (NamedBlock("block", block),))
        for number, block in enumerate(test_litert_models.BLOCKS)
    ]
    space = spaces.get(TINY)
    jobs.append(job_of("network", space.network(space.sample(1, seed=3)[0])))
    made = [Case(f"xnnpack-fp32-{job.name}", job, "fp32", "xnnpack") for job in jobs]
    made += [Case(f"xnnpack-int8-{job.name}", job, "int8", "xnnpack") for job in jobs]
    chain = (
        MBConv((8, 8, 8), 8, 24, 3, skip=True, activation="h-swish", squeeze=8),
        FBNetBlock((8, 8, 8), 8, 8, 3, groups=2, skip=True),
        Cell((8, 8, 8), (3, 2, 4, 1, 4, 3)),
        Reduction((8, 8, 8), 16),
    )
    others = job_of("spaces", tuple(NamedBlock(f"block{number}", block) for number, block in enumerate(chain)))
    made.append(Case("other-fp32-spaces", others, "fp32", "xnnpack"))
    ends: dict[str, tuple[Block, ...]] = {
        "spaces": chain,
        "h-swish": (ConvBlock((8, 8, 3), 8, 3, 1, activation="h-swish"),),
        "squeeze": (chain[0],),
        "cell": (chain[2],),
        "reduction": (chain[3],),
    }
    for name, blocks in ends.items():
        job = job_of(name, tuple(NamedBlock(f"block{number}", block) for number, block in enumerate(blocks)))
        made.append(Case(f"other-int8-{name}", job, "int8", "xnnpack"))
    # The order in memory of an image of one pixel cannot be told from its shape.
    pixels = {"to": MBConv((2, 2, 8), 8, 24, 3, stride=2), "of": MBConv((1, 1, 8), 8, 24, 5, skip=True)}
    for name, block in pixels.items():
        job = job_of(f"{name}-one-pixel", (NamedBlock("block", block),))
        made.append(Case(f"other-fp32-{job.name}", job, "fp32", "xnnpack"))
        made.append(Case(f"portable-fp32-{job.name}", job, "fp32", "portable"))
    return made + [Case(f"portable-fp32-{job.name}", job, "fp32", "portable") for job in jobs[1::3]]


CASES = {case.name: case for case in cases()}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    """Every case exported and run, once for all tests of this file."""
    folder = tmp_path_factory.mktemp("pte")
    models = dict(run_tasks({name: Task(c.job, c.precision, c.delegate) for name, c in CASES.items()}))
    for name, model in models.items():
        (folder / f"{name}.pte").write_bytes(model.data)
        np.save(folder / f"{name}.input.npy", CASES[name].job.images[0])
    command = [sys.executable, "-W", "ignore", str(ROOT / "tests" / "pte_outputs.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: read(folder, name, models[name]) for name in CASES}


def read(folder: Path, name: str, model: PteFile) -> Found:
    with np.load(folder / f"{name}.output.npz") as results:
        return Found(
            CASES[name], model, results["output"], float(results["step"]), bool(results["nhwc"]),
            bool(results["integer"]), results["trace"].tobytes(),
        )  # fmt: skip


def some(prefix: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [name for name in CASES if name.startswith(prefix)])


@some("xnnpack-fp32")
def test_fp32_equals_litert_and_the_reference(found: dict[str, Found], name: str) -> None:
    one = found[name]
    tolerance = 1e-5 * np.abs(one.output).max()
    assert np.abs(one.output.reshape(-1) - one.litert()).max() <= tolerance
    expected = forward(one.case.job.network, one.case.job.weights, one.image)
    assert np.abs(one.output.reshape(-1) - expected.reshape(-1)).max() <= tolerance


@some("other-fp32")
def test_blocks_of_other_spaces_equal_litert_and_the_reference(found: dict[str, Found], name: str) -> None:
    test_fp32_equals_litert_and_the_reference(found, name)


@some("other-int8")
def test_int8_models_of_other_spaces_have_integer_ends(found: dict[str, Found], name: str) -> None:
    one = found[name]
    assert one.integer
    expected = forward(one.case.job.network, one.case.job.weights, one.image).reshape(-1)
    error = one.output.reshape(-1) - expected
    assert np.sqrt(np.mean(error**2)) <= 0.06 * np.abs(expected).max()


@some("portable-fp32")
def test_portable_models_run_and_are_not_delegated(found: dict[str, Found], name: str) -> None:
    one = found[name]
    expected = forward(one.case.job.network, one.case.job.weights, one.image).reshape(-1)
    assert np.abs(one.output.reshape(-1) - expected).max() <= 1e-5 * np.abs(expected).max()
    assert one.model.delegated_share == 0
    assert one.model.operators >= len(one.case.job.network)


@some("xnnpack-int8")
def test_int8_is_litert_int8(found: dict[str, Found], name: str) -> None:
    """The same roundings give the same integers; only the pool is rounded in another place."""
    one = found[name]
    assert one.integer
    pooled = isinstance(one.case.job.network[-1].block, Classifier)
    difference = np.abs(one.output.reshape(-1) - one.litert()) / one.step
    assert difference.max() <= (8.5 if pooled else 1.5)
    expected = forward(one.case.job.network, one.case.job.weights, one.image).reshape(-1)
    error = one.output.reshape(-1) - expected
    assert np.sqrt(np.mean(error**2)) <= 0.03 * np.abs(expected).max()


@some("xnnpack-")
def test_xnnpack_runs_all_of_it_in_the_memory_order_of_litert(found: dict[str, Found], name: str) -> None:
    one = found[name]
    assert one.model.delegated == one.model.operators
    assert one.model.delegated_share == 1
    # What LiteRT's model has, an activation after a convolution counted on its own, a pad where one is needed.
    assert one.model.operators >= sum(len(named.block.ops()) for named in one.case.job.network)
    assert one.nhwc
    assert b"Convolution" in one.trace or b"Fully Connected" in one.trace
    # torch cannot tell the two orders apart for the classifier's 1 x 1 output, and turns its few numbers round.
    classified = isinstance(one.case.job.network[-1].block, Classifier)
    assert one.trace.count(b"Transpose") <= classified


@some("xnnpack-int8")
def test_int8_blocks_pay_for_no_conversion(found: dict[str, Found], name: str) -> None:
    one = found[name]
    floats = [op for named in one.case.job.network for op in named.block.ops() if getattr(op, "padding", "") == "same"]
    assert (b"Convert" in one.trace) == any(op.stride == 2 for op in floats)  # type: ignore[union-attr]


def test_an_executorch_file_is_recognised(found: dict[str, Found], tmp_path: Path) -> None:
    model = next(iter(found.values())).model.data
    assert format_of(tmp_path / "a", model).suffix == ".pte"
    tflite = litert.write_model((block := [NamedBlock("b", ConvBlock((4, 4, 3), 4, 1))]), random_weights(block, 0))
    assert format_of(tmp_path / "a", tflite.data).engine == "litert"
    with pytest.raises(ModelError, match=r"not a \.tflite model, nor a \.pte model"):
        format_of(tmp_path / "a", b"nothing of the kind")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executorch, "PACKAGES", ("torch", "no-such-package"))
    network = [NamedBlock("block", ConvBlock((4, 4, 3), 4, 1))]
    with pytest.raises(ModelError, match=r"no-such-package.*pip install 'hwbench\[executorch\]'"):
        executorch.write_model(network, random_weights(network, 0))


def test_what_no_engine_runs_is_refused() -> None:
    network = [NamedBlock("block", ConvBlock((4, 4, 3), 4, 1))]
    weights = random_weights(network, 0)
    with pytest.raises(UsageError, match="int8 with the delegate 'portable'"):
        executorch.write_model(network, weights, "int8", np.zeros((1, 4, 4, 3), np.float32), "portable")
    with pytest.raises(UsageError, match="no delegate 'builtin'; it has xnnpack and portable"):
        executorch.write_model(network, weights, delegate="builtin")
    with pytest.raises(ModelError, match="needs inputs"):
        executorch.write_model(network, weights, "int8")


def test_every_format_has_an_author() -> None:
    for known in FORMATS.values():
        assert callable(known.author)
        assert len(known.identifier) == 4
