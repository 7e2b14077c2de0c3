"""A space is positions x choices; an architecture is one choice index per position.

`Space` is what all spaces share; a subclass says which blocks the choices mean. `ChainSpace` covers every space
whose position j offers the same blocks whatever the other positions hold (ProxylessNAS, FBNet): a fixed prologue,
the searched chain, a fixed epilogue. `ResolutionSpace` lets the input's resolution be a choice as well.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable, Sequence
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


class Choice(msgspec.Struct, frozen=True):
    """A searched position: its name and a label per choice."""

    name: str
    labels: tuple[str, ...]


class Position(Choice, frozen=True):
    """A position with a block per choice (None: the identity)."""

    blocks: tuple[Block | None, ...]


class _AbstractStruct(msgspec.StructMeta, abc.ABCMeta):
    """A struct that may have abstract methods."""


class Space(msgspec.Struct, metaclass=_AbstractStruct, frozen=True, dict=True):
    """Positions and choices; how they become a network, and how a network's latency becomes a sum of blocks."""

    name: str

    @property
    @abc.abstractmethod
    def choices(self) -> Sequence[Choice]:
        """The searched positions in order."""

    @property
    @abc.abstractmethod
    def grid(self) -> Sequence[Position]:
        """The searched blocks as a person looks at them: rows of labelled blocks."""

    @property
    @abc.abstractmethod
    def fixed_blocks(self) -> tuple[NamedBlock, ...]:
        """The blocks that every architecture has."""

    @property
    @abc.abstractmethod
    def distinct_blocks(self) -> tuple[Block, ...]:
        """Every block a table of this space needs, once, in network order."""

    @abc.abstractmethod
    def network(self, architecture: ArrayLike) -> tuple[NamedBlock, ...]:
        """The blocks of one architecture in order, fixed ones included, identities left out."""

    @abc.abstractmethod
    def terms(self, architecture: ArrayLike) -> tuple[NamedBlock, ...]:
        """The rows of a table whose sum is the architecture's latency."""

    @abc.abstractmethod
    def total(self, values: NDArray[np.float64], architectures: ArrayLike) -> NDArray[np.float64]:
        """Sums over `terms`; `values` is (len(distinct_blocks), k), the result (n, k). Only needed NaNs count."""

    @cached_property
    def choice_counts(self) -> NDArray[np.int64]:
        """Number of choices, shape (positions,)."""
        return np.array([len(choice.labels) for choice in self.choices])

    @property
    def size(self) -> int:
        """Number of architectures."""
        return math.prod(int(count) for count in self.choice_counts)

    @cached_property
    def combinations(self) -> tuple[Architectures, ...]:
        """The positions in groups that depend on nothing outside; per group its allowed choices, (m, positions)."""
        return tuple(np.arange(count, dtype=np.uint8)[:, None] for count in self.choice_counts)

    @cached_property
    def rows_by_key(self) -> dict[str, int]:
        """Place of each block in `distinct_blocks`, by key."""
        return {block.key: row for row, block in enumerate(self.distinct_blocks)}

    def check(self, architectures: ArrayLike) -> Architectures:
        """Architectures as uint8 (n, positions). Raises DataError naming the first wrong one."""
        array = np.atleast_2d(np.asarray(architectures))
        if array.ndim != 2 or array.shape[1] != len(self.choices):
            raise DataError(f"An architecture of {self.name} has {len(self.choices)} choices, not {array.shape[-1]}.")
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

    def same_choices(self, other: Space) -> bool:
        """Whether an architecture of this space is one of the other too, as at two resolutions or widths."""
        own, others = ([(choice.name, choice.labels) for choice in space.choices] for space in (self, other))
        return own == others and self.name.split("-")[0] == other.name.split("-")[0]

    def sample(self, count: int, seed: int) -> Architectures:
        """`count` architectures, each choice uniform and independent; shape (count, positions)."""
        rng = np.random.default_rng(seed)
        return rng.integers(0, self.choice_counts, size=(count, len(self.choices))).astype(np.uint8)

    def describe(self, architecture: ArrayLike) -> tuple[str, ...]:
        """The label of each choice, e.g. ("k3e6", "zero", ...)."""
        (choices,) = self.check(architecture)
        return tuple(position.labels[choice] for position, choice in zip(self.choices, choices, strict=True))

    def parse(self, labels: Sequence[str]) -> Architectures:
        """The inverse of `describe`; shape (1, positions). Raises DataError for an unknown label."""
        if len(labels) != len(self.choices):
            raise DataError(f"An architecture of {self.name} has {len(self.choices)} labels, not {len(labels)}.")
        choices = []
        for position, label in zip(self.choices, labels, strict=True):
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


