"""The one torch form of a space: blocks chained into an nn.Module, with the named weights of `weights.py`.

Activations are (batch, channels, height, width); the classifier's output is (batch, classes, 1, 1), since a linear
layer is written as a 1x1 convolution, which saves a change of shape. Only imported where torch is wanted.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hwbench.errors import ModelError
from hwbench.models.weights import BATCH_NORM_EPSILON, Array, Weights, array
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
    sources,
)
from hwbench.spaces.space import NamedBlock

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "h-swish": nn.Hardswish,
    "h-sigmoid": nn.Hardsigmoid,
}
_BATCH_NORM = {"bn_scale": "weight", "bn_shift": "bias", "bn_mean": "running_mean", "bn_variance": "running_var"}


class ConvUnit(nn.Module):
    """Convolution, batch norm, activation; `border` is padded first where the four sides differ."""

    def __init__(self, op: Conv, batch_norm: bool) -> None:
        super().__init__()
        top, bottom = _border(op.in_shape[0], op)
        left, right = _border(op.in_shape[1], op)
        even = top == bottom and left == right
        self.border = None if even else (left, right, top, bottom)
        self.conv = nn.Conv2d(
            op.in_shape[2], op.out_channels, op.kernel, op.stride, (top, left) if even else 0,
            groups=op.groups, bias=not batch_norm,
        )  # fmt: skip
        self.norm = nn.BatchNorm2d(op.out_channels, BATCH_NORM_EPSILON) if batch_norm else nn.Identity()
        self.activation = _ACTIVATIONS[op.activation]()

    def forward(self, image: Tensor) -> Tensor:
        if self.border is not None:
            image = functional.pad(image, self.border)
        return self.activation(self.norm(self.conv(image)))


class GlobalMean(nn.Module):
    """Mean over height and width, both kept."""

    def forward(self, image: Tensor) -> Tensor:
        return image.mean((2, 3), keepdim=True)


class Sum(nn.Module):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left + right


class Product(nn.Module):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left * right


class WindowMean(nn.Module):
    """Mean over windows of what lies inside the map, as TensorFlow's `same` places them."""

    def __init__(self, op: AveragePool) -> None:
        super().__init__()
        needed = [max((-(-size // op.stride) - 1) * op.stride + op.kernel - size, 0) for size in op.in_shape[:2]]
        if max(needed) > 1 and any(border % 2 for border in needed):
            raise ModelError(f"{op.name}: torch has no average pool of kernel {op.kernel}, stride {op.stride} there.")
        # One pixel more after than before is a last window that hangs over the edge.
        padding = (needed[0] // 2, needed[1] // 2)
        self.pool = nn.AvgPool2d(op.kernel, op.stride, padding, ceil_mode=max(needed) == 1, count_include_pad=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.pool(image)


class Shuffle(nn.Module):
    """Channels seen as groups x rest, transposed."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, image: Tensor) -> Tensor:
        return functional.channel_shuffle(image, self.groups)


class Zeros(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image - image


class BlockNet(nn.Module):
    """One block: its ops by name, run in order."""

    def __init__(self, named: NamedBlock, weights: Weights) -> None:
        super().__init__()
        ops = named.block.ops()
        self.program = tuple((op.name, sources(op)) for op in ops)
        self.ops = nn.ModuleDict({op.name: _module(op, f"{named.name}.{op.name}", weights) for op in ops})

    def forward(self, image: Tensor) -> Tensor:
        tensors = {INPUT: image}
        for name, read in self.program:
            image = tensors[name] = self.ops[name](*(tensors[source] for source in read))
        return image


class Network(nn.Module):
    """Blocks one after the other; `names` are theirs, in order."""

    def __init__(self, names: Sequence[str], blocks: Sequence[BlockNet]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> Tensor:
        for block in self.blocks:
            image = block(image)
        return image


def build(network: Sequence[NamedBlock], weights: Weights) -> Network:
    """The network with its weights, batch norms as modules of their own, in training mode.

    Raises ModelError for missing or misshapen weights, and for shapes that do not chain.
    """
    if not network:
        raise ModelError("A model needs at least one block.")
    for before, after in itertools.pairwise(network):
        if before.block.out_shape != after.block.in_shape:
            raise ModelError(
                f"Block {after.name} needs an input of {after.block.in_shape}, not {before.block.out_shape}."
            )
    return Network([named.name for named in network], [BlockNet(named, weights) for named in network])


def for_export(network: Network) -> Network:
    """A copy for inference: eval mode, batch norms folded into the convolutions.

    Kernels keep torch's own memory order, which the XNNPACK exporter needs; the input decides that of activations.
    """
    made = copy.deepcopy(network).eval()
    for unit in [module for module in made.modules() if isinstance(module, ConvUnit)]:
        if isinstance(unit.norm, nn.BatchNorm2d):
            unit.conv = fuse_conv_bn_eval(unit.conv, unit.norm)
            unit.norm = nn.Identity()
    return made


def weights_of(name: str, block: BlockNet) -> dict[str, Array]:
    """The arrays of a block as they are now, under the names that `build` takes for a block called `name`."""
    found: dict[str, Array] = {}
    for op_name, module in block.ops.items():
        prefix = f"{name}.{op_name}"
        if isinstance(module, ConvUnit):
            found[f"{prefix}.weight"] = _copy(module.conv.weight)
            if isinstance(module.norm, nn.BatchNorm2d):
                found |= {
                    f"{prefix}.{ours}": _copy(getattr(module.norm, theirs)) for ours, theirs in _BATCH_NORM.items()
                }
            else:
                found[f"{prefix}.bias"] = _copy(module.conv.bias)
        elif isinstance(module, nn.Conv2d):
            found |= {f"{prefix}.weight": _copy(module.weight)[:, :, 0, 0], f"{prefix}.bias": _copy(module.bias)}
    return found


def image_tensor(images: NDArray[np.float32]) -> Tensor:
    """Images (n, height, width, channels) as a channels_last tensor (n, channels, height, width), the same memory."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)


def _border(size: int, op: Conv) -> tuple[int, int]:
    """Zeros before and after one dimension of `size`."""
    needed = max((-(-size // op.stride) - 1) * op.stride + op.kernel - size, 0)
    if op.padding == "same":
        return needed // 2, needed - needed // 2
    before = op.kernel // 2
    # An odd kernel never reads more zeros after than before, so equal sides cost nothing and need no op of their own.
    return (before, before) if op.kernel % 2 else (before, max(needed - before, 0))


def _module(op: Op, name: str, weights: Weights) -> nn.Module:
    """The module of one op, its arrays filled in."""
    match op:
        case Conv():
            unit = ConvUnit(op, batch_norm=op.batch_norm and f"{name}.bias" not in weights)
            _fill(unit.conv.weight, weights, f"{name}.weight", op.weight_shape)
            norm = unit.norm if isinstance(unit.norm, nn.BatchNorm2d) else None
            parts = {ours: getattr(norm, theirs) for ours, theirs in _BATCH_NORM.items()} if norm else {}
            for part, place in (parts or {"bias": unit.conv.bias}).items():
                _fill(place, weights, f"{name}.{part}", (op.out_channels,))
            return unit
        case Linear():
            linear = nn.Conv2d(op.in_shape[2], op.out_channels, 1)
            _fill(linear.weight, weights, f"{name}.weight", (op.out_channels, op.in_shape[2]))
            _fill(linear.bias, weights, f"{name}.bias", (op.out_channels,))
            return linear
        case _:
            return _without_weights(op)


def _without_weights(
    op: GlobalAveragePool | Add | Activate | AveragePool | Scale | ChannelShuffle | Zeroize,
) -> nn.Module:
    match op:
        case GlobalAveragePool():
            made: nn.Module = GlobalMean()
        case Add():
            made = Sum()
        case Activate():
            made = _ACTIVATIONS[op.activation]()
        case AveragePool():
            made = WindowMean(op)
        case Scale():
            made = Product()
        case ChannelShuffle():
            made = Shuffle(op.groups)
        case Zeroize():
            made = Zeros()
    return made


def _copy(place: Tensor) -> Array:
    copied: Array = place.detach().to("cpu", torch.float32).numpy().copy()
    return copied


def _fill(place: Tensor, weights: Weights, name: str, shape: tuple[int, ...]) -> None:
    with torch.no_grad():
        place.copy_(torch.from_numpy(array(weights, name, shape).copy()).reshape(place.shape))
