"""Weights: a mapping of named arrays, under one naming whatever the engine.

`<block>.<op>.weight` is out x in/groups x height x width (out x in for a linear layer), as PyTorch
has it. With batch norm there are `.bn_scale .bn_shift .bn_mean .bn_variance`; without, `.bias`.
`folded` is the one place where batch norm becomes part of a convolution.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwbench.errors import ModelError
from hwbench.spaces.blocks import MBConv
from hwbench.spaces.ops import Conv, Linear
from hwbench.spaces.space import NamedBlock

Array: TypeAlias = NDArray[np.float32]
Weights: TypeAlias = Mapping[str, Array]

BATCH_NORM_EPSILON = 1e-3


def random_weights(network: Iterable[NamedBlock], seed: int) -> dict[str, Array]:
    """He-normal kernels and mildly random batch norms; each array depends on its name and the seed alone."""
    weights: dict[str, Array] = {}
    for named in network:
        for op in named.block.ops():
            name = f"{named.name}.{op.name}"
            if isinstance(op, Conv):
                weights[f"{name}.weight"] = _he_normal(name, seed, op.weight_shape)
                if op.batch_norm:
                    weights |= _random_batch_norm(name, seed, op.out_channels)
                else:
                    weights[f"{name}.bias"] = np.zeros(op.out_channels, np.float32)
            elif isinstance(op, Linear):
                weights[f"{name}.weight"] = _he_normal(name, seed, (op.out_channels, op.in_shape[2]))
                weights[f"{name}.bias"] = np.zeros(op.out_channels, np.float32)
    return weights


def untrained_weights(network: Iterable[NamedBlock], seed: int) -> dict[str, Array]:
    """Weights to train from, as the published ProxylessNAS code draws them; each depends on its name and the seed.

    Kernels are He-normal by fan out, the linear layer uniform within 1 / sqrt(inputs), batch norms the identity.
    """
    weights: dict[str, Array] = {}
    for named in network:
        for op in named.block.ops():
            name = f"{named.name}.{op.name}"
            if isinstance(op, Conv):
                deviation = np.float32(np.sqrt(2 / (op.kernel**2 * op.out_channels)))
                draws = _rng(f"{name}.weight", seed).standard_normal(op.weight_shape, dtype=np.float32)
                weights[f"{name}.weight"] = draws * deviation
                plain = {"bn_scale": 1.0, "bn_shift": 0.0, "bn_mean": 0.0, "bn_variance": 1.0}
                for part, value in (plain if op.batch_norm else {"bias": 0.0}).items():
                    weights[f"{name}.{part}"] = np.full(op.out_channels, value, np.float32)
            elif isinstance(op, Linear):
                bound, shape = op.in_shape[2] ** -0.5, (op.out_channels, op.in_shape[2])
                draws = _rng(f"{name}.weight", seed).uniform(-bound, bound, shape).astype(np.float32)
                weights |= {f"{name}.weight": draws, f"{name}.bias": np.zeros(op.out_channels, np.float32)}
    return weights


def without_residuals(network: Iterable[NamedBlock], weights: Weights) -> dict[str, Array]:
    """The weights with inverted residuals that have a shortcut passing on what they get (ours for MBConv).

    The last batch norm scales by 0 (Goyal et al., Accurate, large minibatch SGD, 2017, section 5.1), so that a deep
    network begins to train as a shallow one.
    """
    changed = dict(weights)
    for named in network:
        if isinstance(named.block, MBConv) and named.block.skip:
            scale = f"{named.name}.project.bn_scale"
            changed[scale] = np.zeros_like(changed[scale])
    return changed


def folded(weights: Weights, name: str, op: Conv | Linear) -> tuple[Array, Array]:
    """Kernel and bias of an op with its batch norm folded in.

    Raises ModelError when an array is missing or has the wrong shape.
    """
    shape = op.weight_shape if isinstance(op, Conv) else (op.out_channels, op.in_shape[2])
    kernel = array(weights, f"{name}.weight", shape)
    per_channel = (op.out_channels,)
    if isinstance(op, Linear) or f"{name}.bias" in weights:
        return kernel, array(weights, f"{name}.bias", per_channel)
    scale, shift, mean, variance = (
        array(weights, f"{name}.bn_{part}", per_channel) for part in ("scale", "shift", "mean", "variance")
    )
    factor = scale / np.sqrt(variance + BATCH_NORM_EPSILON)
    return kernel * factor.reshape(-1, 1, 1, 1), shift - mean * factor


def array(weights: Weights, name: str, shape: tuple[int, ...]) -> Array:
    """The named array as float32. Raises ModelError when it is missing or has another shape."""
    if name not in weights:
        raise ModelError(f"The weights lack the array {name!r}.")
    array = np.asarray(weights[name], np.float32)
    if array.shape != shape:
        raise ModelError(f"The array {name!r} has shape {array.shape}; the block needs {shape}.")
    return array


def _rng(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _he_normal(name: str, seed: int, shape: tuple[int, ...]) -> Array:
    fan_in = int(np.prod(shape[1:]))
    draws = _rng(f"{name}.weight", seed).standard_normal(shape, dtype=np.float32)
    return draws * np.float32(np.sqrt(2 / fan_in))


def _random_batch_norm(name: str, seed: int, channels: int) -> dict[str, Array]:
    rng = _rng(f"{name}.bn", seed)
    return {
        f"{name}.bn_scale": rng.uniform(0.8, 1.2, channels).astype(np.float32),
        f"{name}.bn_shift": rng.normal(0.0, 0.1, channels).astype(np.float32),
        f"{name}.bn_mean": rng.normal(0.0, 0.1, channels).astype(np.float32),
        f"{name}.bn_variance": rng.uniform(0.8, 1.2, channels).astype(np.float32),
    }
