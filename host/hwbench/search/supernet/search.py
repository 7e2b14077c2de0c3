"""The search: weight steps on one split of the images, architecture steps on another, from the warm-up to the end.

Every draw follows from the seed and the number of its step, so that a run which goes on from a checkpoint ends with
the bits it would have ended with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwbench.search.data.images import Images, check_fits
from hwbench.search.supernet import gates
from hwbench.search.supernet.accuracy import right_answers
from hwbench.search.supernet.architecture import ArchitectureOptimiser, gate_direction, reinforce_direction
from hwbench.search.supernet.latency import expected_latency
from hwbench.search.supernet.network import Supernet, chain_of
from hwbench.search.supernet.outcome import Outcome, Progress, Rows, rounded
from hwbench.search.supernet.routes import Mixture, OnePath, Route
from hwbench.search.supernet.settings import Gradient, HoldLimit, SearchSettings
from hwbench.search.training import checkpoint
from hwbench.search.training.batches import Batches, Normalisation, generator
from hwbench.search.training.optimiser import WeightOptimiser, check_finite, cosine
from hwbench.search.training.ranks import ALONE, Ranks
from hwbench.search.training.settings import NO_AUGMENTATION
from hwbench.spaces.space import Space
from hwbench.tables.source import LatencySource

_KIND = "search"
# The streams of draws, beside each other under one seed.
_ALPHAS, _PATHS, _STEPS, _DRAWN_PATH, _WEIGHT_IMAGES, _ARCHITECTURE_IMAGES, _IDENTITY = range(7)
_PROBES = 64


class Splits(msgspec.Struct, frozen=True):
    """Images for weight steps, and others for architecture steps and validation."""

    weights: Images
    architecture: Images


class State(msgspec.Struct, frozen=True):
    """How far a search is. `totals` are loss, right answers and images of the epoch so far.

    `baseline` is REINFORCE's, `multiplier` that of a loss that holds a limit.
    """

    step: int = 0
    architecture_steps: int = 0
    baseline: float | None = None
    multiplier: float = 0.0
    totals: tuple[float, float, float] = (0.0, 0.0, 0.0)
    progress: tuple[Progress, ...] = ()
    history: tuple[Rows, ...] = ()


class _Place(msgspec.Struct, frozen=True):
    """Where in the schedule a weight step is; `index` counts within the epoch, `epoch` within the phase."""

    phase: Literal["warm_up", "search"]
    epoch: int
    index: int
    learning_rate: float


class SupernetSearch:
    """One search; `supernet` and `alphas` are as the last step left them.

    Raises UsageError for a space that is no chain, a loss without a reference or a batch that the ranks cannot share,
    DataError for images that do not fit, MissingRows where the source lacks a choice.
    """

    def __init__(
        self, space: Space, source: LatencySource, splits: Splits, settings: SearchSettings, ranks: Ranks = ALONE
    ) -> None:
        settings.check_reference()
        self.settings = settings
        self._space = chain_of(space)
        self._source = source
        self._splits = splits
        for images in (splits.weights, splits.architecture):
            check_fits(self._space.network(self._space.sample(1, seed=0)[0]), images)
        self._ranks = ranks
        self._expectation = expected_latency(source, self._space)
        self.normalisation = Normalisation(splits.weights)
        self.supernet = Supernet(self._space, settings.seed, settings.beginning).to(memory_format=torch.channels_last)
        seed, deviation = settings.seed, settings.architecture.initial_deviation
        alphas = gates.initial_alphas(space.choice_counts, deviation, generator(seed, _ALPHAS))
        self._weights = WeightOptimiser(self.supernet, settings.weights)
        self._architecture = ArchitectureOptimiser(alphas, settings.architecture)
        self._images = Batches(
            splits.weights,
            settings.weights.batch,
            self.normalisation,
            settings.augmentation,
            (seed, _WEIGHT_IMAGES),
            ranks,
        )
        # The published code shows the held-out images as they are.
        self._held_out = Batches(
            splits.architecture, settings.architecture.batch, self.normalisation, NO_AUGMENTATION,
            (seed, _ARCHITECTURE_IMAGES), ranks,
        )  # fmt: skip
        self._state = State()

    @property
    def alphas(self) -> Tensor:
        """The architecture's parameters, float64 (positions, choices), -inf where a position has fewer choices."""
        return self._architecture.alphas

    @property
    def steps(self) -> int:
        """Weight steps of the whole search."""
        return self._images.per_epoch * (self.settings.warm_up.epochs + self.settings.weights.epochs)

    def run(self, folder: Path | None = None, report: Callable[[Progress], None] = lambda progress: None) -> Outcome:
        """Searches to the end, from the folder's checkpoint if it has one, and reports after each epoch.

        Raises CorruptFile or Incomparable for a checkpoint that cannot be used, DeviceError when the disk refuses,
        DataError for a loss that is no number any more.
        """
        kept = None if folder is None else checkpoint.Folder(folder, _KIND, State, self._identity())
        if kept is not None and (found := kept.load()):
            self._restore(*found)
        begin = time.monotonic()
        while self._state.step < self.steps:
            place = self._place(self._state.step)
            self._weight_step(place)
            for _ in range(self._architecture_steps_after(place)):
                self._architecture_step()
            ends_epoch = place.index == self._images.per_epoch - 1
            if ends_epoch:
                self._end_epoch(place, time.monotonic() - begin)
                begin = time.monotonic()
                if self._ranks.first:
                    report(self._state.progress[-1])
            if kept is not None and self._ranks.first and (ends_epoch or self._due(self._state.step)):
                kept.save(self._state.step, self._state, self._weights.tensors() | self._architecture.tensors())
        log_probabilities, state = self.alphas.log_softmax(1).numpy(), self._state
        return Outcome.of(self._space, self.settings, log_probabilities, state.progress, state.history)

    def _place(self, step: int) -> _Place:
        settings, per_epoch = self.settings, self._images.per_epoch
        warm = settings.warm_up.epochs * per_epoch
        if step < warm:
            rate = cosine(settings.warm_up.learning_rate, step, warm)
            return _Place("warm_up", *divmod(step, per_epoch), rate)
        rate = cosine(settings.weights.learning_rate, step - warm, self.steps - warm)
        return _Place("search", *divmod(step - warm, per_epoch), rate)

    def _architecture_steps_after(self, place: _Place) -> int:
        schedule = self.settings.architecture
        searching = place.phase == "search" and place.epoch >= schedule.first_epoch
        return schedule.steps if searching and (place.index + 1) % schedule.every == 0 else 0

    def _weight_step(self, place: _Place) -> None:
        images, labels = self._images.batch(self._state.step)
        scores = self.supernet(images, self._weight_route())
        loss = self._weights.loss(scores, labels)
        right = (scores.detach().argmax(1) == labels).sum()
        totals = torch.tensor([float(loss.detach()) * len(labels), float(right), len(labels)], dtype=torch.float64)
        self._weights.step(loss, place.learning_rate, self._ranks)
        self._ranks.sum_([totals])
        check_finite(float(totals[0]), self._state.step)
        self._advance(
            step=self._state.step + 1,
            totals=tuple(a + b for a, b in zip(self._state.totals, totals.tolist(), strict=True)),
        )

    def _weight_route(self) -> Route:
        by = self.settings.architecture.by
        probability = self.alphas.softmax(1)
        if isinstance(by, Gradient) and by.method == "darts":
            return Mixture(probability.float())
        return OnePath(gates.sample_paths(probability, generator(self.settings.seed, _PATHS, self._state.step)))

    def _architecture_step(self) -> None:
        number, by = self._state.architecture_steps, self.settings.architecture.by
        draws = generator(self.settings.seed, _STEPS, number)
        batch = self._held_out.batch(number)
        baseline, multiplier = self._state.baseline, self._state.multiplier
        if isinstance(by, Gradient):
            direction = gate_direction(
                self.supernet, self.alphas, batch, self._expectation, by, draws, self._ranks, multiplier
            )
        else:
            direction, baseline = reinforce_direction(
                self.supernet, self.alphas, batch, self._source, by, baseline, draws, self._ranks
            )
        self._architecture.step(direction)
        if isinstance(by, Gradient) and isinstance(by.loss, HoldLimit):
            multiplier = by.loss.moved(multiplier, self._expected_us(draws))
        self._advance(architecture_steps=number + 1, baseline=baseline, multiplier=multiplier)

    def _expected_us(self, draws: torch.Generator) -> float:
        return float(self._expectation.expected_us(self.alphas.softmax(1), draws))

    def _end_epoch(self, place: _Place, seconds: float) -> None:
        loss, right, images = self._state.totals
        draws = generator(self.settings.seed, _DRAWN_PATH, self._state.step)
        progress = Progress(
            phase=place.phase, epoch=place.epoch, learning_rate=place.learning_rate, loss=loss / images,
            accuracy=right / images, validation_accuracy=self._validate(), expected_latency_us=self._expected_us(draws),
            entropy=gates.entropy(self.alphas), architecture_steps=self._state.architecture_steps, seconds=seconds,
        )  # fmt: skip
        history = (*self._state.history, rounded(self.alphas.softmax(1).numpy(), self._space))
        self._advance(totals=(0.0, 0.0, 0.0), progress=(*self._state.progress, progress), history=history)

    def _validate(self) -> float:
        """Accuracy of the most likely architecture on the architecture's split, batch norms by batch."""
        architecture = self.alphas.argmax(1).numpy().astype(np.uint8)
        held_out = self._splits.architecture.take(slice(0, self.settings.validation_images))
        own = held_out.take(self._ranks.share(np.arange(len(held_out))))
        right = torch.tensor(right_answers(self.supernet, architecture, own, self.normalisation), dtype=torch.float64)
        self._ranks.sum_([right])
        return float(right[0] / right[1])

    def _advance(self, **changes: object) -> None:
        self._state = msgspec.structs.replace(self._state, **changes)

    def _due(self, step: int) -> bool:
        every = self.settings.checkpoint_steps
        return every > 0 and step % every == 0

    def _restore(self, state: State, tensors: Mapping[str, Tensor]) -> None:
        self._state = state
        self._weights.restore(tensors)
        self._architecture.restore(tensors)

    def _identity(self) -> str:
        probes: NDArray[np.uint8] = self._space.sample(_PROBES, _IDENTITY)
        latencies = np.asarray(self._source.predict(probes).mean_us, np.float64)
        parts = [
            array.tobytes()
            for images in (self._splits.weights, self._splits.architecture)
            for array in (images.pixels, images.labels)
        ]
        return checkpoint.identity(self._space.name, self.settings, self._ranks.size, latencies.tobytes(), *parts)
