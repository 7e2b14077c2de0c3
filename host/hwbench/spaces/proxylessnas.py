"""The ProxylessNAS mobile space (Cai, Zhu, Han, ICLR 2019, section 4.2 and appendix).

21 searched positions in six stages; each offers MBConv with kernel 3, 5, 7 and expansion 3, 6, and
Zero (the identity) where input and output shapes agree. A name carries every parameter:

    proxylessnas-w1.0-r224-c1000          the paper's search space, first stage 24 wide
    proxylessnas-mobile-r224-c1000        widths of the released mobile network, first stage 32
    proxylessnas-w0.5-r28-c10-i1-t1       28 x 28, one input channel, stride-1 stem
"""

from __future__ import annotations

import re

import msgspec

from hwbench.errors import UsageError
from hwbench.spaces.blocks import Block, Classifier, ConvBlock, MBConv
from hwbench.spaces.ops import Padding, Shape
from hwbench.spaces.space import ChainSpace, NamedBlock, Position
from hwbench.spaces.widths import make_divisible

OPERATORS = ((3, 3), (3, 6), (5, 3), (5, 6), (7, 3), (7, 6))  # kernel, expansion
ZERO = "zero"

_STEM, _FIRST, _MIX = 32, 16, 1280
_PAPER = (24, 40, 80, 96, 192, 320)
_RELEASED_MOBILE = (32, 40, 80, 96, 192, 320)
_RELEASED_MOBILE_OPERATORS = (
    "k5e3 k3e3 zero zero k7e3 k3e3 k5e3 k5e3 k7e6 k5e3 k5e3 k5e3 k5e6 k5e3 k5e3 k5e3 k7e6 k7e6 k7e3 k7e3 k7e6"
)


class Parameters(msgspec.Struct, frozen=True):
    """Everything that decides the blocks of the space."""

    stem_width: int = _STEM
    first_width: int = _FIRST
    stage_widths: tuple[int, ...] = _PAPER
    stage_depths: tuple[int, ...] = (4, 4, 4, 4, 4, 1)
    stage_strides: tuple[int, ...] = (2, 2, 2, 1, 2, 1)
    mix_width: int = _MIX
    resolution: int = 224
    input_channels: int = 3
    classes: int = 1000
    stem_stride: int = 2
    padding: Padding = "symmetric"

    def __post_init__(self) -> None:
        if not len(self.stage_widths) == len(self.stage_depths) == len(self.stage_strides):
            raise UsageError("Stage widths, depths and strides of a ProxylessNAS space must have equal lengths.")
        numbers = (self.stem_width, self.first_width, *self.stage_widths, *self.stage_depths, *self.stage_strides,
                   self.mix_width, self.resolution, self.input_channels, self.classes, self.stem_stride)  # fmt: skip
        if min(numbers) < 1:
            raise UsageError("Every parameter of a ProxylessNAS space must be at least 1.")


def default(width: float = 1.0, resolution: int = 224, classes: int = 1000) -> ChainSpace:
    """The paper's search space, its widths multiplied by `width`."""
    return build(msgspec.structs.replace(_scaled(_PAPER, width), resolution=resolution, classes=classes))


def released_mobile(resolution: int = 224, classes: int = 1000) -> ChainSpace:
    """The space that holds the released mobile network: its first stage is 32 wide, not 24."""
    return build(Parameters(stage_widths=_RELEASED_MOBILE, resolution=resolution, classes=classes))


def released_mobile_operators() -> tuple[str, ...]:
    """Labels of the published network, for `released_mobile().parse`."""
    return tuple(_RELEASED_MOBILE_OPERATORS.split())


def fashion(width: float = 0.5) -> ChainSpace:
    """28 x 28 one-channel images, ten classes, a stride-1 stem (Fashion-MNIST)."""
    scaled = _scaled(_PAPER, width)
    return build(msgspec.structs.replace(scaled, resolution=28, input_channels=1, classes=10, stem_stride=1))


def build(parameters: Parameters) -> ChainSpace:
    """The space of the given parameters."""
    p = parameters
    stem = ConvBlock((p.resolution, p.resolution, p.input_channels), p.stem_width, 3, p.stem_stride, p.padding)
    first = MBConv(stem.out_shape, p.first_width, p.stem_width, 3, padding=p.padding)
    positions: list[Position] = []
    shape: Shape = first.out_shape
    for stage, (width, depth, stride) in enumerate(
        zip(p.stage_widths, p.stage_depths, p.stage_strides, strict=True), start=1
    ):
        for index in range(depth):
            position = _position(f"stage{stage}.{index}", shape, width, stride if index == 0 else 1, p.padding)
            positions.append(position)
            shape = _block(position).out_shape
    mix = ConvBlock(shape, p.mix_width, 1, padding=p.padding)
    classifier = Classifier(mix.out_shape, p.classes)
    return ChainSpace(
        name_of(p),
        (NamedBlock("stem", stem), NamedBlock("first", first)),
        tuple(positions),
        (NamedBlock("mix", mix), NamedBlock("classifier", classifier)),
    )


