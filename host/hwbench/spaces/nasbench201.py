"""The NAS-Bench-201 space (Dong & Yang, ICLR 2020): one cell of 6 edges x 5 operators, repeated in three stages.

A network is a chain of whole cells. A table holds the cells' parts instead (edges, sums at nodes), since 15,625 cells
are too many to measure and their parts are few: `terms` are the parts that are alive in an architecture.

    nasbench201-w16-n5-r32-c10        first stage 16 wide, 5 cells a stage, 32 x 32 images, 10 classes
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable
from functools import cache, cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.errors import DataError, UsageError
from hwbench.spaces.blocks import Block, ConvBlock
from hwbench.spaces.cells import (
    CONV_1,
    CONV_3,
    EDGES,
    NONE,
    OPERATORS,
    POOL_3,
    Cell,
    EdgeConv,
    EdgePool,
    NodeAdd,
    Reduction,
    Tail,
    alive,
)
from hwbench.spaces.ops import Shape
from hwbench.spaces.space import Architectures, Choice, NamedBlock, Position, Space, distinct

DEFAULT = "nasbench201-w16-n5-r32-c10"
STAGES = 3
PARTS = ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "add")

_NAME = re.compile(r"^nasbench201-w(\d{1,3})-n(\d{1,2})-r(\d{1,4})-c(\d{1,6})$")
_TEXT = re.compile(r"^\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|$")
# The benchmark's index order is a shuffle of the lexicographic one with this seed of Python's generator.
_SHUFFLE_SEED = 88


class CellSpace(Space, frozen=True, dict=True):
    """Cells in `STAGES` stages between fixed blocks; all cells of an architecture have the same six choices."""

    stem: NamedBlock
    shapes: tuple[Shape, ...]
    cells: int
    reductions: tuple[NamedBlock, ...]
    tail: NamedBlock

    @property
    def choices(self) -> tuple[Choice, ...]:
        return tuple(Choice(f"edge{source}{end}", OPERATORS) for source, end in EDGES)

    @cached_property
    def grid(self) -> tuple[Position, ...]:
        return tuple(Position(f"stage{n}", PARTS, _parts(shape)) for n, shape in enumerate(self.shapes, start=1))

    @cached_property
    def fixed_blocks(self) -> tuple[NamedBlock, ...]:
        return (self.stem, *self.reductions, self.tail)

    @cached_property
    def distinct_blocks(self) -> tuple[Block, ...]:
        parts = [part for shape in self.shapes for part in _parts(shape)]
        return distinct([self.stem.block, *parts, *(named.block for named in self.reductions), self.tail.block])

    def network(self, architecture: ArrayLike) -> tuple[NamedBlock, ...]:
        (arch,) = self.check(architecture)
        choices = tuple(int(choice) for choice in arch)
        chain = [self.stem]
        for stage, shape in enumerate(self.shapes, start=1):
            block = Cell(shape, choices)
            # A cell whose only living edges are skips is the identity.
            if block.ops():
                chain += [NamedBlock(f"stage{stage}.{cell}", block) for cell in range(self.cells)]
            chain += self.reductions[stage - 1 : stage]
        return (*chain, self.tail)

    def terms(self, architecture: ArrayLike) -> tuple[NamedBlock, ...]:
        (arch,) = self.check(architecture)
        found = list(self.fixed_blocks)
        for stage, shape in enumerate(self.shapes, start=1):
            for name, part in zip(PARTS, _parts(shape), strict=True):
                repeats = self.cells * _part_counts(tuple(int(choice) for choice in arch))[PARTS.index(name)]
                found += [NamedBlock(f"stage{stage}.{name}", part)] * repeats
        return tuple(found)

    def total(self, values: NDArray[np.float64], architectures: ArrayLike) -> NDArray[np.float64]:
        archs = self.check(architectures)
        rows = self.rows_by_key
        fixed = values[[rows[named.block.key] for named in self.fixed_blocks]].sum(axis=0)
        counts = _all_part_counts()[self.places(archs)]
        totals = np.tile(fixed, (len(archs), 1))
        for shape in self.shapes:
            for column, part in enumerate(_parts(shape)):
                needed = counts[:, column] > 0
                totals[needed] += self.cells * counts[needed, column, None] * values[rows[part.key]]
        return totals

    def places(self, architectures: ArrayLike) -> NDArray[np.int64]:
        """Place of each architecture in lexicographic order, shape (n,)."""
        return self.check(architectures).astype(np.int64) @ len(OPERATORS) ** np.arange(len(EDGES))[::-1]

    def read(self, text: str) -> Architectures:
        """An architecture as `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, or as numbers or labels; shape (1, 6)."""
        return self.check(parse(text)) if text.startswith("|") else super().read(text)


def _parts(shape: Shape) -> tuple[Block, ...]:
    """The blocks behind PARTS at one shape."""
    return (EdgeConv(shape, 1), EdgeConv(shape, 3), EdgePool(shape), NodeAdd(shape))


def _part_counts(choices: tuple[int, ...]) -> tuple[int, ...]:
    """How often each of PARTS occurs in one cell; dead edges do not."""
    living = [(end, choice) for (_, end), choice, lives in zip(EDGES, choices, alive(choices), strict=True) if lives]
    ends = [end for end, _ in living]
    operators = [choice for _, choice in living]
    adds = len(ends) - len(set(ends))
    return (operators.count(CONV_1), operators.count(CONV_3), operators.count(POOL_3), adds)


@cache
def _all_part_counts() -> NDArray[np.int64]:
    """`_part_counts` of every cell in lexicographic order, shape (15625, 4)."""
    return np.array([_part_counts(choices) for choices in _lexicographic()])


def _lexicographic() -> Iterable[tuple[int, ...]]:
    return itertools.product(range(len(OPERATORS)), repeat=len(EDGES))


@cache
def in_index_order() -> Architectures:
    """All 15,625 architectures in the benchmark's index order, shape (15625, 6). Do not write to it."""
    order = list(_lexicographic())
    random.Random(_SHUFFLE_SEED).shuffle(order)
    found = np.array(order, np.uint8)
    found.flags.writeable = False
    return found


def living(architecture: ArrayLike) -> Architectures:
    """The architecture with its dead edges set to `none`: what is left to run; shape (1, 6)."""
    choices = tuple(int(choice) for choice in np.asarray(architecture).reshape(-1))
    kept = [choice if lives else NONE for choice, lives in zip(choices, alive(choices), strict=True)]
    return np.array([kept], np.uint8)


def parse(text: str) -> Architectures:
    """The choices of an architecture string of the benchmark; shape (1, 6). Raises DataError."""
    match = _TEXT.match(text.strip())
    if match is None or not set(match.groups()) <= set(OPERATORS):
        raise DataError(f"{text[:120]!r} is not an architecture of NAS-Bench-201.")
    return np.array([[OPERATORS.index(name) for name in match.groups()]], np.uint8)


def describe(architecture: ArrayLike) -> str:
    """The inverse of `parse`."""
    a, b, c, d, e, f = (OPERATORS[choice] for choice in np.asarray(architecture).reshape(-1))
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def build(width: int = 16, cells: int = 5, resolution: int = 32, classes: int = 10) -> CellSpace:
    """The space for square images of three channels."""
    stem = ConvBlock((resolution, resolution, 3), width, 3, activation="none")
    shapes: list[Shape] = [stem.out_shape]
    reductions: list[NamedBlock] = []
    for stage in range(1, STAGES):
        reduction = Reduction(shapes[-1], width * 2**stage)
        reductions.append(NamedBlock(f"reduce{stage}", reduction))
        shapes.append(reduction.out_shape)
    return CellSpace(
        f"nasbench201-w{width}-n{cells}-r{resolution}-c{classes}",
        NamedBlock("stem", stem),
        tuple(shapes),
        cells,
        tuple(reductions),
        NamedBlock("tail", Tail(shapes[-1], classes)),
    )


def from_name(name: str) -> CellSpace:
    """The space of that name. Raises UsageError."""
    match = _NAME.match(name)
    if match is None:
        raise UsageError(f"Space {name!r} cannot be read.", hint=f"An example of a name is {DEFAULT}.")
    width, cells, resolution, classes = (int(text) for text in match.groups())
    if min(width, cells, resolution, classes) < 1:
        raise UsageError(f"Every number in the name of space {name!r} must be at least 1.")
    return build(width, cells, resolution, classes)
