"""A space is positions x choices; an architecture is one choice index per position.

`ChainSpace` covers every space whose position j offers the same blocks whatever the other positions
hold (ProxylessNAS, FBNet): a fixed prologue, the searched chain, a fixed epilogue.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.errors import DataError
from hwbench.spaces.blocks import Block, macs, parameters

Architectures: TypeAlias = NDArray[np.uint8]


class NamedBlock(msgspec.Struct, frozen=True):
    """A block in its place in a network; the name prefixes the names of its weights."""

    name: str
    block: Block


class Position(msgspec.Struct, frozen=True):
    """A searched position: its name, and a label and block per choice (None: the identity)."""

    name: str
    labels: tuple[str, ...]
    blocks: tuple[Block | None, ...]


class ChainSpace(msgspec.Struct, frozen=True, dict=True):
    """A chain of independent searched positions between fixed blocks."""

    name: str
    prologue: tuple[NamedBlock, ...]
    positions: tuple[Position, ...]
    epilogue: tuple[NamedBlock, ...]

    @cached_property
    def choice_counts(self) -> NDArray[np.int64]:
        """Number of choices, shape (positions,)."""
        return np.array([len(position.blocks) for position in self.positions])

    @property
    def size(self) -> int:
        """Number of architectures."""
        return math.prod(int(count) for count in self.choice_counts)

    @cached_property
    def fixed_blocks(self) -> tuple[NamedBlock, ...]:
        return self.prologue + self.epilogue

    @cached_property
    def distinct_blocks(self) -> tuple[Block, ...]:
        """Every block a table of this space needs, once, in network order."""
        found: dict[str, Block] = {}
        for named in self.prologue:
            found.setdefault(named.block.key, named.block)
        for position in self.positions:
            for block in position.blocks:
                if block is not None:
                    found.setdefault(block.key, block)
        for named in self.epilogue:
            found.setdefault(named.block.key, named.block)
        return tuple(found.values())

    def check(self, architectures: ArrayLike) -> Architectures:
        """Architectures as uint8 (n, positions). Raises DataError naming the first wrong one."""
        array = np.atleast_2d(np.asarray(architectures))
        if array.ndim != 2 or array.shape[1] != len(self.positions):
            raise DataError(f"An architecture of {self.name} has {len(self.positions)} choices, not {array.shape[-1]}.")
        if not np.issubdtype(array.dtype, np.integer):
            raise DataError(f"An architecture of {self.name} is made of whole numbers, not {array.dtype}.")
        wrong = np.argwhere((array < 0) | (array >= self.choice_counts))
        if len(wrong):
            row, column = (int(n) for n in wrong[0])
            raise DataError(
                f"Architecture {row} of {self.name} has choice {array[row, column]} at position {column}, "
                f"which offers 0 to {self.choice_counts[column] - 1}."
            )
        return array.astype(np.uint8)

    def sample(self, count: int, seed: int) -> Architectures:
        """`count` architectures, each choice uniform and independent; shape (count, positions)."""
        rng = np.random.default_rng(seed)
        return rng.integers(0, self.choice_counts, size=(count, len(self.positions))).astype(np.uint8)

    def network(self, architecture: ArrayLike) -> tuple[NamedBlock, ...]:
        """The blocks of one architecture in order, fixed ones included, identities left out."""
        (choices,) = self.check(architecture)
        chain = [
            NamedBlock(position.name, block)
            for position, choice in zip(self.positions, choices, strict=True)
            if (block := position.blocks[choice]) is not None
        ]
        return (*self.prologue, *chain, *self.epilogue)

    def describe(self, architecture: ArrayLike) -> tuple[str, ...]:
        """The label of each choice, e.g. ("k3e6", "zero", ...)."""
        (choices,) = self.check(architecture)
        return tuple(position.labels[choice] for position, choice in zip(self.positions, choices, strict=True))

    def parse(self, labels: Sequence[str]) -> Architectures:
        """The inverse of `describe`; shape (1, positions). Raises DataError for an unknown label."""
        if len(labels) != len(self.positions):
            raise DataError(f"An architecture of {self.name} has {len(self.positions)} labels, not {len(labels)}.")
        choices = []
        for position, label in zip(self.positions, labels, strict=True):
            if label not in position.labels:
                raise DataError(
                    f"Position {position.name} of {self.name} has no choice {label!r}; "
                    f"it offers {', '.join(position.labels)}."
                )
            choices.append(position.labels.index(label))
        return self.check(choices)

    def read(self, text: str) -> Architectures:
        """An architecture as a person writes it, numbers or labels with commas or blanks; shape (1, positions)."""
        words = text.replace(",", " ").split()
        if words and all(word.isdigit() for word in words):
            return self.check([int(word[:4]) for word in words])
        return self.parse(words)

    def macs(self, architecture: ArrayLike) -> int:
        return sum(macs(named.block) for named in self.network(architecture))

    def parameters(self, architecture: ArrayLike) -> int:
        return sum(parameters(named.block) for named in self.network(architecture))
