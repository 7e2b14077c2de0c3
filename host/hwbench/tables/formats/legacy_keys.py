"""The block keys of ProxylessNAS's and Once-for-all's tables, and the blocks that they mean.

Both write `expanded_conv-input:HxWxC-output:HxWxC-expand:E-kernel:K-stride:S-idskip:B`. In ProxylessNAS's E is the
ratio and the activation is ReLU6; in Once-for-all's E is the number of middle channels and `-se:B-hs:B` follows.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from hwbench.errors import DataError
from hwbench.spaces import ofa, proxylessnas
from hwbench.spaces.blocks import Block, Classifier, ConvBlock, LinearBlock, MBConv, Pool
from hwbench.spaces.ops import Activation, Shape
from hwbench.spaces.space import Space

Dialect: TypeAlias = Literal["proxylessnas", "ofa"]

_SHAPE = r"(\d{1,6})x(\d{1,6})x(\d{1,6})"
_EXPANDED = re.compile(
    rf"^expanded_conv-input:{_SHAPE}-output:{_SHAPE}-expand:(\d{{1,6}})-kernel:(\d{{1,2}})-stride:(\d)-idskip:([01])"
    r"(?:-se:([01])-hs:([01]))?$"
)
_PLAIN = re.compile(rf"^(Conv|Conv_1|Conv_2|AvgPool2D)-input:{_SHAPE}-output:{_SHAPE}$")
_LOGITS = re.compile(rf"^Logits-input:{_SHAPE}-output:(\d{{1,6}})$")
_OWN_WIDTHS = ("w1.0", "mobile", "w0.5", "w0.75", "w1.3", "w1.4", "w0.35", "w0.25")


def block_of(key: str, dialect: Dialect) -> Block:
    """The block that a key means. Raises ValueError with the reason, or DataError for an impossible block."""
    if match := _EXPANDED.match(key):
        return _expanded(match, dialect)
    if match := _PLAIN.match(key):
        kind, *sizes = match.groups()
        return _plain(kind, _shape(sizes[:3]), _shape(sizes[3:]), dialect)
    if match := _LOGITS.match(key):
        *sizes, classes = match.groups()
        shape = _shape(sizes)
        if min(int(classes), *shape) < 1:
            raise ValueError("a size of 0")
        if dialect == "ofa":
            if shape[:2] != (1, 1):
                raise ValueError("Once-for-all's classifier reads a 1 x 1 map")
            return LinearBlock(shape[2], int(classes))
        return Classifier(shape, int(classes))
    raise ValueError("unknown key")


def key_of(block: Block, dialect: Dialect) -> str:
    """The key of a block. Raises DataError when the format cannot express it."""
    key = _key(block, dialect)
    try:
        found = key is not None and block_of(key, dialect).key == block.key
    except ValueError:
        found = False
    if key is None or not found:
        name = "ProxylessNAS's" if dialect == "proxylessnas" else "Once-for-all's"
        raise DataError(f"{name} tables cannot express the block {block.key}.", hint="Export as csv instead.")
    return key


def best_space(keys: set[str], dialect: Dialect) -> str | None:
    """The space, of those with the stem's resolution and the classifier's classes, that knows most of the keys."""
    stem = next((match for key in keys if (match := re.match(rf"^conv-in:{_SHAPE}-out:{_SHAPE}-kernel:3", key))), None)
    last = next((match for key in keys if (match := re.match(r"^(?:classifier|linear)-in:.*x(\d+)$", key))), None)
    if stem is None or last is None or stem[1] != stem[2]:
        return None
    resolution, classes = int(stem[1]), int(last[1])
    candidates: list[Space] = []
    if dialect == "ofa":
        candidates = [ofa.build(width, resolution, classes) for width in (1.2, 1.0)]
    elif stem[3] == "3":
        candidates = [proxylessnas.from_name(f"proxylessnas-{w}-r{resolution}-c{classes}") for w in _OWN_WIDTHS]
    shares = {space.name: len(keys & space.rows_by_key.keys()) / len(space.rows_by_key) for space in candidates}
    best = max(shares, key=lambda name: shares[name], default=None)
    return best if best is not None and shares[best] > 0.5 else None


def _expanded(match: re.Match[str], dialect: Dialect) -> MBConv:
    texts = match.groups()
    source, end = _shape(texts[:3]), _shape(texts[3:6])
    expand, kernel, stride = (int(text) for text in texts[6:9])
    skip, squeeze, swish = texts[9] == "1", texts[10], texts[11]
    if min(*source, *end, expand, kernel, stride) < 1:
        raise ValueError("a size of 0")
    if (squeeze is None) != (dialect == "proxylessnas"):
        raise ValueError("a key of the other kind of table")
    mid = expand if dialect == "ofa" else expand * source[2]
    activation: Activation = "relu6" if dialect == "proxylessnas" else "h-swish" if swish == "1" else "relu"
    width = ofa.squeeze_channels(mid) if squeeze == "1" else 0
    block = MBConv(source, end[2], mid, kernel, stride, skip, activation=activation, squeeze=width)
    if block.out_shape != end:
        raise ValueError(f"its output is {end[0]}x{end[1]} where its stride gives {block.out_shape[0]}x"
                         f"{block.out_shape[1]}")  # fmt: skip
    return block


def _plain(kind: str, source: Shape, end: Shape, dialect: Dialect) -> Block:
    if min(*source, *end) < 1:
        raise ValueError("a size of 0")
    if kind == "AvgPool2D":
        if dialect != "ofa" or end != (1, 1, source[2]):
            raise ValueError("not a global average pool")
        return Pool(source)
    stride = 1 if source[:2] == end[:2] else 2
    activation: Activation = "relu6" if dialect == "proxylessnas" else "h-swish"
    block = ConvBlock(source, end[2], 3 if kind == "Conv" else 1, stride, activation=activation)
    if block.out_shape != end:
        raise ValueError("its output is neither as large as its input nor half as large")
    return block


def _key(block: Block, dialect: Dialect) -> str | None:
    def shapes() -> str:
        return f"input:{_text(block.in_shape)}-output:{_text(block.out_shape)}"

    match block:
        case MBConv():
            expand = block.mid_channels if dialect == "ofa" else block.mid_channels // block.in_shape[2]
            key = f"expanded_conv-{shapes()}-expand:{expand}-kernel:{block.kernel}-stride:{block.stride}"
            key += f"-idskip:{int(block.skip)}"
            if dialect == "ofa":
                key += f"-se:{int(block.squeeze > 0)}-hs:{int(block.activation == 'h-swish')}"
        case ConvBlock():
            last = dialect == "ofa" and block.in_shape[:2] == (1, 1)
            key = f"{'Conv' if block.kernel == 3 else 'Conv_2' if last else 'Conv_1'}-{shapes()}"
        case Classifier() | LinearBlock():
            key = f"Logits-input:{_text(block.in_shape)}-output:{block.classes}"
        case Pool():
            key = f"AvgPool2D-{shapes()}"
        case _:
            return None
    return key


def _shape(texts: list[str] | tuple[str, ...]) -> Shape:
    height, width, channels = (int(text) for text in texts)
    return (height, width, channels)


def _text(shape: Shape) -> str:
    return "x".join(str(size) for size in shape)
