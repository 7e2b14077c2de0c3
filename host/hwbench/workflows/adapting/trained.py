"""The few-shot methods that are trained with torch: HELP, Meta-SGD, MAML, and a network per target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwbench.errors import Incomparable, UsageError
from hwbench.transfer.help.settings import Settings
from hwbench.workflows.adapting.few_shot import Floats, Guess, Places, Stage, architectures_of, no_places
from hwbench.workflows.extras import need_torch

if TYPE_CHECKING:
    from hwbench.transfer.help.predictor import Trained
    from hwbench.transfer.help.training import Pool


class MetaLearned:
    """A meta-learned predictor; HELP measures its references on every target, the others measure what is picked."""

    def __init__(self, stage: Stage, settings: Settings) -> None:
        need_torch()
        if settings.embedding and not len(stage.references):
            raise UsageError(
                "HELP needs reference architectures, and this data names none.", hint="Use --method metasgd or gp."
            )
        self.references = stage.references if settings.embedding else no_places()
        self._architectures = architectures_of(stage.matrix)
        self._trained = _trained(stage, settings)

    def adapt(self, measured: Places, latency_us: Floats, wanted: Places) -> Guess:
        known = len(self.references)
        predictor = self._trained.adapt(latency_us[:known], self._architectures[measured[known:]], latency_us[known:])
        return Guess(predictor.predict(self._architectures[wanted]).mean_us)


class Scratch:
    """BRP-NAS: the network of the encoder alone, trained on the target's measurements."""

    def __init__(self, stage: Stage) -> None:
        need_torch()
        self.references = no_places()
        self._space = stage.matrix.space
        self._seed = stage.seed
        self._architectures = architectures_of(stage.matrix)

    def adapt(self, measured: Places, latency_us: Floats, wanted: Places) -> Guess:
        from hwbench.transfer.help import from_scratch

        predictor = from_scratch.fit(self._space, self._architectures[measured], latency_us, seed=self._seed)
        return Guess(predictor.mean(self._architectures[wanted]))


def pool_of(stage: Stage) -> Pool:
    """The stage's data as arrays; latencies beyond the first architectures only of references and validation."""
    from hwbench.transfer.help.training import Pool

    sources = _columns(stage, stage.sources)
    seen = np.zeros(len(sources), bool)
    seen[: stage.first] = seen[stage.references] = True
    return Pool(
        stage.matrix.space,
        architectures_of(stage.matrix),
        stage.sources,
        np.where(seen[:, None], sources, np.nan),
        stage.validation,
        _columns(stage, stage.validation),
        stage.references,
        stage.first,
    )


def _columns(stage: Stage, names: tuple[str, ...]) -> Floats:
    """Shape (n, names)."""
    return np.array([stage.matrix.column(name) for name in names]).reshape(len(names), len(stage.matrix.encoded)).T


def _trained(stage: Stage, settings: Settings) -> Trained:
    from hwbench.transfer.help.predictor import load, train

    pool = pool_of(stage)
    if stage.checkpoint is not None and stage.checkpoint.exists():
        trained = load(stage.checkpoint)
        if field := trained.differs(pool, settings):
            raise Incomparable(
                f"{stage.checkpoint} was trained with other {field} than this evaluation asks for.",
                hint="Name another file, which will be written.",
            )
        return trained
    trained = train(pool, settings, stage.seed)
    if stage.checkpoint is not None:
        trained.save(stage.checkpoint)
    return trained
