"""Network configurations as ProxylessNAS and Once-for-all publish them: JSON of layers, as a chain of blocks."""

from __future__ import annotations

from typing import Any

from hwbench.errors import DataError
from hwbench.spaces import ofa
from hwbench.spaces.blocks import Classifier, ConvBlock, LinearBlock, MBConv, Pool
from hwbench.spaces.ops import Activation, Shape
from hwbench.spaces.space import NamedBlock
from hwbench.tables.formats.document import Document

_ACTIVATIONS: dict[str, Activation] = {"relu": "relu", "relu6": "relu6", "h_swish": "h-swish"}
_LARGEST = 10**6


def read(document: Document, resolution: int = 224) -> tuple[NamedBlock, ...]:
    """The network's blocks in order, identities left out. Raises DataError for anything else."""
    try:
        return _network(document.json, (resolution, resolution, 3))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{document.path} is not a network configuration: {error!r}.") from error


def _network(content: dict[str, Any], image: Shape) -> tuple[NamedBlock, ...]:
    modern = content["name"] == "MobileNetV3"
    stem = _conv(content["first_conv"], image)
    found = [NamedBlock("stem", stem)]
    shape = stem.out_shape
    for number, block in enumerate(content["blocks"]):
        conv = block["mobile_inverted_conv"]
        if conv["name"] == "ZeroLayer":
            continue
        made = _mbconv(conv, shape, bool(block["shortcut"]), modern)
        found.append(NamedBlock(f"blocks.{number}", made))
        shape = made.out_shape
    classes = _size(content["classifier"]["out_features"])
    if not modern:
        mix = _conv(content["feature_mix_layer"], shape)
        return (*found, NamedBlock("mix", mix), NamedBlock("classifier", Classifier(mix.out_shape, classes)))
    final = _conv(content["final_expand_layer"], shape)
    pool = Pool(final.out_shape)
    mix = _conv(content["feature_mix_layer"], pool.out_shape)
    classifier = LinearBlock(mix.out_channels, classes)
    found += [NamedBlock("final", final), NamedBlock("pool", pool), NamedBlock("mix", mix)]
    return (*found, NamedBlock("classifier", classifier))


def _conv(layer: dict[str, Any], shape: Shape) -> ConvBlock:
    out, kernel, stride = (_size(layer[name]) for name in ("out_channels", "kernel_size", "stride"))
    return ConvBlock(shape, out, kernel, stride, activation=_ACTIVATIONS[layer["act_func"]])


def _mbconv(conv: dict[str, Any], shape: Shape, shortcut: bool, modern: bool) -> MBConv:
    out, kernel, stride = (_size(conv[name]) for name in ("out_channels", "kernel_size", "stride"))
    mid = _size(conv.get("mid_channels") or conv["expand_ratio"] * shape[2])
    activation = _ACTIVATIONS[conv["act_func"]] if modern else "relu6"
    squeeze = ofa.squeeze_channels(mid) if conv.get("use_se") else 0
    return MBConv(shape, out, mid, kernel, stride, shortcut, activation=activation, squeeze=squeeze)


def _size(value: object) -> int:
    if type(value) is not int or not 1 <= value <= _LARGEST:
        raise ValueError(f"{str(value)[:40]} is no size")
    return value
