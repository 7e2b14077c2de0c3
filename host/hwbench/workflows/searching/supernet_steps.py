"""The steps of a supernet's search: training it, deriving an architecture, training that. Loads torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np

from hwbench.errors import UsageError
from hwbench.files import sha256
from hwbench.models import weight_files
from hwbench.models.weight_files import WeightsRecord
from hwbench.models.weights import Array
from hwbench.search import data, exact
from hwbench.search.data import Dataset
from hwbench.search.filled import best_filled
from hwbench.search.fitted import DRAWN, drawn_near, fitted
from hwbench.search.quantities import Count, Function, Latency
from hwbench.search.supernet import outcome as outcomes
from hwbench.search.supernet.accuracy import SharedAccuracy, right_answers
from hwbench.search.supernet.network import chain_of
from hwbench.search.supernet.outcome import Outcome, Progress
from hwbench.search.supernet.search import Splits, SupernetSearch
from hwbench.search.training import checkpoint
from hwbench.search.training.batches import Normalisation
from hwbench.search.training.network import TrainingEpoch, accuracy, recalibrated, train
from hwbench.spaces import architecture_file
from hwbench.spaces.space import ChainSpace
from hwbench.workflows.searching.inputs import Inputs, read_inputs
from hwbench.workflows.searching.search import Candidate, describe, find_architectures
from hwbench.workflows.searching.supernet import (
    Derived,
    SupernetFolder,
    SupernetQuestion,
    SupernetResult,
    save_derived,
)
from hwbench.workflows.searching.verify import Measured, OnDevice, first_that_holds, verify_candidates


class Steps:
    """Everything read and checked, nothing trained yet. Raises as `search_supernet` does."""

    def __init__(self, question: SupernetQuestion, place: SupernetFolder) -> None:
        self._question = question
        self._place = place
        self._inputs = read_inputs(question.tables, question.limits, question.space, question.confidence)
        self._space = chain_of(self._inputs.space)
        self._felt = _felt(self._inputs)
        if question.derive in ("filled", "fitted") and not self._additive:
            raise UsageError("A limit that is no sum over positions cannot be used up.", hint="Leave --derive out.")
        if self._additive:
            # Before hours of training: is there a network that keeps the limits at all?
            exact.best(self._space, Count(self._space, "macs"), self._inputs.limits)
        self._data = _images(question, self._space)
        held_out = round(question.recipe.held_out * len(self._data.train))
        weights, self._held_out = data.split(self._data.train, held_out, question.recipe.search.seed)
        self._search = SupernetSearch(
            self._space,
            self._felt.source,
            Splits(weights, self._held_out),
            question.recipe.search.referred_to(self._reference_us()),
        )
        self._weights_images = weights

    def discard(self) -> None:
        """Removes what an earlier search left in the folder, and nothing else."""
        for path in (self._place.search, *self._place.training.glob("*")):
            checkpoint.discard(path)
        for path in self._place.results:
            path.unlink(missing_ok=True)

    def run(
        self,
        verify: int,
        on_device: OnDevice,
        executor: Executor | None,
        on_search: Callable[[Progress], None],
        on_training: Callable[[TrainingEpoch], None],
    ) -> SupernetResult:
        begin = time.monotonic()
        outcome = self._search.run(self._place.search, on_search)
        outcomes.save(outcome, self._place.outcome)
        candidates = self._candidates(outcome, max(self._question.count, verify), executor)
        for stale in self._place.of_the_network:
            stale.unlink(missing_ok=True)
        measured: tuple[Measured, ...] = ()
        answer: int | None = 0
        if verify:
            measured = verify_candidates(self._inputs, candidates[:verify], on_device)
            answer = first_that_holds(measured)
        derived = None if answer is None else self._derived(candidates[answer], on_training)
        seconds = time.monotonic() - begin
        return SupernetResult(self._place.path, outcome, candidates, measured, derived, seconds, self._inputs.notes)

    @property
    def _additive(self) -> bool:
        return all(limit.quantity.total() is not None for limit in self._inputs.limits)

    def _reference_us(self) -> float:
        return next(limit.most for limit in self._inputs.limits if limit.quantity is self._felt)

    def _candidates(self, outcome: Outcome, count: int, executor: Executor | None) -> tuple[Candidate, ...]:
        """The best that keep the limits, by falling probability or accuracy."""
        question, limits = self._question, self._inputs.limits
        shared = Function(
            SharedAccuracy(self._search.supernet, self._seen(), self._search.normalisation), "shared accuracy"
        )
        if question.derive in ("filled", "fitted"):
            scores = outcome.scores(self._space)
            felt_first = sorted(limits, key=lambda limit: limit.quantity is not self._felt)
            if question.derive == "fitted":
                drawn = drawn_near(self._space, felt_first, DRAWN, question.recipe.search.seed)
                scores = fitted(self._space, drawn, shared)
            return describe(self._space, scores, limits, best_filled(self._space, scores, felt_first, count))
        if question.derive == "accuracy":
            found = find_architectures(
                self._space, limits, score=shared, method="evolution", count=count,
                settings=question.evolution, journal=self._place.evaluations, resume=True, executor=executor,
            )  # fmt: skip
        elif self._additive:
            found = find_architectures(self._space, limits, score=outcome.scores(self._space), count=count)
        else:
            found = find_architectures(
                self._space, limits, score=outcome.scores(self._space), method="evolution", count=count,
                settings=question.evolution,
            )  # fmt: skip
        return found.candidates

    def _seen(self) -> data.Images:
        """The held-out images that accuracies with shared weights are of."""
        return self._held_out.take(slice(0, self._question.recipe.search.validation_images))

    def _derived(self, candidate: Candidate, on_training: Callable[[TrainingEpoch], None]) -> Derived:
        architecture = np.array(candidate.architecture, np.uint8)
        architecture_file.save(self._space, architecture, self._place.architecture)
        right, seen = right_answers(self._search.supernet, architecture, self._seen(), self._search.normalisation)
        weights, normalisation, losses = self._weights(candidate, on_training)
        network = self._space.network(architecture)
        tested = accuracy(network, weights, self._data.test, normalisation)
        record = WeightsRecord(
            self._space.name, candidate.architecture, {"test_accuracy": f"{tested:.4f}"}, normalisation.scaling
        )
        weight_files.save(self._place.weights, weights, record)
        derived = Derived(
            self._space.name, candidate, self._question.derive, self._question.train, right / seen, tested, losses
        )
        save_derived(derived, self._place.derived)
        return derived

    def _weights(
        self, candidate: Candidate, on_training: Callable[[TrainingEpoch], None]
    ) -> tuple[dict[str, Array], Normalisation, tuple[float, ...]]:
        """The network's weights, what their images went through, and the losses of their training."""
        network = self._space.network(candidate.architecture)
        question, search = self._question, self._search
        shared = None
        if question.train != "scratch":
            path = search.supernet.derived_weights(candidate.architecture)
            shared = recalibrated(network, path, self._weights_images, search.normalisation)
        if shared is not None and question.train == "none":
            return shared, search.normalisation, ()
        images, settings = self._data.train, question.recipe.training
        # A folder for each training: a resumed search may be asked for another one, or find another network to hold.
        folder = self._place.training / f"{question.train}-{sha256(bytes(candidate.architecture))[:12]}"
        trained = train(network, images, settings, weights=shared, folder=folder, report=on_training)
        return trained.weights, Normalisation(images), trained.losses


def _felt(inputs: Inputs) -> Latency:
    """The limited latency of the first table, which the search feels. Raises UsageError without a limit."""
    name = inputs.tables[0].name
    for limit in inputs.limits:
        if isinstance(limit.quantity, Latency) and limit.quantity.name == name:
            return limit.quantity
    raise UsageError("A supernet is searched under a limit on latency.", hint="Add --limit 60ms.")


def _images(question: SupernetQuestion, space: ChainSpace) -> Dataset:
    height, _, channels = space.network(space.sample(1, seed=0)[0])[0].block.in_shape
    found = data.find_fashion_mnist() if question.data is None else data.load(question.data, height, channels)
    found.check_fits(space)
    return found
