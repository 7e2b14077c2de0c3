"""HELP as a latency source: a trained state, the references' latencies and a few more of a new target.

trained = train(pool, HELP)                                  the pool: minutes
predictor = trained.adapt(reference_us, measured, latency_us)   the target: a tenth of a second
predictor.predict(architectures)
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

import hwbench
from hwbench import spaces
from hwbench.errors import CorruptFile, DataError, HwbenchError
from hwbench.tables.source import Latencies
from hwbench.transfer.help import checkpoints
from hwbench.transfer.help.checkpoints import Recipe
from hwbench.transfer.help.encodings import encode
from hwbench.transfer.help.learner import MetaLearner, Task, task_of
from hwbench.transfer.help.networks import Parameters, tensors
from hwbench.transfer.help.settings import Settings
from hwbench.transfer.help.tasks import Floats, Scale, measured_of
from hwbench.transfer.help.training import Pool, meta_train, one_thread

# Architectures whose encodings are in memory together.
_AT_ONCE = 4096
_NOISE_SEED = 0


class HelpPredictor(msgspec.Struct, frozen=True):
    """Latency of any architecture of the space on the target that was measured; it gives no intervals."""

    trained: Trained
    scale: Scale
    task: Task

    def missing(self, architectures: ArrayLike) -> tuple[str, ...]:
        """Nothing: a predictor knows every architecture of its space."""
        return ()

    def predict(self, architectures: ArrayLike) -> Latencies:
        """Means, shape (n,), with bounds as wide as can be: 0 to infinity."""
        rows = np.atleast_2d(np.asarray(architectures))
        parts = [self._mean(rows[start : start + _AT_ONCE]) for start in range(0, max(len(rows), 1), _AT_ONCE)]
        mean = np.concatenate(parts)
        return Latencies(mean, np.zeros_like(mean), np.full_like(mean, np.inf))

    def _mean(self, rows: NDArray[np.generic]) -> Floats:
        recipe = self.trained.recipe
        query = tensors(encode(recipe.space, rows, recipe.settings.totals))
        with one_thread():
            standard = self.trained.learner.predict(self.trained.state, self.task, query).mean(dim=0)
        return self.scale.undo(standard.numpy().astype(float))


class Trained:
    """A meta-learned predictor after its meta stage. Raises DataError for references that the space does not have."""

    def __init__(self, recipe: Recipe, state: Parameters) -> None:
        self.recipe = recipe
        self.state = state
        self.learner = _learner(recipe)

    def adapt(self, reference_us: ArrayLike, architectures: ArrayLike, latency_us: ArrayLike) -> HelpPredictor:
        """From latencies of the recipe's references, and `latency_us` (n,) of `architectures` (n, positions).

        Without an embedding `reference_us` is empty. Raises DataError for another number of either, or for latencies
        that are not positive and finite.
        """
        settings, rows = self.recipe.settings, np.atleast_2d(np.asarray(architectures))
        reference, more = (np.asarray(values, float).reshape(-1) for values in (reference_us, latency_us))
        needed = len(self.recipe.references) if settings.embedding else 0
        if (len(reference), len(more)) != (needed, len(rows)):
            raise DataError(
                f"There are {len(reference)} latencies of {needed} reference architectures, "
                f"and {len(more)} of {len(rows)} others."
            )
        if not len(more) and not (needed and settings.references_fine_tune):
            raise DataError("Nothing was measured that the predictor could be fine-tuned on.")
        latency = np.concatenate([reference, more])
        if not (np.isfinite(latency) & (latency > 0)).all():
            raise DataError("A measured latency is not a positive number.")
        places = np.arange(len(latency))
        measured = measured_of(latency, places[:needed], places[needed:], settings)
        known = np.array(self.recipe.references[:needed], rows.dtype).reshape(needed, rows.shape[1])
        support = tensors(encode(self.recipe.space, np.vstack([known, rows])[measured.places], settings.totals))
        draws = settings.modulator_draws if settings.modulator else 1
        noise = torch.randn(draws, self.learner.noise_size, generator=torch.Generator().manual_seed(_NOISE_SEED))
        repeated = tuple(one.expand(draws, *one.shape) for one in support)
        return HelpPredictor(self, measured.scale, task_of([measured] * draws, repeated, noise))

    def differs(self, pool: Pool, settings: Settings) -> str | None:
        """The first field in which the recipe is not what training on this pool would give, seed aside."""
        wanted = _recipe(pool, settings)
        fields = ("space", "sources", "validation", "references", "first", "settings")
        return next((name for name in fields if getattr(wanted, name) != getattr(self.recipe, name)), None)

    def save(self, path: Path) -> None:
        checkpoints.save(path, self.recipe, self.state)


def train(pool: Pool, settings: Settings, seed: int = 0) -> Trained:
    """Raises DataError for a pool that no tasks can be made of."""
    _, outcome = meta_train(pool, settings, seed)
    found = outcome.validation
    recipe = msgspec.structs.replace(
        _recipe(pool, settings), seed=seed, episodes=outcome.episodes, spearman=max(found) if found else None
    )
    return Trained(recipe, outcome.state)


def load(path: Path) -> Trained:
    """A trained predictor of a file. Raises DataError, CorruptFile or SchemaTooNew naming it."""
    recipe, state = checkpoints.load(path)
    try:
        trained = Trained(recipe, state)
    except HwbenchError as error:
        raise CorruptFile(f"{path} is not a valid trained predictor: {error}") from error
    wanted = {name: value.shape for name, value in trained.learner.initial().items()}
    if {name: value.shape for name, value in state.items()} != wanted:
        raise CorruptFile(f"{path} does not hold the tensors that its settings ask for.")
    return trained


def _recipe(pool: Pool, settings: Settings) -> Recipe:
    references = pool.architectures[pool.references].tolist() if settings.embedding else []
    return Recipe(
        pool.space, pool.sources, pool.validation, tuple(map(tuple, references)), pool.first, settings,
        seed=0, episodes=0, spearman=None,
        versions={"hwbench": hwbench.__version__, "torch": metadata.version("torch")},
    )  # fmt: skip


def _learner(recipe: Recipe) -> MetaLearner:
    space = spaces.get(recipe.space)
    if recipe.references:
        space.check(recipe.references)
    encoding = encode(recipe.space, space.sample(1, seed=0), recipe.settings.totals)
    return MetaLearner(encoding, len(recipe.references), recipe.settings)
