"""Blocks and networks as .tflite files, fp32 or int8, NHWC with batch 1.

int8 is full-integer: per-tensor asymmetric activations, per-channel symmetric kernels, int32 biases.
A stride-2 convolution with PyTorch's symmetric padding becomes PAD + VALID, since SAME would put the
odd pixel on one side only; XNNPACK fuses the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from hwbench.errors import ModelError
from hwbench.models.formats import Affine, Integers, Precision
from hwbench.models.tflite_writer import Quantization, Tensor, TfliteWriter
from hwbench.models.weights import Weights, folded
from hwbench.spaces.ops import (
    INPUT,
    Activate,
    Activation,
    Add,
    AveragePool,
    ChannelShuffle,
    Conv,
    GlobalAveragePool,
    Linear,
    Op,
    Scale,
    Zeroize,
)
from hwbench.spaces.space import NamedBlock

Range: TypeAlias = tuple[float, float]

_FUSED: dict[Activation, int] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


class ModelFile(msgspec.Struct, frozen=True):
    """The bytes of a .tflite file and the names of its outputs, in order; `integers` is None for fp32."""

    data: bytes
    outputs: tuple[str, ...]
    integers: Integers | None = None


def write_model(
    network: Sequence[NamedBlock],
    weights: Weights,
    precision: Precision = "fp32",
    ranges: Mapping[str, Range] | None = None,
    every_output: bool = False,
) -> ModelFile:
    """The blocks chained into one model; a single block is a network of one.

    `ranges` gives (lowest, highest) of each activation tensor by name (`input`, `<block>.<op>`) and is
    needed for int8. With `every_output` all activation tensors are outputs (for calibration).
    Raises ModelError for missing weights or ranges, or shapes that do not chain.
    """
    if not network:
        raise ModelError("A model needs at least one block.")
    if precision == "int8" and ranges is None:
        raise ModelError("An int8 model needs the ranges of its activations.")
    lowering = _Lowering(weights, ranges if precision == "int8" else None)
    first = network[0].block.in_shape
    current = lowering.activation(INPUT, first)
    model_input = current
    names: list[str] = []
    outputs: list[Tensor] = []
    for named in network:
        if current.shape[1:] != named.block.in_shape:
            raise ModelError(f"Block {named.name} needs an input of {named.block.in_shape}, not {current.shape[1:]}.")
        tensors = {INPUT: current}
        for op in named.block.ops():
            current = lowering.op(f"{named.name}.{op.name}", op, tensors)
            tensors[op.name] = current
            names.append(f"{named.name}.{op.name}")
            outputs.append(current)
    if not outputs:
        raise ModelError("There is nothing to run: every block is the identity.")
    if not every_output:
        names, outputs = names[-1:], outputs[-1:]
    source, target = _affine(model_input), _affine(outputs[-1])
    integers = None if source is None or target is None else Integers(source, target)
    return ModelFile(lowering.writer.finish([model_input], outputs), tuple(names), integers)


class _Lowering:
    """Turns primitive ops into TFLite operators; `ranges` is None for fp32."""

    def __init__(self, weights: Weights, ranges: Mapping[str, Range] | None) -> None:
        self.writer = TfliteWriter("hwbench")
        self._weights = weights
        self._ranges = ranges

    @property
    def _int8(self) -> bool:
        return self._ranges is not None

    def activation(self, name: str, shape: Sequence[int], like: Tensor | None = None) -> Tensor:
        """An activation tensor; `like` shares another tensor's quantization."""
        if self._ranges is None:
            return self.writer.tensor(name, (1, *shape), np.float32)
        if like is not None:
            return self.writer.tensor(name, (1, *shape), np.int8, like.quantization)
        if name not in self._ranges:
            raise ModelError(f"The calibration lacks the range of {name!r}.")
        return self.writer.tensor(name, (1, *shape), np.int8, activation_quantization(self._ranges[name]))

    def op(self, name: str, op: Op, tensors: Mapping[str, Tensor]) -> Tensor:
        source = tensors[op.source]
        match op:
            case Conv():
                return self._conv(name, op, source)
            case Linear():
                return self._linear(name, op, source)
            case GlobalAveragePool():
                return self._global_average_pool(name, op, source)
            case Add():
                return self._add(name, op, source, tensors[op.other])
            case _:
                return self._without_weights(name, op, tensors)

    def _without_weights(
        self, name: str, op: Activate | AveragePool | Scale | ChannelShuffle | Zeroize, tensors: Mapping[str, Tensor]
    ) -> Tensor:
        source = tensors[op.source]
        match op:
            case Activate():
                return self._activate(name, op, source)
            case AveragePool():
                return self._average_pool(name, op, source)
            case Scale():
                return self._multiply(name, source, tensors[op.other], self.activation(name, op.out_shape))
            case ChannelShuffle():
                return self._channel_shuffle(name, op, source)
            case Zeroize():
                return self._zeroize(name, op, source)

    def _conv(self, name: str, op: Conv, source: Tensor) -> Tensor:
        if op.in_shape[2] % op.groups or op.out_channels % op.groups:
            raise ModelError(f"{name}: {op.groups} groups do not divide its channels.")
        if op.activation not in _FUSED:
            raise ModelError(f"{name}: the activation {op.activation} cannot be fused into a convolution.")
        depthwise = op.groups > 1 and op.groups == op.in_shape[2]
        kernel, bias = folded(self._weights, name, op)
        # TFLite: out x height x width x in, or for depthwise 1 x height x width x out.
        layout = kernel.transpose(1, 2, 3, 0) if depthwise else kernel.transpose(0, 2, 3, 1)
        padded = op.padding == "symmetric" and op.stride > 1 and op.kernel > 1
        source = self._pad(f"{name}.pad", source, op.kernel // 2) if padded else source
        parameters = self._constants(name, layout, bias, 3 if depthwise else 0, source)
        output = self.activation(name, op.out_shape)
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.padding = schema.Padding.VALID if padded else schema.Padding.SAME
        options.strideH = options.strideW = op.stride
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = _FUSED[op.activation]
        if depthwise:
            options.depthMultiplier = op.out_channels // op.groups
            code, kind = schema.BuiltinOperator.DEPTHWISE_CONV_2D, schema.BuiltinOptions.DepthwiseConv2DOptions
        else:
            code, kind = schema.BuiltinOperator.CONV_2D, schema.BuiltinOptions.Conv2DOptions
        self.writer.operator(code, 3 if self._int8 else 1, [source, *parameters], output, (kind, options))
        return output

    def _linear(self, name: str, op: Linear, source: Tensor) -> Tensor:
        kernel, bias = folded(self._weights, name, op)
        parameters = self._constants(name, kernel, bias, 0, source)
        output = self._flat(name, op.out_channels)
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = schema.ActivationFunctionType.NONE
        self.writer.operator(
            schema.BuiltinOperator.FULLY_CONNECTED,
            # Version 9 admits one scale per output channel.
            9 if self._int8 else 1,
            [source, *parameters],
            output,
            (schema.BuiltinOptions.FullyConnectedOptions, options),
        )
        return output

    def _flat(self, name: str, channels: int) -> Tensor:
        return self.activation(name, (channels,))

    def _global_average_pool(self, name: str, op: GlobalAveragePool, source: Tensor) -> Tensor:
        output = self.activation(name, op.out_shape, like=source)
        options = schema.Pool2DOptionsT()
        options.padding = schema.Padding.VALID
        options.strideH = options.strideW = 1
        options.filterHeight, options.filterWidth = op.in_shape[:2]
        self.writer.operator(
            schema.BuiltinOperator.AVERAGE_POOL_2D,
            2 if self._int8 else 1,
            [source],
            output,
            (schema.BuiltinOptions.Pool2DOptions, options),
        )
        return output

    def _add(self, name: str, op: Add, left: Tensor, right: Tensor) -> Tensor:
        output = self.activation(name, op.out_shape)
        options = (schema.BuiltinOptions.AddOptions, schema.AddOptionsT())
        self.writer.operator(schema.BuiltinOperator.ADD, 2 if self._int8 else 1, [left, right], output, options)
        return output

    def _activate(self, name: str, op: Activate, source: Tensor) -> Tensor:
        match op.activation:
            case "relu" | "relu6":
                code = schema.BuiltinOperator.RELU if op.activation == "relu" else schema.BuiltinOperator.RELU6
                output = self.activation(name, op.out_shape, like=source)
                self.writer.operator(code, 2 if self._int8 else 1, [source], output, None)
                return output
            case "h-swish":
                output = self.activation(name, op.out_shape)
                self.writer.operator(schema.BuiltinOperator.HARD_SWISH, 1, [source], output, None)
                return output
            case "h-sigmoid":
                return self._hard_sigmoid(name, op, source)
            case "none":
                return source

    def _hard_sigmoid(self, name: str, op: Activate, source: Tensor) -> Tensor:
        """relu6(x + 3) / 6: the format has no operator for it."""
        quantization = activation_quantization((0.0, 6.0)) if self._int8 else None
        kind = np.int8 if self._int8 else np.float32
        shifted = self.writer.tensor(f"{name}.shifted", (1, *op.out_shape), kind, quantization)
        options = schema.AddOptionsT()
        options.fusedActivationFunction = schema.ActivationFunctionType.RELU6
        self.writer.operator(
            schema.BuiltinOperator.ADD, 2 if self._int8 else 1, [source, self._scalar(f"{name}.three", 3.0)], shifted,
            (schema.BuiltinOptions.AddOptions, options),
        )  # fmt: skip
        return self._multiply(name, shifted, self._scalar(f"{name}.sixth", 1 / 6), self.activation(name, op.out_shape))

    def _scalar(self, name: str, value: float) -> Tensor:
        """A positive constant that broadcasts."""
        if not self._int8:
            return self.writer.tensor(name, (1,), np.float32, data=np.array([value], np.float32))
        return self.writer.tensor(name, (1,), np.int8, Quantization((value / 127,), (0,)), np.array([127], np.int8))

    def _multiply(self, name: str, left: Tensor, right: Tensor, output: Tensor) -> Tensor:
        options = (schema.BuiltinOptions.MulOptions, schema.MulOptionsT())
        self.writer.operator(schema.BuiltinOperator.MUL, 2 if self._int8 else 1, [left, right], output, options)
        return output

    def _average_pool(self, name: str, op: AveragePool, source: Tensor) -> Tensor:
        output = self.activation(name, op.out_shape, like=source)
        options = schema.Pool2DOptionsT()
        options.padding = schema.Padding.SAME
        options.strideH = options.strideW = op.stride
        options.filterHeight = options.filterWidth = op.kernel
        self.writer.operator(
            schema.BuiltinOperator.AVERAGE_POOL_2D, 2 if self._int8 else 1, [source], output,
            (schema.BuiltinOptions.Pool2DOptions, options),
        )  # fmt: skip
        return output

    def _channel_shuffle(self, name: str, op: ChannelShuffle, source: Tensor) -> Tensor:
        height, width, channels = op.in_shape
        per_group = channels // op.groups
        grouped = self._reshape(f"{name}.grouped", source, (height, width, op.groups, per_group))
        turned = self.activation(f"{name}.turned", (height, width, per_group, op.groups), like=source)
        order = np.array([0, 1, 2, 4, 3], np.int32)
        permutation = self.writer.tensor(f"{name}.order", order.shape, np.int32, data=order)
        options = (schema.BuiltinOptions.TransposeOptions, schema.TransposeOptionsT())
        version = 2 if self._int8 else 1
        self.writer.operator(schema.BuiltinOperator.TRANSPOSE, version, [grouped, permutation], turned, options)
        return self._reshape(name, turned, op.out_shape)

    def _reshape(self, name: str, source: Tensor, shape: Sequence[int]) -> Tensor:
        output = self.activation(name, shape, like=source)
        sizes = np.array(output.shape, np.int32)
        wanted = self.writer.tensor(f"{name}.shape", sizes.shape, np.int32, data=sizes)
        options = schema.ReshapeOptionsT()
        options.newShape = list(output.shape)
        self.writer.operator(
            schema.BuiltinOperator.RESHAPE, 1, [source, wanted], output,
            (schema.BuiltinOptions.ReshapeOptions, options),
        )  # fmt: skip
        return output

    def _zeroize(self, name: str, op: Zeroize, source: Tensor) -> Tensor:
        """x - x: exactly zero in both precisions."""
        output = self.activation(name, op.out_shape, like=source)
        options = (schema.BuiltinOptions.SubOptions, schema.SubOptionsT())
        self.writer.operator(schema.BuiltinOperator.SUB, 2 if self._int8 else 1, [source, source], output, options)
        return output

    def _pad(self, name: str, source: Tensor, border: int) -> Tensor:
        _, height, width, channels = source.shape
        output = self.activation(name, (height + 2 * border, width + 2 * border, channels), like=source)
        amounts = np.array([[0, 0], [border, border], [border, border], [0, 0]], np.int32)
        borders = self.writer.tensor(f"{name}.amounts", amounts.shape, np.int32, data=amounts)
        options = (schema.BuiltinOptions.PadOptions, schema.PadOptionsT())
        self.writer.operator(schema.BuiltinOperator.PAD, 2 if self._int8 else 1, [source, borders], output, options)
        return output

    def _constants(
        self, name: str, kernel: NDArray[np.float32], bias: NDArray[np.float32], axis: int, source: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Kernel and bias as constants, quantized per output channel along `axis` for int8."""
        if source.quantization is None:
            return (
                self.writer.tensor(f"{name}.weight", kernel.shape, np.float32, data=kernel),
                self.writer.tensor(f"{name}.bias", bias.shape, np.float32, data=bias),
            )
        others = tuple(i for i in range(kernel.ndim) if i != axis)
        scales = np.maximum(np.abs(kernel).max(axis=others), 1e-12) / 127.0
        along = [1] * kernel.ndim
        along[axis] = -1
        integers = np.clip(np.round(kernel / scales.reshape(along)), -127, 127).astype(np.int8)
        bias_scales = scales * source.quantization.scales[0]
        limit = 2**31 - 1
        bias_integers = np.clip(np.round(bias / bias_scales), -limit, limit).astype(np.int32)
        zeros = (0,) * len(scales)
        return (
            self.writer.tensor(
                f"{name}.weight", kernel.shape, np.int8, Quantization(tuple(map(float, scales)), zeros, axis), integers
            ),
            self.writer.tensor(
                f"{name}.bias",
                bias.shape,
                np.int32,
                Quantization(tuple(map(float, bias_scales)), zeros, 0),
                bias_integers,
            ),
        )


def _affine(tensor: Tensor) -> Affine | None:
    """The quantization of an activation as the file holds it, in single precision."""
    found = tensor.quantization
    return None if found is None else Affine(float(np.float32(found.scales[0])), found.zero_points[0])


def activation_quantization(bounds: Range) -> Quantization:
    """int8 scale and zero point that cover `bounds` and represent 0 exactly (TFLite's 8-bit specification)."""
    low, high = min(float(bounds[0]), 0.0), max(float(bounds[1]), 0.0)
    scale = max(high - low, 1e-9) / 255.0
    return Quantization((scale,), (int(np.clip(round(-128 - low / scale), -128, 127)),))
