"""What a search leaves: a probability for each choice, and how it got there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hwbench import files
from hwbench.search.settings import SearchSettings
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
    def of(cls, space: ChainSpace, settings: SearchSettings, alphas: Tensor, progress: tuple[Progress, ...]) -> Outcome:
        """The outcome of architecture parameters (positions, choices)."""
        rows = alphas.log_softmax(1).tolist()
        counts = space.choice_counts.tolist()
        return cls(
            space.name, settings, tuple(tuple(row[:count]) for row, count in zip(rows, counts, strict=True)), progress
        )

    def scores(self) -> NDArray[np.float64]:
        """Log-probabilities (positions, most choices), -inf where a position has fewer choices.

        Their sum over an architecture's choices is the logarithm of its probability, which the exact programme
        maximises under a limit.
        """
        padded = np.full((len(self.log_probabilities), max(map(len, self.log_probabilities))), -np.inf)
        for row, values in zip(padded, self.log_probabilities, strict=True):
            row[: len(values)] = values
        return padded

    def most_likely(self) -> Architectures:
        """The architecture of the likeliest choices, whatever its latency; shape (1, positions)."""
        found: Architectures = self.scores().argmax(1).astype(np.uint8)[None]
        return found


def save(outcome: Outcome, path: Path) -> None:
    """Writes the outcome, replacing what was there. Raises DeviceError when the disk refuses."""
    files.save(path, _KIND, VERSION, outcome)


def load(path: Path) -> Outcome:
    """The outcome of a file. Raises DataError, CorruptFile or SchemaTooNew naming it."""
    return files.load(path, _KIND, VERSION, Outcome)
