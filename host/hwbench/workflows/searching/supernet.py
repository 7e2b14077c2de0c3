"""A supernet's search from a table to a trained network: question and answer. What it does is in `supernet_steps`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from hwbench import files
from hwbench.errors import UsageError
from hwbench.search.evolution import Settings
from hwbench.search.supernet.outcome import Outcome, Progress
from hwbench.search.supernet.recipes import SMALL, Recipe
from hwbench.workflows.extras import need_torch
from hwbench.workflows.searching.search import Candidate
from hwbench.workflows.searching.verify import HERE, Measured, OnDevice

if TYPE_CHECKING:
    from hwbench.search.training.network import TrainingEpoch

DEFAULT_FOLDER = Path("hwbench-results") / "supernet"
KIND = "derived"
VERSION = 1

# An evaluation is a pass over the held-out images, so that fewer are affordable than of cheaper scores.
EVOLUTION = Settings(population=50, children=350)

Derivation: TypeAlias = Literal["probabilities", "filled", "fitted", "accuracy"]
Training: TypeAlias = Literal["scratch", "finetune", "none"]


class SupernetQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What to search for: tables and limits as `Question` has them, images, and how.

    The first table is the one whose latency the search feels; all limits bind what is derived. `data` is an npz file or
    a folder (None: Fashion-MNIST). `derive` takes the likeliest architecture that keeps the limits (`probabilities`);
    the likeliest that uses the first limit up (`filled`); of those the one of the best accuracy with shared weights as
    a regression over drawn architectures sees it (`fitted`); or by `evolution` the one of the best such accuracy.
    `train` says where the weights come from: a training of its own, one that begins with the shared weights, or those
    as they are, batch norms recalibrated.
    """

    tables: tuple[str, ...]
    limits: tuple[str, ...]
    data: Path | None = None
    recipe: Recipe = SMALL
    confidence: float | None = None
    space: str | None = None
    count: int = 1
    derive: Derivation = "probabilities"
    evolution: Settings = EVOLUTION
    train: Training = "scratch"


class Derived(msgspec.Struct, frozen=True):
    """What became of the network that was derived.

    `shared_accuracy` is that with shared weights on the held-out images, `test_accuracy` that of the weights in the
    file on the test images, `losses` the mean training loss of each epoch.
    """

    space: str
    candidate: Candidate
    derive: Derivation
    train: Training
    shared_accuracy: float
    test_accuracy: float
    losses: tuple[float, ...]


class SupernetResult(msgspec.Struct, frozen=True):
    """The search, its candidates by falling score, and the network; `derived` None: no measured candidate held."""

    folder: Path
    outcome: Outcome
    candidates: tuple[Candidate, ...]
    measured: tuple[Measured, ...]
    derived: Derived | None
    seconds: float
    notes: tuple[str, ...]


class SupernetFolder(msgspec.Struct, frozen=True):
    """Where a search keeps what.

    outcome.json              probabilities and how they came about, settings included
    architecture.json         the network that was derived, for `table predict`, `profile` and `deploy`
    weights.safetensors       its weights, with what they belong to
    derived.json              latency and accuracies
    evaluations.jsonl         of a derivation by accuracy
    search/, training/        checkpoints
    """

    path: Path

    @property
    def outcome(self) -> Path:
        return self.path / "outcome.json"

    @property
    def architecture(self) -> Path:
        return self.path / "architecture.json"

    @property
    def weights(self) -> Path:
        return self.path / "weights.safetensors"

    @property
    def derived(self) -> Path:
        return self.path / "derived.json"

    @property
    def evaluations(self) -> Path:
        return self.path / "evaluations.jsonl"

    @property
    def search(self) -> Path:
        return self.path / "search"

    @property
    def training(self) -> Path:
        return self.path / "training"

    @property
    def of_the_network(self) -> tuple[Path, ...]:
        return (self.architecture, self.weights, self.derived)

    @property
    def results(self) -> tuple[Path, ...]:
        return (self.outcome, self.evaluations, *self.of_the_network)

    def holds_a_search(self) -> bool:
        return self.search.exists() or any(path.exists() for path in self.results)


def search_supernet(
    question: SupernetQuestion,
    *,
    folder: Path | None = None,
    verify: int = 0,
    on_device: OnDevice = HERE,
    executor: Executor | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_search: Callable[[Progress], None] = lambda _: None,
    on_training: Callable[[TrainingEpoch], None] = lambda _: None,
) -> SupernetResult:
    """Searches, derives, measures the `verify` best, trains, and keeps all of it in the folder.

    A folder that is resumed goes on where it was, and ends with the bits it would have ended with. `executor` evaluates
    architectures for a derivation by accuracy, in processes. Raises UsageError without PyTorch, without a limit or for
    a folder in use, LimitUnreachable before anything is trained, DataError for images or tables that cannot be used,
    Incomparable for a folder of another search, DeviceError when the disk refuses.
    """
    need_torch()
    place = SupernetFolder(folder or DEFAULT_FOLDER)
    if place.holds_a_search() and not overwrite and not resume:
        raise UsageError(
            f"{place.path} holds a search already.",
            hint="Continue it with --resume, replace it with --overwrite, or choose another folder with --output.",
        )
    from hwbench.workflows.searching.supernet_steps import Steps

    steps = Steps(question, place)
    if not resume:
        steps.discard()
    return steps.run(verify, on_device, executor, on_search, on_training)


def save_derived(found: Derived, path: Path) -> None:
    """Raises DeviceError when the disk refuses."""
    files.save(path, KIND, VERSION, found)


def load_derived(path: Path) -> Derived:
    """Raises DataError, CorruptFile or SchemaTooNew naming the file."""
    return files.load(path, KIND, VERSION, Derived)
