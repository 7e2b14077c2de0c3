"""What a search leaves: a probability for each choice, and how it got there. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench import files
from hwbench.search.supernet.settings import SearchSettings
from hwbench.spaces.space import Architectures, ChainSpace

_KIND = "outcome"
VERSION = 1


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
    """`log_probabilities` has a row per position, as long as the position has choices."""

    space: str
    settings: SearchSettings
    log_probabilities: tuple[tuple[float, ...], ...]
    progress: tuple[Progress, ...]

    @classmethod
    def of(
        cls,
        space: ChainSpace,
        settings: SearchSettings,
        log_probabilities: NDArray[np.float64],
        progress: tuple[Progress, ...],
    ) -> Outcome:
        """The outcome of log-probabilities (positions, most choices), of which each position has its first ones."""
        rows = zip(log_probabilities.tolist(), space.choice_counts.tolist(), strict=True)
        return cls(space.name, settings, tuple(tuple(row[:count]) for row, count in rows), progress)

    def offered(self) -> tuple[NDArray[np.float64], ...]:
        """Log-probabilities of each position's choices.

        Their sum over an architecture's choices is the logarithm of its probability, which the exact search maximises
        under a limit.
        """
        return tuple(np.array(row) for row in self.log_probabilities)

    def most_likely(self) -> Architectures:
        """The architecture of the likeliest choices, whatever its latency; shape (1, positions)."""
        return np.array([[row.argmax() for row in self.offered()]], np.uint8)


def save(outcome: Outcome, path: Path) -> None:
    """Writes the outcome, replacing what was there. Raises DeviceError when the disk refuses."""
    files.save(path, _KIND, VERSION, outcome)


def load(path: Path) -> Outcome:
    """The outcome of a file. Raises DataError, CorruptFile or SchemaTooNew naming it."""
    return files.load(path, _KIND, VERSION, Outcome)
