"""The supernet's network against random networks of the same latency and the same compute. Loads torch.

For each case, a table, limit and seed, the supernet is searched once, the exact search takes the likeliest
architectures that use the limit up (if latencies are sums), and they are trained from scratch. Their rivals are drawn
uniformly from the architectures at 90 to 100 % of the limit, as many as the CPU time of the search, its share of the
tuning and those trainings buys. Of both the best on the validation images are compared, on test images that nothing
else saw.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import msgspec
import numpy as np

from hwbench import files
from hwbench.errors import DataError, Incomparable
from hwbench.search import data, exact
from hwbench.search.data import Dataset, Images
from hwbench.search.filled import best_filled
from hwbench.search.fitted import DRAWN, drawn_near, fitted
from hwbench.search.quantities import Function, Latency, Limit
from hwbench.search.supernet.accuracy import SharedAccuracy
from hwbench.search.supernet.outcome import Progress
from hwbench.search.supernet.recipes import Recipe
from hwbench.search.supernet.search import Splits, SupernetSearch
from hwbench.search.training.batches import Normalisation
from hwbench.search.training.network import accuracy, train
from hwbench.spaces.space import Architectures, ChainSpace
from hwbench.tables.source import LatencySource

_DRAWN = 20_000
_MOST_RIVALS = 200
# Rivals are other draws than those that a regression sees.
_RIVALS_SEED = 5000
_VERSION = 1
Derivation: TypeAlias = Literal["filled", "fitted"]
T = TypeVar("T")


class TrainedNetwork(msgspec.Struct, frozen=True):
    """A network trained from scratch; accuracies of one run."""

    labels: tuple[str, ...]
    latency_us: float
    validation: float
    test: float
    cpu_seconds: float


class Searched(msgspec.Struct, frozen=True):
    """The architectures that a search led to, the likeliest first, how it went epoch by epoch, and what that took."""

    architectures: tuple[tuple[int, ...], ...]
    progress: tuple[Progress, ...]
    cpu_seconds: float


class Case(msgspec.Struct, frozen=True):
    """A table under its name, the quantile of random architectures that is the limit, a seed."""

    table: str
    source: LatencySource
    quantile: float
    seed: int


class CaseResult(msgspec.Struct, frozen=True):
    """One case; `tuning_cpu_seconds` is its share of what choosing the settings took."""

    table: str
    quantile: float
    limit_us: float
    seed: int
    tuning_cpu_seconds: float
    searched: Searched
    derived: tuple[TrainedNetwork, ...]
    rivals: tuple[TrainedNetwork, ...]

    @property
    def found(self) -> TrainedNetwork:
        """The derived network that validation prefers."""
        return max(self.derived, key=lambda one: one.validation)

    @property
    def chosen(self) -> TrainedNetwork:
        """The rival that validation prefers."""
        return max(self.rivals, key=lambda rival: rival.validation)


class StudyImages(msgspec.Struct, frozen=True):
    """The validation images are those of the architecture steps; no training sees them."""

    train: Images
    validation: Images
    test: Images


class Study(msgspec.Struct, frozen=True):
    """What all cases share. `tuning_cpu_seconds` is each case's share; every finished piece is kept in `folder`.

    `derived` is how many of the architectures that do best are trained, by `derive`: those of the largest probability,
    or of the best accuracies with shared weights as a regression sees them.
    """

    space: ChainSpace
    images: StudyImages
    recipe: Recipe
    tuning_cpu_seconds: float
    folder: Path
    derived: int = 1
    derive: Derivation = "filled"

    def begin(self) -> None:
        """Writes what decides the pieces. Raises Incomparable when the folder has pieces of another study."""
        own = _Decisive(
            self.space.name,
            tuple(len(part) for part in (self.images.train, self.images.validation, self.images.test)),
            self.recipe,
            self.tuning_cpu_seconds,
            self.derived,
            self.derive,
        )
        path = self.folder / "study.json"
        if _kept(path, "study", _Decisive, lambda: own) != own:
            raise Incomparable(f"{path} is of a study with other settings.", hint="Choose another folder.")


class _Decisive(msgspec.Struct, frozen=True):
    space: str
    images: tuple[int, ...]
    recipe: Recipe
    tuning_cpu_seconds: float
    derived: int
    derive: Derivation


def study_images(found: Dataset, train: int, validation: int, test: int) -> StudyImages:
    """So many balanced images of a data set. Raises DataError when it has fewer."""
    if train + validation > len(found.train) or test > len(found.test):
        raise DataError(f"{found.name} has {len(found.train)} training and {len(found.test)} test images.")
    chosen = found.train
    if train + validation < len(found.train):
        _, chosen = data.split(found.train, train + validation, seed=0)
    weights, held_out = data.split(chosen, validation, seed=1)
    tested = found.test if test == len(found.test) else data.split(found.test, test, seed=2)[1]
    return StudyImages(weights, held_out, tested)


def run_case(study: Study, case: Case, more: Callable[[], bool] = lambda: True) -> CaseResult | None:
    """The case, each piece taken from the folder or made and kept; None when `more` said no before it was complete."""
    folder = study.folder / f"{case.table.replace(' ', '-').replace('/', '-')}-q{100 * case.quantile:g}-s{case.seed}"
    latencies_us = case.source.predict(study.space.sample(_DRAWN, seed=0)).mean_us
    limit_us = float(np.quantile(latencies_us, case.quantile))

    def piece(name: str, kind: type[T], make: Callable[[], T]) -> T:
        path = folder / f"{name}.json"
        if not path.exists() and not more():
            raise _Stopped
        return _kept(path, "piece", kind, make)

    try:
        searched = piece("search", Searched, partial(_searched, study, case, limit_us))
        derived = tuple(
            piece(f"derived-{place}", TrainedNetwork, partial(_trained, study, case, np.array(architecture, np.uint8)))
            for place, architecture in enumerate(searched.architectures)
        )
        limit = Limit(Latency(case.source, case.table), limit_us)
        drawn = drawn_near(study.space, [limit], _MOST_RIVALS, _RIVALS_SEED * (case.seed + 1))
        budget = searched.cpu_seconds + study.tuning_cpu_seconds + sum(one.cpu_seconds for one in derived)
        rivals: list[TrainedNetwork] = []
        while not rivals or budget - sum(rival.cpu_seconds for rival in rivals) >= rivals[-1].cpu_seconds:
            architecture = drawn[len(rivals)]
            rivals.append(piece(f"rival-{len(rivals)}", TrainedNetwork, partial(_trained, study, case, architecture)))
    except _Stopped:
        return None
    return CaseResult(
        case.table, case.quantile, limit_us, case.seed, study.tuning_cpu_seconds, searched, derived, tuple(rivals)
    )


class _Stopped(Exception):
    """No more pieces are to be made now."""


def _kept(path: Path, kind: str, content: type[T], make: Callable[[], T]) -> T:
    """What the file holds, or what is made and written there."""
    if path.exists():
        return files.load(path, kind, _VERSION, content)
    made = make()
    files.save(path, kind, _VERSION, made)
    return made


def _searched(study: Study, case: Case, limit_us: float) -> Searched:
    begin = time.process_time()
    settings = msgspec.structs.replace(study.recipe.search, seed=case.seed).referred_to(limit_us)
    splits = Splits(study.images.train, study.images.validation)
    # No checkpoints: a search in two parts would not know the CPU time of the first.
    search = SupernetSearch(study.space, case.source, splits, settings)
    outcome, limit = search.run(), Limit(Latency(case.source, case.table), limit_us)
    scores = outcome.scores(study.space)
    if study.derive == "fitted":
        seen = splits.architecture.take(slice(0, settings.validation_images))
        shared = Function(SharedAccuracy(search.supernet, seen, search.normalisation), "shared accuracy")
        scores = fitted(study.space, drawn_near(study.space, [limit], DRAWN, case.seed), shared)
    derive = exact.best if limit.quantity.total() is None else best_filled
    architectures = derive(study.space, scores, [limit], study.derived)
    spent = time.process_time() - begin
    return Searched(tuple(tuple(one) for one in architectures.tolist()), outcome.progress, spent)


def _trained(study: Study, case: Case, architecture: Architectures) -> TrainedNetwork:
    begin = time.process_time()
    network, images = study.space.network(architecture), study.images
    trained = train(network, images.train, msgspec.structs.replace(study.recipe.training, seed=case.seed))
    normalisation = Normalisation(images.train)
    validation, test = (
        accuracy(network, trained.weights, part, normalisation) for part in (images.validation, images.test)
    )
    latency_us = float(case.source.predict(architecture).mean_us[0])
    return TrainedNetwork(study.space.describe(architecture), latency_us, validation, test, time.process_time() - begin)