class ChainSpace(Space, frozen=True, dict=True):
    """A chain of independent searched positions between fixed blocks."""

    prologue: tuple[NamedBlock, ...]
    positions: tuple[Position, ...]
    epilogue: tuple[NamedBlock, ...]

    @property
    def choices(self) -> tuple[Position, ...]:
        return self.positions

    @property
    def grid(self) -> tuple[Position, ...]:
        return self.positions

    @cached_property
    def fixed_blocks(self) -> tuple[NamedBlock, ...]:
        return self.prologue + self.epilogue

    @cached_property
    def distinct_blocks(self) -> tuple[Block, ...]:
        searched = (block for position in self.positions for block in position.blocks if block is not None)
        return distinct((*_blocks(self.prologue), *searched, *_blocks(self.epilogue)))

    def network(self, architecture: ArrayLike) -> tuple[NamedBlock, ...]:
        (choices,) = self.check(architecture)
        chain = [
            NamedBlock(position.name, block)
            for position, choice in zip(self.positions, choices, strict=True)
            if (block := position.blocks[choice]) is not None
        ]
        return (*self.prologue, *chain, *self.epilogue)

    def terms(self, architecture: ArrayLike) -> tuple[NamedBlock, ...]:
        return self.network(architecture)

    def total(self, values: NDArray[np.float64], architectures: ArrayLike) -> NDArray[np.float64]:
        archs = self.check(architectures)
        rows = self.rows_by_key
        fixed = values[[rows[named.block.key] for named in self.fixed_blocks]].sum(axis=0)
        totals = np.tile(fixed, (len(archs), 1))
        nothing = np.zeros(values.shape[1])
        for column, position in enumerate(self.positions):
            offered = [nothing if block is None else values[rows[block.key]] for block in position.blocks]
            totals += np.array(offered)[archs[:, column]]
        return totals


class ResolutionSpace(Space, frozen=True, dict=True):
    """One chain per input resolution; the first choice of an architecture is the resolution, the rest the chain's."""

    resolutions: tuple[int, ...]
    chains: tuple[ChainSpace, ...]

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        labels = tuple(f"r{resolution}" for resolution in self.resolutions)
        return (Choice("resolution", labels), *self.chains[0].choices)

    @cached_property
    def grid(self) -> tuple[Position, ...]:
        return tuple(
            msgspec.structs.replace(position, name=f"r{resolution} {position.name}")
            for resolution, chain in zip(self.resolutions, self.chains, strict=True)
            for position in chain.positions
        )

    @property
    def fixed_blocks(self) -> tuple[NamedBlock, ...]:
        """None: even the stem depends on the resolution."""
        return ()

    @cached_property
    def distinct_blocks(self) -> tuple[Block, ...]:
        return distinct(block for chain in self.chains for block in chain.distinct_blocks)

    @cached_property
    def combinations(self) -> tuple[Architectures, ...]:
        return (np.arange(len(self.chains), dtype=np.uint8)[:, None], *self.chains[0].combinations)

    @property
    def size(self) -> int:
        return sum(chain.size for chain in self.chains)

    def sample(self, count: int, seed: int) -> Architectures:
        """`count` architectures, the resolution uniform, the rest as the chain draws it; shape (count, positions)."""
        resolution = np.random.default_rng([seed, 1]).integers(0, len(self.chains), size=(count, 1))
        return np.hstack([resolution, self.chains[0].sample(count, seed)]).astype(np.uint8)

    def network(self, architecture: ArrayLike) -> tuple[NamedBlock, ...]:
        (choices,) = self.check(architecture)
        chain: ChainSpace = self.chains[choices[0]]
        return chain.network(choices[1:])

    def terms(self, architecture: ArrayLike) -> tuple[NamedBlock, ...]:
        return self.network(architecture)

    def total(self, values: NDArray[np.float64], architectures: ArrayLike) -> NDArray[np.float64]:
        archs = self.check(architectures)
        totals = np.zeros((len(archs), values.shape[1]))
        for number, chain in enumerate(self.chains):
            chosen = archs[:, 0] == number
            if chosen.any():
                own = values[[self.rows_by_key[block.key] for block in chain.distinct_blocks]]
                totals[chosen] = chain.total(own, archs[chosen, 1:])
        return totals


def distinct(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """The blocks without repetition, by key, in the order of their first appearance."""
    found: dict[str, Block] = {}
    for block in blocks:
        found.setdefault(block.key, block)
    return tuple(found.values())


def _blocks(named: Iterable[NamedBlock]) -> tuple[Block, ...]:
    return tuple(one.block for one in named)
