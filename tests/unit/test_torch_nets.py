"""The torch form of a space: its outputs equal an independent forward pass, its batch norms can be trained."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwbench import spaces
from hwbench.errors import ModelError
from hwbench.models.calibration import seeded_inputs
from hwbench.models.weights import Weights, folded, random_weights
from hwbench.spaces import Block, ConvBlock, MBConv, NamedBlock
from hwbench.spaces.ops import AveragePool, Conv
from tests.reference_forward import forward
from tests.unit.test_litert_models import BLOCKS, OTHER_BLOCKS, assert_close

pytestmark = pytest.mark.filterwarnings("ignore")


def torch_nets() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from hwbench.models import torch_nets as module
    return module


def run(module: Any, image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Output (height, width, channels) for one image."""
    found: NDArray[np.float64] = module(torch_nets().image_tensor(image[None]))[0].permute(1, 2, 0).detach().numpy()
    return found.astype(float)


def check(network: list[NamedBlock], weights: Weights, seed: int = 2) -> None:
    """Both forms equal the reference for one image."""
    (image,) = seeded_inputs(network[0].block.in_shape, 1, seed)
    expected = forward(network, weights, image)
    module = torch_nets().build(network, weights)
    assert_close(run(module.eval(), image), expected, 1e-5)
    assert_close(run(torch_nets().for_export(module), image), expected, 1e-5)


EVEN = ConvBlock((9, 9, 4), 6, 4, padding="same")


@pytest.mark.parametrize("block", [*BLOCKS, *OTHER_BLOCKS, EVEN], ids=lambda block: block.key)
def test_blocks_equal_the_reference(block: Block) -> None:
    network = [NamedBlock("block", block)]
    check(network, random_weights(network, seed=1))


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 17), st.integers(4, 17), st.integers(1, 4), st.integers(1, 4), st.sampled_from([3, 5, 7]),
       st.integers(1, 2), st.sampled_from(["symmetric", "same"]), st.sampled_from(["none", "relu", "relu6"]),
       st.integers(0, 99))  # fmt: skip
def test_any_mbconv_equals_the_reference(
    height: int, width: int, inner: int, outer: int, kernel: int, stride: int, padding: str, activation: str, seed: int
) -> None:
    skip = stride == 1 and inner == outer
    block = MBConv((height, width, 4 * inner), 4 * outer, 12 * inner, kernel, stride, skip, padding, activation)  # type: ignore[arg-type]
    network = [NamedBlock("block", block)]
    check(network, random_weights(network, seed), seed)


def test_a_whole_network_equals_the_reference() -> None:
    space = spaces.get("proxylessnas-w0.35-r64-c10")
    network = list(space.network(space.sample(1, seed=4)[0]))
    check(network, random_weights(network, seed=1))


def test_weights_that_are_folded_already_serve_as_well() -> None:
    block = ConvBlock((4, 4, 3), 5, 1)
    network = [NamedBlock("block", block)]
    weights = random_weights(network, seed=3)
    (op,) = block.ops()
    assert isinstance(op, Conv)
    kernel, bias = folded(weights, "block.conv", op)
    (image,) = seeded_inputs(block.in_shape, 1, seed=1)
    module = torch_nets().build(network, {"block.conv.weight": kernel, "block.conv.bias": bias})
    assert_close(run(module, image), forward(network, weights, image), 1e-5)


def test_batch_norms_stay_trainable_and_exporting_leaves_the_network_alone() -> None:
    network = [NamedBlock("block", MBConv((8, 8, 4), 4, 12, 3, skip=True))]
    module = torch_nets().build(network, random_weights(network, seed=0))
    names = [name for name, _ in module.named_parameters()]
    assert sum(".norm." in name for name in names) == 6
    module(torch_nets().image_tensor(seeded_inputs((8, 8, 4), 2, seed=0))).square().mean().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    torch_nets().for_export(module)
    assert [name for name, _ in module.named_parameters()] == names
    assert module.training
    assert not [name for name, _ in torch_nets().for_export(module).named_parameters() if ".norm." in name]


@pytest.mark.parametrize("block", [*BLOCKS, *OTHER_BLOCKS, EVEN], ids=lambda block: block.key)
def test_weights_come_out_as_they_went_in(block: Block) -> None:
    network = [NamedBlock("block", block)]
    weights = random_weights(network, seed=5)
    found = torch_nets().weights_of("block", torch_nets().build(network, weights).blocks[0])
    assert found.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_missing_weights_and_wrong_chains_are_named() -> None:
    network = [NamedBlock("stem", ConvBlock((8, 8, 3), 8, 3))]
    weights = random_weights(network, seed=0)
    with pytest.raises(ModelError, match=r"stem\.conv\.bn_mean"):
        torch_nets().build(network, {k: v for k, v in weights.items() if k != "stem.conv.bn_mean"})
    with pytest.raises(ModelError, match=r"stem\.conv\.weight.*\(8, 3, 3, 3\)"):
        torch_nets().build(network, weights | {"stem.conv.weight": np.zeros((8, 3, 1, 1), np.float32)})
    with pytest.raises(ModelError, match="stem needs an input"):
        torch_nets().build([*network, *network], weights)
    with pytest.raises(ModelError, match="at least one block"):
        torch_nets().build([], weights)


def test_a_window_that_torch_cannot_place_is_refused() -> None:
    op = AveragePool("pool", "input", (8, 8, 4), 4)
    with pytest.raises(ModelError, match="no average pool of kernel 4, stride 1"):
        torch_nets().WindowMean(op)
