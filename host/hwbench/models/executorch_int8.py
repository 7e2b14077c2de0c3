"""int8 for ExecuTorch through PT2E, with the scheme of LiteRT: per-channel symmetric kernels, per-tensor activations.

A convolution and the activation after it are quantized as one, as XNNPACK runs them (the quantizer that comes with
ExecuTorch rounds between the two unless the activation is ReLU). Where the four sides of a border differ
(`padding="same"`, stride 2), XNNPACK pads in float, which costs two conversions there.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx
from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
    SharedQuantizationSpec,
)
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from hwbench.errors import ModelError
from hwbench.models.formats import Affine, Integers

_ATEN = torch.ops.aten
_FUSED = (_ATEN.relu.default, _ATEN.hardtanh.default)
_QUANTIZE = torch.ops.quantized_decomposed.quantize_per_tensor.default
_DEQUANTIZE = torch.ops.quantized_decomposed.dequantize_per_tensor.default
_ACTIVATION = QuantizationSpec(
    dtype=torch.int8, quant_min=-128, quant_max=127, qscheme=torch.per_tensor_affine,
    observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=1e-12),
)  # fmt: skip
_KERNEL = QuantizationSpec(
    dtype=torch.int8, quant_min=-127, quant_max=127, qscheme=torch.per_channel_symmetric, ch_axis=0,
    observer_or_fake_quant_ctr=PerChannelMinMaxObserver.with_args(eps=1e-12),
)  # fmt: skip


class Int8Quantizer(Quantizer):
    """Says which tensors are rounded."""

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        for node in model.graph.nodes:
            if node.op == "call_function":
                _annotate(node)
        return model

    def validate(self, model: fx.GraphModule) -> None:
        """Nothing to refuse: an op that was not annotated stays in float."""


def quantized(model: fx.GraphModule, images: Tensor) -> tuple[fx.GraphModule, Integers]:
    """An int8 form of an exported fp32 model, calibrated on `images` (n, channels, height, width).

    Its input and output are int8 tensors, whose quantization is returned beside it.
    """
    prepared = prepare_pt2e(model, Int8Quantizer())
    for image in images.split(1):
        prepared(image)
    converted = convert_pt2e(prepared)
    integers = Integers(_integer_input(converted.graph), _integer_output(converted.graph))
    converted.graph.eliminate_dead_code()
    converted.recompile()
    return converted, integers


def _annotate(node: fx.Node) -> None:
    if node.target == _ATEN.conv2d.default:
        image, kernel = node.args[:2]
        inputs = {image: _ACTIVATION, kernel: _KERNEL}
        output = None if _activation_of(node) else _ACTIVATION
    elif node.target in _FUSED or node.target == _ATEN.pad.default:
        inputs = {} if node.args[0].target == _ATEN.conv2d.default else {node.args[0]: _ACTIVATION}
        output = _ACTIVATION
    elif node.target == _ATEN.add.Tensor:
        inputs = dict.fromkeys(node.args[:2], _ACTIVATION)
        output = _ACTIVATION
    elif node.target == _ATEN.mean.dim:
        inputs = {node.args[0]: _ACTIVATION}
        output = SharedQuantizationSpec((node.args[0], node))
    else:
        # An op in float inside an int8 model: what goes in and out at the model's ends is rounded all the same.
        inputs = {arg: _ACTIVATION for arg in node.all_input_nodes if arg.op == "placeholder"}
        output = _ACTIVATION if any(user.op == "output" for user in node.users) else None
        if not inputs and output is None:
            return
    node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(inputs, output, _annotated=True)


def _activation_of(conv: fx.Node) -> fx.Node | None:
    """The activation that alone reads a convolution's output."""
    users = list(conv.users)
    return users[0] if len(users) == 1 and users[0].target in _FUSED else None


def _integer_input(graph: fx.Graph) -> Affine:
    """Takes the rounding of the input out of the graph and returns what it did."""
    source = next(node for node in graph.nodes if node.op == "placeholder")
    roundings = [node for node in source.users if node.target == _QUANTIZE]
    if len(roundings) != len(source.users):
        raise ModelError("The model reads its input as float as well.")
    for node in roundings:
        node.replace_all_uses_with(source)
    return Affine(*_scale(roundings[0]))


def _integer_output(graph: fx.Graph) -> Affine:
    """Takes the conversion of the output to float out of the graph and returns what it did."""
    end = graph.output_node()
    (target,) = end.args[0]
    if target.target != _DEQUANTIZE:
        raise ModelError("The model's last op does not run in int8.")
    end.args = ((target.args[0],),)
    return Affine(*_scale(target))


def _scale(node: fx.Node) -> tuple[float, int]:
    return float(node.args[1]), int(node.args[2])
