"""Model files: their outputs equal an independent forward pass; int8 stays within its quantisation error."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwbench import spaces
from hwbench.errors import ModelError
from hwbench.models.calibration import activation_ranges, seeded_inputs
from hwbench.models.litert import activation_quantization, write_model
from hwbench.models.weights import folded, random_weights
from hwbench.spaces import Block, Classifier, ConvBlock, MBConv, NamedBlock
from hwbench.spaces.blocks import LinearBlock, Pool
from hwbench.spaces.cells import Cell, EdgeConv, EdgePool, NodeAdd, Reduction, Tail
from hwbench.spaces.fbnet_blocks import FBNetBlock
from hwbench.spaces.ops import Conv
from tests.reference_forward import forward

BLOCKS: list[Block] = [
    ConvBlock((15, 15, 3), 8, 3, 2),
    ConvBlock((16, 16, 3), 8, 3, 2, "same"),
    ConvBlock((7, 7, 16), 40, 1),
    MBConv((14, 14, 8), 8, 24, 3, skip=True),
    MBConv((14, 14, 8), 16, 48, 5, 2),
    MBConv((13, 13, 8), 16, 24, 7, 2),
    MBConv((14, 14, 8), 16, 24, 7, 2, padding="same"),
    MBConv((12, 12, 16), 8, 16, 3),
    Classifier((4, 4, 24), 10),
]
OTHER_BLOCKS: list[Block] = [
    ConvBlock((15, 15, 3), 8, 3, 2, activation="h-swish"),
    ConvBlock((6, 6, 3), 8, 1, activation="h-sigmoid"),
    MBConv((14, 14, 8), 8, 24, 3, skip=True, activation="h-swish", squeeze=8),
    MBConv((13, 13, 8), 16, 24, 5, 2, activation="relu", squeeze=8),
    Pool((5, 5, 24)),
    LinearBlock(24, 10),
    FBNetBlock((9, 9, 8), 8, 8, 3, groups=2, skip=True),
    FBNetBlock((9, 9, 8), 16, 24, 5, 2),
    FBNetBlock((9, 9, 12), 16, 24, 5, 2, groups=4),
    EdgeConv((8, 8, 16), 3),
    EdgeConv((8, 8, 16), 1),
    EdgePool((7, 7, 8)),
    NodeAdd((7, 7, 8)),
    Reduction((9, 9, 8), 16),
    Tail((8, 8, 16), 10),
    Cell((8, 8, 8), (3, 2, 3, 1, 4, 3)),
    Cell((8, 8, 8), (4, 0, 1, 3, 0, 1)),
    Cell((8, 8, 8), (1, 1, 1, 1, 1, 1)),
]


def run(
    model: bytes, image: NDArray[np.float32], resolver: OpResolverType = OpResolverType.AUTO
) -> NDArray[np.float64]:
    """Real-valued output of a model; int8 inputs and outputs are converted."""
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    value = image[None]
    if source["dtype"] == np.int8:
        scale, zero = source["quantization"]
        value = np.clip(np.round(image[None] / scale) + zero, -128, 127).astype(np.int8)
    interpreter.set_tensor(source["index"], value)
    interpreter.invoke()
    output = interpreter.get_tensor(target["index"])[0].astype(float)
    scale, zero = target["quantization"]
    return (output - zero) * scale if target["dtype"] == np.int8 else output


def assert_close(found: NDArray[np.float64], expected: NDArray[np.float64], tolerance: float) -> None:
    assert np.abs(found.reshape(-1) - expected.reshape(-1)).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("resolver", [OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES])
@pytest.mark.parametrize("block", [*BLOCKS, *OTHER_BLOCKS], ids=lambda block: block.key)
def test_fp32_blocks_equal_the_reference(block: Block, resolver: OpResolverType) -> None:
    network = [NamedBlock("block", block)]
    weights = random_weights(network, seed=1)
    (image,) = seeded_inputs(block.in_shape, 1, seed=2)
    assert_close(run(write_model(network, weights).data, image, resolver), forward(network, weights, image), 1e-4)


@pytest.mark.parametrize("resolver", [OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES])
@pytest.mark.parametrize("block", [*BLOCKS, *OTHER_BLOCKS], ids=lambda block: block.key)
def test_int8_blocks_stay_within_quantisation_error(block: Block, resolver: OpResolverType) -> None:
    network = [NamedBlock("block", block)]
    weights = random_weights(network, seed=1)
    images = seeded_inputs(block.in_shape, 4, seed=2)
    ranges = activation_ranges(network, weights, images)
    found = run(write_model(network, weights, "int8", ranges).data, images[0], resolver)
    expected = forward(network, weights, images[0])
    # Each of the block's tensors is rounded to 1/255 of its range; errors of independent roundings add in squares.
    assert np.sqrt(np.mean((found.reshape(-1) - expected.reshape(-1)) ** 2)) <= 0.03 * np.abs(expected).max()
    assert np.corrcoef(found.reshape(-1), expected.reshape(-1))[0, 1] > 0.995


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 17), st.integers(1, 4), st.integers(1, 4), st.sampled_from([3, 5, 7]), st.integers(1, 2),
       st.sampled_from(["symmetric", "same"]), st.integers(0, 99))  # fmt: skip
def test_any_mbconv_equals_the_reference(
    size: int, inner: int, outer: int, kernel: int, stride: int, padding: str, seed: int
) -> None:
    block = MBConv((size, size, 4 * inner), 4 * outer, 12 * inner, kernel, stride, padding=padding)  # type: ignore[arg-type]
    network = [NamedBlock("block", block)]
    weights = random_weights(network, seed)
    (image,) = seeded_inputs(block.in_shape, 1, seed)
    assert_close(run(write_model(network, weights).data, image), forward(network, weights, image), 1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "proxylessnas-w0.5-r28-c10-i1-t1",
        "proxylessnas-w0.35-r64-c10",
        "proxylessnas-w0.35-r64-c10-same",
        "ofa-w0.5-r64-c10",
        "ofa-w0.5-r48.64-c10",
        "fbnet-cifar-r32-c10-w0.25",
        "nasbench201-w8-n1-r16-c10",
    ],
)
def test_whole_networks_equal_the_reference(name: str) -> None:
    space = spaces.get(name)
    for architecture in space.sample(3, seed=4):
        network = space.network(architecture)
        weights = random_weights(network, seed=1)
        images = seeded_inputs(network[0].block.in_shape, 4, seed=2)
        expected = forward(network, weights, images[0])
        assert_close(run(write_model(network, weights).data, images[0]), expected, 1e-4)
        ranges = activation_ranges(network, weights, images)
        found = run(write_model(network, weights, "int8", ranges).data, images[0])
        assert np.corrcoef(found, expected.reshape(-1))[0, 1] > 0.9


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 12), st.integers(1, 3), st.integers(1, 3), st.sampled_from([3, 5]), st.integers(1, 2),
       st.sampled_from([1, 2, 4]), st.integers(0, 99))  # fmt: skip
def test_any_fbnet_block_equals_the_reference(
    size: int, inner: int, outer: int, kernel: int, stride: int, groups: int, seed: int
) -> None:
    skip = stride == 1 and inner == outer
    block = FBNetBlock((size, size, 4 * inner), 4 * outer, 12 * inner, kernel, stride, groups, skip)
    _equals_the_reference(block, seed)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 12), st.integers(1, 4), st.integers(1, 20), st.sampled_from([3, 5, 7]), st.integers(1, 2),
       st.sampled_from(["relu", "relu6", "h-swish"]), st.integers(0, 99))  # fmt: skip
def test_any_squeeze_and_excite_equals_the_reference(
    size: int, outer: int, squeeze: int, kernel: int, stride: int, activation: str, seed: int
) -> None:
    block = MBConv((size, size, 8), 4 * outer, 24, kernel, stride, activation=activation, squeeze=squeeze)  # type: ignore[arg-type]
    _equals_the_reference(block, seed)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(0, 4)] * 6), st.integers(3, 9), st.integers(0, 99))
def test_any_cell_equals_the_reference(choices: tuple[int, ...], size: int, seed: int) -> None:
    block = Cell((size, size, 8), choices)
    if block.ops():
        _equals_the_reference(block, seed)


def test_a_cell_of_skips_is_left_out_of_the_network() -> None:
    with pytest.raises(ModelError, match="every block is the identity"):
        write_model([NamedBlock("cell", Cell((4, 4, 8), (0, 0, 0, 1, 0, 0)))], {})
    network = spaces.get("nasbench201-w8-n2-r8-c4").network([0, 0, 0, 1, 0, 0])
    assert [named.name for named in network] == ["stem", "reduce1", "reduce2", "tail"]
    weights = random_weights(network, 0)
    (image,) = seeded_inputs((8, 8, 3), 1, 0)
    assert_close(run(write_model(network, weights).data, image), forward(network, weights, image), 1e-4)


def _equals_the_reference(block: Block, seed: int) -> None:
    network = [NamedBlock("block", block)]
    weights = random_weights(network, seed)
    (image,) = seeded_inputs(block.in_shape, 1, seed)
    assert_close(run(write_model(network, weights).data, image), forward(network, weights, image), 1e-4)


@pytest.mark.parametrize("choices", [(0,) * 6, (3, 0, 0, 0, 0, 3)])
def test_a_cell_that_leads_nowhere_gives_zeros(choices: tuple[int, ...]) -> None:
    network = [NamedBlock("cell", Cell((4, 4, 8), choices))]
    images = seeded_inputs((4, 4, 8), 2, seed=0)
    for precision in ("fp32", "int8"):
        ranges = activation_ranges(network, {}, images)
        model = write_model(network, {}, precision, ranges)  # type: ignore[arg-type]
        assert (run(model.data, images[0]) == 0).all()


@pytest.mark.parametrize(
    "name",
    [
        "proxylessnas-w0.25-r32-c10",
        "ofa-w0.35-r32-c10",
        "fbnet-cifar-r16-c10-w0.25",
        "fbnet-imagenet-r32-c10-w0.25",
        "nasbench201-w8-n1-r16-c10",
    ],
)
def test_every_block_of_a_space_loads_and_runs_in_both_precisions(name: str) -> None:
    for block in spaces.get(name).distinct_blocks:
        network = [NamedBlock("block", block)]
        weights = random_weights(network, seed=0)
        images = seeded_inputs(block.in_shape, 2, seed=0)
        for model in (
            write_model(network, weights).data,
            write_model(network, weights, "int8", activation_ranges(network, weights, images)).data,
        ):
            assert np.isfinite(run(model, images[0])).all()


def test_symmetric_and_same_padding_differ_at_stride_two() -> None:
    image = seeded_inputs((8, 8, 4), 1, seed=0)[0]
    outputs = []
    for padding in ("symmetric", "same"):
        network = [NamedBlock("block", ConvBlock((8, 8, 4), 4, 3, 2, padding))]  # type: ignore[arg-type]
        outputs.append(run(write_model(network, random_weights(network, seed=0)).data, image))
    assert np.abs(outputs[0] - outputs[1]).max() > 0.1


def test_folding_equals_batch_norm() -> None:
    network = [NamedBlock("block", ConvBlock((4, 4, 3), 5, 1))]
    weights = random_weights(network, seed=3)
    (op,) = network[0].block.ops()
    assert isinstance(op, Conv)
    kernel, bias = folded(weights, "block.conv", op)
    plain = {"block.conv.weight": kernel, "block.conv.bias": bias}
    image = seeded_inputs((4, 4, 3), 1, seed=1)[0]
    assert_close(run(write_model(network, plain).data, image), forward(network, weights, image), 1e-5)


def test_weights_depend_on_name_and_seed_alone() -> None:
    space = spaces.get("proxylessnas-w0.35-r64-c10")
    first, second = (space.network(a) for a in space.sample(2, seed=0))
    shared = {named.name for named in first} & {named.name for named in second}
    one, other = random_weights(first, 0), random_weights(second, 0)
    assert all((one[f"{name}.conv.weight"] == other[f"{name}.conv.weight"]).all() for name in shared & {"stem", "mix"})
    assert (random_weights(first, 1)["stem.conv.weight"] != one["stem.conv.weight"]).any()


def test_missing_and_misshapen_weights_are_named() -> None:
    network = [NamedBlock("stem", ConvBlock((8, 8, 3), 8, 3))]
    weights = random_weights(network, seed=0)
    with pytest.raises(ModelError, match=r"stem\.conv\.bn_mean"):
        write_model(network, {k: v for k, v in weights.items() if k != "stem.conv.bn_mean"})
    with pytest.raises(ModelError, match=r"stem\.conv\.weight.*\(8, 3, 3, 3\)"):
        write_model(network, weights | {"stem.conv.weight": np.zeros((8, 3, 1, 1), np.float32)})
    with pytest.raises(ModelError, match="ranges"):
        write_model(network, weights, "int8")
    with pytest.raises(ModelError, match="needs an input"):
        write_model([*network, *network], weights)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_activation_quantization_holds_zero_and_the_range(a: float, b: float) -> None:
    quantization = activation_quantization((min(a, b), max(a, b)))
    (scale,), (zero,) = quantization.scales, quantization.zero_points
    assert -128 <= zero <= 127
    assert (-128 - zero) * scale <= min(a, b, 0) + scale
    assert (127 - zero) * scale >= max(a, b, 0) - scale
