"""The methods of an adaptation: what a pool teaches each, what each measures, and the model that is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import msgspec
import numpy as np

import hwbench
from hwbench import files
from hwbench.errors import DataError
from hwbench.files import cache_folder
from hwbench.transfer.help.settings import HELP, Settings
from hwbench.transfer.predictor_file import AdaptedProxy, GaussianProcess, MetaLearned, Model, Prospect
from hwbench.workflows.adapting import few_shot
from hwbench.workflows.adapting.few_shot import Floats, Places, Stage, no_places
from hwbench.workflows.adapting.pool import Pool
from hwbench.workflows.adapting.trained import MetaLearned as LearnedMethod
from hwbench.workflows.extras import need_torch

Method: TypeAlias = Literal["gp", "help", "adaproxy"]

# Fewer cannot be left out in turn.
FEWEST = 6
# HELP learns what an embedding of a target means from how targets differ.
_FEWEST_TARGETS = 4
_REFERENCES = 10
# With so many targets, every fourth one says when training is best.
_ENOUGH_TO_VALIDATE = 8
_EVERY = 4
# Share of the pool's architectures that tasks are drawn from; validation is on the others.
_FIRST = 0.9
# Picks are from this share of the sources' mean latency.
_CENTRAL = 0.9


class Adaptation(Protocol):
    """A method after its meta stage. Architectures are places in the pool, which measured ones come from.

    `references` are measured on every target, before what is picked.
    """

    references: Places

    def pick(self, count: int) -> Places:
        """What to measure beside the references. It does not depend on any latency of the target."""

    def predict(self, measured: Places, latency_us: Floats, wanted: Places) -> Floats:
        """Predictions for the wanted architectures from measurements, references first."""

    def model(self, measured: Places, latency_us: Floats, half_width: float) -> Model:
        """What the measurements make of the pool, as a file keeps it."""

    def prospect(self, measured: Places, latency_us: Floats) -> Prospect | None:
        """Whether more measurements would pay; None where the method does not know."""


class _Picking:
    """Picks as the default predictor makes them, after `references`."""

    def __init__(self, pool: Pool, candidates: Places) -> None:
        self._pool = pool
        self._candidates = candidates
        names = pool.matrix.targets
        self._stage = Stage(pool.matrix, names, (), no_places(), len(pool.matrix.architectures))
        self._process = few_shot.GaussianProcess(self._stage)
        self.references = no_places()

    def pick(self, count: int) -> Places:
        left = np.setdiff1d(self._candidates, self.references)
        return self._process.pick(left, count, _CENTRAL, self.references)

    def prospect(self, measured: Places, latency_us: Floats) -> Prospect | None:
        return None


class ByProcess(_Picking):
    """The default predictor."""

    def predict(self, measured: Places, latency_us: Floats, wanted: Places) -> Floats:
        return self._process.adapt(measured, latency_us, wanted).mean

    def model(self, measured: Places, latency_us: Floats, half_width: float) -> Model:
        return GaussianProcess(self._pool.matrix)

    def prospect(self, measured: Places, latency_us: Floats) -> Prospect:
        found = self._process.fitted(measured, latency_us).worthwhile()
        return Prospect(found.agreement_now, found.more, found.agreement_then)


class ByProxy(_Picking):
    """AdaProxy."""

    def __init__(self, pool: Pool, candidates: Places) -> None:
        super().__init__(pool, candidates)
        self._proxies = few_shot.AdaProxy(self._stage)

    def predict(self, measured: Places, latency_us: Floats, wanted: Places) -> Floats:
        return self._proxies.adapt(measured, latency_us, wanted).mean

    def model(self, measured: Places, latency_us: Floats, half_width: float) -> Model:
        proxy, adapted = self._proxies.adapted(measured, latency_us)
        offered = np.split(adapted.weights, np.cumsum(self._pool.space.choice_counts)[:-1])
        parts = tuple(tuple(values.tolist()) for values in offered)
        return AdaptedProxy(proxy, adapted.accepted, adapted.offset_us, parts, half_width)


class ByMetaLearning(_Picking):
    """HELP, trained on the pool. What was trained is kept in the user's cache, by the pool's content."""

    def __init__(self, pool: Pool, candidates: Places, settings: Settings = HELP) -> None:
        need_torch()
        targets = pool.matrix.targets
        if len(targets) < _FEWEST_TARGETS:
            raise DataError(
                f"The pool has {len(targets)} targets ({', '.join(targets)}), and HELP needs {_FEWEST_TARGETS} "
                "to learn how targets differ.",
                hint="Use --method gp, which needs one, or add tables of other targets with --pool.",
            )
        super().__init__(pool, candidates)
        self.references = self._process.pick(candidates, _REFERENCES, _CENTRAL)
        validation = targets[_EVERY - 1 :: _EVERY] if len(targets) >= _ENOUGH_TO_VALIDATE else ()
        sources = tuple(target for target in targets if target not in validation)
        first = int(_FIRST * len(pool.matrix.architectures))
        known = [hwbench.__version__, pool.matrix, sources, validation, self.references.tolist(), first, settings]
        name = f"{files.sha256(msgspec.json.encode(known))}.safetensors"
        self._checkpoint = cache_folder() / "help" / name
        stage = Stage(pool.matrix, sources, validation, self.references, first, checkpoint=self._checkpoint)
        self._learned = _learned(stage, self._checkpoint, settings)

    def predict(self, measured: Places, latency_us: Floats, wanted: Places) -> Floats:
        return self._learned.adapt(measured, latency_us, wanted).mean

    def model(self, measured: Places, latency_us: Floats, half_width: float) -> Model:
        return MetaLearned(files.read(self._checkpoint), len(self.references), half_width)


METHODS: dict[Method, Callable[[Pool, Places], Adaptation]] = {
    "gp": ByProcess,
    "help": ByMetaLearning,
    "adaproxy": ByProxy,
}


def _learned(stage: Stage, checkpoint: Path, settings: Settings) -> LearnedMethod:
    """The trained method; a damaged file in the cache is as good as none."""
    try:
        return LearnedMethod(stage, settings)
    except DataError:
        if not checkpoint.exists():
            raise
        checkpoint.unlink()
        return LearnedMethod(stage, settings)
