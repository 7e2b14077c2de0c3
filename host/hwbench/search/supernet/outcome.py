"""What a search leaves: a probability for each choice, and how it got there. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench import files
from hwbench.errors import CorruptFile, Incomparable, UsageError
from hwbench.search.quantities import ChoiceScores
from hwbench.search.supernet.settings import SearchSettings
from hwbench.spaces.space import Architectures, ChainSpace, Space

KIND = "outcome"
VERSION = 1
_DIGITS = 4

# A row per position, as long as the position has choices.
Rows: TypeAlias = tuple[tuple[float, ...], ...]


class Progress(msgspec.Struct, frozen=True):
    """One epoch. `validation_accuracy` is that of the most likely architecture with shared weights."""

    phase: Literal["warm_up", "search"]
    epoch: int
    learning_rate: float
    loss: float
    accuracy: float
    validation_accuracy: float
    expected_latency_us: float
    entropy: float
    architecture_steps: int
    seconds: float


class Outcome(msgspec.Struct, frozen=True):
    """`log_probabilities` has a row per position, as long as the position has choices.

    `history` holds the probabilities after each epoch of `progress`, to four digits.
    """

    space: str
    settings: SearchSettings
    log_probabilities: Rows
    progress: tuple[Progress, ...]
    history: tuple[Rows, ...] = ()

    @classmethod
    def of(
        cls,
        space: ChainSpace,
        settings: SearchSettings,
        log_probabilities: NDArray[np.float64],
        progress: tuple[Progress, ...],
        history: tuple[Rows, ...] = (),
    ) -> Outcome:
        """The outcome of log-probabilities (positions, most choices), of which each position has its first ones."""
        return cls(space.name, settings, _rows(log_probabilities, space), progress, history)

    def offered(self) -> tuple[NDArray[np.float64], ...]:
        """Log-probabilities of each position's choices.

        Their sum over an architecture's choices is the logarithm of its probability, which the exact search maximises
        under a limit.
        """
        return tuple(np.array(row) for row in self.log_probabilities)

    def most_likely(self) -> Architectures:
        """The architecture of the likeliest choices, whatever its latency; shape (1, positions)."""
        return np.array([[row.argmax() for row in self.offered()]], np.uint8)

    def scores(self, space: Space, name: str = "log-probability") -> ChoiceScores:
        """The log-probabilities as what a search maximises. Raises Incomparable for another space, DataError."""
        if self.space != space.name:
            raise Incomparable(f"{name} has scores for {self.space}, not for {space.name}.")
        return ChoiceScores(space, self.offered(), name)


def rounded(probabilities: NDArray[np.float64], space: ChainSpace) -> Rows:
    """Probabilities (positions, most choices) as an outcome's history keeps them."""
    return _rows(probabilities.round(_DIGITS), space)


def save(outcome: Outcome, path: Path) -> None:
    """Writes the outcome, replacing what was there. Raises DeviceError when the disk refuses."""
    files.save(path, KIND, VERSION, outcome)


def load(path: Path) -> Outcome:
    """The outcome of a file. Raises DataError, CorruptFile or SchemaTooNew naming it."""
    try:
        found = files.load(path, KIND, VERSION, Outcome)
    except UsageError as error:
        raise CorruptFile(f"{path} holds settings that no search has: {error}") from error
    counts = [len(row) for row in found.log_probabilities]
    whole = all([len(row) for row in epoch] == counts for epoch in found.history)
    if not whole or len(found.history) not in (0, len(found.progress)):
        raise CorruptFile(f"{path} contradicts itself: its history is not that of its positions and epochs.")
    return found


def _rows(values: NDArray[np.float64], space: ChainSpace) -> Rows:
    rows = zip(values.tolist(), space.choice_counts.tolist(), strict=True)
    return tuple(tuple(row[:count]) for row, count in rows)
