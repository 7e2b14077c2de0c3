"""Trained batch norms, folded into the files that a device gets, against the torch network that has them apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.models import litert
from hwbench.models.calibration import activation_ranges, seeded_inputs
from hwbench.models.torch_nets import build, for_export, image_tensor
from hwbench.models.weights import Array, Weights, random_weights
from hwbench.search.training.network import train
from hwbench.search.training.settings import NO_AUGMENTATION, TrainingSettings, WeightSettings
from hwbench.spaces import Block, Classifier, ConvBlock, MBConv, NamedBlock
from hwbench.spaces.fbnet_blocks import FBNetBlock
from tests.supernets import SMALL, images
from tests.unit.test_litert_models import BLOCKS, OTHER_BLOCKS, run


def worn(network: Sequence[NamedBlock], seed: int) -> dict[str, Array]:
    """Weights with batch norms as training leaves them: dead and negative scales, narrow and wide channels."""
    rng = np.random.default_rng(seed)
    found = random_weights(network, seed)
    for name, array in found.items():
        size = array.shape
        if name.endswith(".bn_scale"):
            found[name] = (rng.normal(0.0, 1.0, size) * (rng.random(size) > 0.1)).astype(np.float32)
        elif name.endswith(".bn_shift"):
            found[name] = rng.normal(0.0, 0.5, size).astype(np.float32)
        elif name.endswith(".bn_mean"):
            found[name] = rng.normal(0.0, 1.0, size).astype(np.float32)
        elif name.endswith(".bn_variance"):
            found[name] = np.exp(rng.uniform(np.log(1e-2), np.log(1e2), size)).astype(np.float32)
    return found


def torch_outputs(network: Sequence[NamedBlock], weights: Weights, inputs: Array, folded: bool = False) -> Array:
    """Flat outputs of the images, batch norms apart or `folded` as for an export."""
    module = build(network, weights).eval()
    with torch.no_grad():
        found = (for_export(module) if folded else module)(image_tensor(inputs)).permute(0, 2, 3, 1)
    outputs: Array = found.reshape(len(inputs), -1).numpy()
    return outputs


def check(network: Sequence[NamedBlock], weights: Weights, seed: int, tolerance: float = 1e-5) -> None:
    """Both exporters' folding gives what torch gives with its batch norms."""
    inputs = seeded_inputs(network[0].block.in_shape, 2, seed)
    expected = torch_outputs(network, weights, inputs)
    model = litert.write_model(network, weights).data
    largest = max(np.abs(expected).max(), 1e-6)
    for found in (
        np.array([run(model, image).reshape(-1) for image in inputs]),
        torch_outputs(network, weights, inputs, folded=True),
    ):
        assert np.abs(found - expected).max() <= tolerance * largest


@pytest.mark.parametrize("block", [*BLOCKS, *OTHER_BLOCKS], ids=lambda block: block.key)
def test_every_kind_of_block(block: Block) -> None:
    network = (NamedBlock("block", block),)
    check(network, worn(network, seed=1), seed=2)


SIZES = st.integers(3, 13)
CHANNELS = st.integers(1, 12)
KERNELS = st.sampled_from([1, 3, 5, 7])
STRIDES = st.integers(1, 2)
ACTIVATIONS = st.sampled_from(["none", "relu", "relu6", "h-swish"])
PADDINGS = st.sampled_from(["symmetric", "same"])


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    """A block of any kind that trains, of any small shape."""
    shape = (draw(SIZES), draw(SIZES), draw(CHANNELS))
    out, kernel, stride = draw(CHANNELS), draw(KERNELS), draw(STRIDES)
    padding, activation = draw(PADDINGS), draw(ACTIVATIONS)
    match draw(st.integers(0, 3)):
        case 0:
            return ConvBlock(shape, out, kernel, stride, padding, activation)  # type: ignore[arg-type]
        case 1:
            skip = stride == 1 and out == shape[2]
            squeeze = draw(st.sampled_from([0, 3]))
            middle = draw(st.sampled_from([1, 3])) * shape[2]
            return MBConv(shape, out, middle, kernel, stride, skip, padding, activation, squeeze)  # type: ignore[arg-type]
        case 2:
            skip = stride == 1 and out == shape[2]
            return FBNetBlock((*shape[:2], 4 * shape[2]), 4 * out, 12 * shape[2], max(kernel, 3), stride, 1, skip)
        case _:
            return Classifier(shape, out + 1)


@settings(max_examples=60, deadline=None)
@given(blocks(), st.integers(0, 99))
def test_any_shape(block: Block, seed: int) -> None:
    network = (NamedBlock("block", block),)
    check(network, worn(network, seed), seed)


def test_a_network_that_was_trained() -> None:
    torch.set_num_threads(1)
    architecture = SMALL.parse(["k3e3", "k5e6", "k5e3", "zero"])[0]
    network = SMALL.network(architecture)
    short = TrainingSettings(WeightSettings(epochs=3, batch=32, learning_rate=0.1), NO_AUGMENTATION)
    weights = train(network, images(128, 1), short).weights
    check(network, weights, seed=0, tolerance=1e-4)
    # What int8 makes of real images stays near, and its files say how their integers are meant.
    pixels = images(16, 3).pixels.astype(np.float32) / 255 - 0.3
    ranges = activation_ranges(network, weights, pixels)
    model = litert.write_model(network, weights, "int8", ranges)
    assert model.integers is not None
    expected = torch_outputs(network, weights, pixels)
    found = np.array([run(model.data, image).reshape(-1) for image in pixels])
    assert np.corrcoef(found.reshape(-1), expected.reshape(-1))[0, 1] > 0.99
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.9
    steps = found / model.integers.target.scale
    np.testing.assert_allclose(steps, steps.round(), atol=1e-3)