def _position(name: str, shape: Shape, width: int, stride: int, padding: Padding) -> Position:
    skip = stride == 1 and shape[2] == width
    blocks: list[Block | None] = [
        MBConv(shape, width, shape[2] * expansion, kernel, stride, skip, padding) for kernel, expansion in OPERATORS
    ]
    labels = [f"k{kernel}e{expansion}" for kernel, expansion in OPERATORS]
    if skip:
        blocks.append(None)
        labels.append(ZERO)
    return Position(name, tuple(labels), tuple(blocks))


def _block(position: Position) -> Block:
    block = position.blocks[0]
    assert block is not None
    return block


def _scaled(widths: tuple[int, ...], width: float) -> Parameters:
    return Parameters(
        stem_width=make_divisible(_STEM * width),
        first_width=make_divisible(_FIRST * width),
        stage_widths=tuple(make_divisible(w * width) for w in widths),
        mix_width=make_divisible(_MIX * width) if width > 1 else _MIX,
    )


_NAMED_MULTIPLIERS = (1.0, 0.25, 0.35, 0.5, 0.75, 1.3, 1.4)
_WIDTHS = re.compile(r"^w(\d+(?:\.\d+)?)$")
_OPTIONS = {"r": "resolution", "c": "classes", "i": "input_channels", "t": "stem_stride"}
_LISTS = {"d": "stage_depths", "s": "stage_strides"}


def name_of(parameters: Parameters) -> str:
    """The name that `from_name` turns back into these parameters."""
    reference = Parameters()
    parts = ["proxylessnas", _width_text(parameters), f"r{parameters.resolution}", f"c{parameters.classes}"]
    for letter, field in _OPTIONS.items():
        if letter in "it" and getattr(parameters, field) != getattr(reference, field):
            parts.append(f"{letter}{getattr(parameters, field)}")
    for letter, field in _LISTS.items():
        if getattr(parameters, field) != getattr(reference, field):
            parts.append(letter + ".".join(str(n) for n in getattr(parameters, field)))
    if parameters.padding == "same":
        parts.append("same")
    return "-".join(parts)


def _width_text(p: Parameters) -> str:
    own = (p.stem_width, p.first_width, p.stage_widths, p.mix_width)
    for multiplier in _NAMED_MULTIPLIERS:
        scaled = _scaled(_PAPER, multiplier)
        if own == (scaled.stem_width, scaled.first_width, scaled.stage_widths, scaled.mix_width):
            return f"w{multiplier}"
    if own == (_STEM, _FIRST, _RELEASED_MOBILE, _MIX):
        return "mobile"
    return "v" + ".".join(str(n) for n in (p.stem_width, p.first_width, *p.stage_widths, p.mix_width))


def from_name(name: str) -> ChainSpace:
    """The space of that name. Raises UsageError naming the part that is wrong."""
    kind, *parts = name.split("-")
    if kind != "proxylessnas":
        raise UsageError(f"{name!r} is not a ProxylessNAS space.")
    try:
        width, *options = parts
        fields = _width_fields(width)
        for option in options:
            if option == "same":
                fields["padding"] = "same"
            elif option[:1] in _LISTS:
                fields[_LISTS[option[0]]] = tuple(int(n) for n in option[1:].split("."))
            else:
                fields[_OPTIONS[option[0]]] = int(option[1:])
        return build(msgspec.convert(fields, Parameters))
    except (KeyError, ValueError, IndexError) as error:
        raise UsageError(
            f"Space {name!r} cannot be read.", hint="An example of a name is proxylessnas-w1.0-r224-c1000."
        ) from error


def _width_fields(text: str) -> dict[str, object]:
    """The fields of Parameters that the width part of a name sets."""
    if match := _WIDTHS.match(text):
        scaled = _scaled(_PAPER, float(match[1]))
        return {name: getattr(scaled, name) for name in ("stem_width", "first_width", "stage_widths", "mix_width")}
    if text == "mobile":
        return {"stage_widths": _RELEASED_MOBILE}
    if not text.startswith("v"):
        raise ValueError(text)
    stem, first, *stages, mix = (int(n) for n in text[1:].split("."))
    return {"stem_width": stem, "first_width": first, "stage_widths": tuple(stages), "mix_width": mix}
