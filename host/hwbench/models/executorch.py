"""Blocks and networks as .pte files, fp32 or int8, batch 1. torch is loaded when the first one is written.

`xnnpack`: input and output are channels_last, so their memory is NHWC as in LiteRT's files, and nothing is transposed
but a classifier's 1 x 1 output, whose order in memory is the same either way: about a microsecond. A block with an
image of one pixel at either end is NCHW, and XNNPACK transposes its input.
int8 is full-integer like LiteRT's: input and output are int8 tensors, so a block pays for no conversion; the file
answers the methods `input0_scale`, `input0_zp`, `output0_scale` and `output0_zp` with their quantization.
`portable`: the engine's own kernels, NCHW memory, since those kernels are wrong or refuse to run for channels_last;
fp32 only, since they have no int8 convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from typing import Any

import msgspec

from hwbench.errors import ModelError
from hwbench.models.formats import Affine, Delegate, Integers, Precision, check_combination
from hwbench.models.weights import Array, Weights
from hwbench.spaces.ops import GlobalAveragePool, Linear
from hwbench.spaces.space import NamedBlock

# Everything that decides what is written; another version is another model.
PACKAGES = ("torch", "executorch", "torchao")


class PteFile(msgspec.Struct, frozen=True):
    """The bytes of a .pte file, how many ops its graph has, and how many of them the delegate took.

    `integers` is None for fp32.
    """

    data: bytes
    operators: int
    delegated: int
    integers: Integers | None = None

    @property
    def delegated_share(self) -> float:
        return self.delegated / self.operators


def package_versions() -> dict[str, str]:
    """Versions of the installed exporter, without loading it. Raises ModelError when a part is missing."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError as error:
            raise ModelError(
                f"ExecuTorch models need the package {package}, which is not installed.",
                hint="Install it with: pip install 'hwbench[executorch]'",
            ) from error
    return found


def write_model(
    network: Sequence[NamedBlock],
    weights: Weights,
    precision: Precision = "fp32",
    calibration_inputs: Array | None = None,
    delegate: Delegate = "xnnpack",
) -> PteFile:
    """The blocks chained into one model; a single block is a network of one.

    `calibration_inputs` (n, height, width, channels) are needed for int8. Raises ModelError for missing weights or
    inputs, shapes that do not chain, or a missing package; UsageError for a delegate that has no such precision.
    """
    check_combination("executorch", delegate, precision)
    package_versions()
    if precision == "int8" and calibration_inputs is None:
        raise ModelError("An int8 model needs inputs to find the ranges of its activations.")
    import torch

    from hwbench.models.torch_nets import build, for_export, image_tensor

    module = for_export(build(network, weights))
    height, width, channels = network[0].block.in_shape
    # Made anew: `contiguous` leaves an image of one pixel as it is.
    image = torch.zeros(1, channels, height, width)
    if delegate == "xnnpack" and not _one_pixel(network):
        image = image.contiguous(memory_format=torch.channels_last)
    program = torch.export.export(module, (image,))
    if precision == "fp32":
        return _lower(program, delegate, None)
    from hwbench.models.executorch_int8 import quantized

    assert calibration_inputs is not None
    model, integers = quantized(program.module(check_guards=False), image_tensor(calibration_inputs))
    program = torch.export.export(model, (image.to(torch.int8),))
    return _lower(program, delegate, integers)


def _one_pixel(network: Sequence[NamedBlock]) -> bool:
    """Whether an image at either end has one pixel: its order in memory cannot be told, and XNNPACK's is then wrong.

    What a classifier or a global pool puts out is no image to it.
    """
    last = network[-1].block
    ends_in_one = last.out_shape[:2] == (1, 1) and not isinstance(last.ops()[-1], Linear | GlobalAveragePool)
    return ends_in_one or network[0].block.in_shape[:2] == (1, 1)


def _quantization(name: str, affine: Affine) -> dict[str, float]:
    """Constant methods under the names that ExecuTorch's own pass for integer inputs uses."""
    return {f"{name}_scale": affine.scale, f"{name}_zp": affine.zero_point}


def _lower(program: Any, delegate: Delegate, integers: Integers | None) -> PteFile:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    constants: dict[str, float] = {}
    if integers is not None:
        constants = _quantization("input0", integers.source) | _quantization("output0", integers.target)
    partitioner = [XnnpackPartitioner()] if delegate == "xnnpack" else None
    edge = to_edge_transform_and_lower(program, partitioner=partitioner, constant_methods=constants or None)
    outer, delegated = operators_of(edge.exported_program().graph_module)
    return PteFile(bytes(edge.to_executorch().buffer), len(outer) + len(delegated), len(delegated), integers)


def operators_of(lowered: Any) -> tuple[list[str], list[str]]:
    """Names of the ops that a lowered graph runs itself, and of those inside its delegates.

    Conversions count where the engine's own kernels run them; inside a delegate they are part of their ops.
    """
    outer: list[str] = []
    delegated: list[str] = []
    for node in lowered.graph.nodes:
        if node.op == "get_attr" and hasattr(getattr(lowered, node.target), "original_module"):
            inner = getattr(lowered, node.target).original_module.graph_module.graph
            delegated += [name for each in inner.nodes if (name := _operator(each)) and "quantize" not in name]
        elif name := _operator(node):
            outer.append(name)
    return outer, delegated


def _operator(node: Any) -> str | None:
    """An op's name such as `aten.add.Tensor`; None for what is no op."""
    if node.op != "call_function":
        return None
    name = str(getattr(node.target, "_op", node.target))
    return None if "getitem" in name or "executorch_call_delegate" in name else name
