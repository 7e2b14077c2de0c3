"""What every few-shot method offers, and the methods that need no training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import UsageError
from hwbench.tables.matrix import Column, LatencyMatrix

if TYPE_CHECKING:
    from hwbench.transfer.adaproxy import Adapted
    from hwbench.transfer.few_shot.predictor import FewShotPredictor

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int64]

_WITH_WEIGHTS = ("conv", "grouped", "depthwise", "linear")
# Of a source's mean: what a fitted table may say at least.
_LEAST_SHARE = 1e-3


class Stage(msgspec.Struct, frozen=True):
    """What a meta stage may use: the `first` architectures of sources and validation targets, and all references.

    `checkpoint` is a file of a trained method, used if it is there, else written; `seed` is of the training.
    """

    matrix: LatencyMatrix
    sources: tuple[str, ...]
    validation: tuple[str, ...]
    references: Places
    first: int
    seed: int = 0
    checkpoint: Path | None = None


class Guess(msgspec.Struct, frozen=True):
    """Predicted latencies; bounds of 90 % intervals, or None where the method gives none."""

    mean: Floats
    lower: Floats | None = None
    upper: Floats | None = None


class Predictor(Protocol):
    """A method after its meta stage. Architectures are places in the matrix.

    `references` are measured on every target, before what is picked.
    """

    references: Places

    def adapt(self, measured: Places, latency_us: Floats, wanted: Places) -> Guess:
        """Predictions for the wanted architectures of a target from its measurements, references first."""


class ChoosingPredictor(Predictor, Protocol):
    """A method that says itself what to measure."""

    def pick(self, candidates: Places, count: int, central: float) -> Places:
        """The architectures to measure."""


class GaussianProcess:
    """hwbench's default predictor; every architecture of the matrix is encoded in the meta stage."""

    def __init__(self, stage: Stage) -> None:
        from hwbench.transfer.few_shot.prior import prior_of

        self.references = no_places()
        self._architectures = architectures_of(stage.matrix)
        self._prior = prior_of(head_of(stage.matrix, stage.sources, stage.first))
        self._encoded = self._prior.at(self._architectures)

    def pick(self, candidates: Places, count: int, central: float, after: Places | None = None) -> Places:
        """`after` are measured already."""
        from hwbench.transfer.few_shot.picks import choose

        known = None if after is None else self._encoded.take(after)
        return candidates[choose(self._prior, self._encoded.take(candidates), count, known, central)]

    def fitted(self, measured: Places, latency_us: Floats) -> FewShotPredictor:
        """The predictor of the target that was measured."""
        from hwbench.transfer.few_shot.predictor import fit_encoded

        return fit_encoded(self._prior, self._architectures[measured], self._encoded.take(measured), latency_us)

    def adapt(self, measured: Places, latency_us: Floats, wanted: Places) -> Guess:
        found = self.fitted(measured, latency_us).predict_encoded(self._encoded.take(wanted), 0.9)
        return Guess(found.mean_us, found.lower_us, found.upper_us)


class Flops:
    """Multiply-accumulates of all searched operators, dead edges too, as published FLOPs count them.

    Least squares through the measurements puts them on the target's scale.
    """

    def __init__(self, stage: Stage) -> None:
        from hwbench.transfer.few_shot.describe import describe

        description = describe(stage.matrix.space)
        table = description.kernels
        if table is None:
            raise UsageError(f"MACs of {stage.matrix.space} are not known.")
        self.references = no_places()
        counted = np.array([name.startswith(_WITH_WEIGHTS) for name in table.kind_names])[table.kind]
        macs = table.per_part((table.macs * counted)[:, None])
        self._macs = description.sums(macs, architectures_of(stage.matrix))[0][:, 0]

    def adapt(self, measured: Places, latency_us: Floats, wanted: Places) -> Guess:
        line = np.stack([np.ones(len(measured)), self._macs[measured]], axis=1)
        constant, slope = np.linalg.lstsq(line, latency_us, rcond=None)[0]
        # Ranks are those of the MACs whatever the measurements say.
        return Guess(constant + max(float(slope), 1e-12) * self._macs[wanted])


class Table:
    """A latency per layer, identical ones sharing it, and their sum: a ridge through the target's measurements alone.

    The published layer-wise rows measure each operator on the target, which the published data do not hold.
    """

    def __init__(self, stage: Stage) -> None:
        from hwbench.transfer.few_shot.describe import describe

        self.references = no_places()
        self._layers = describe(stage.matrix.space).views(architectures_of(stage.matrix))[0].layers

    def adapt(self, measured: Places, latency_us: Floats, wanted: Places) -> Guess:
        from hwbench.transfer.few_shot.ridge import RidgeDesign

        slopes, constant = RidgeDesign(self._layers[measured]).fit(latency_us)
        return Guess(self._layers[wanted] @ slopes + constant)


class AdaProxy:
    """Of the sources as sums of choices the one that agrees best with the measurements, bent to them."""

    def __init__(self, stage: Stage) -> None:
        from hwbench import spaces
        from hwbench.spaces.encodings import choice_labels, label_counts, one_hot
        from hwbench.transfer.adaproxy import proxy_weights

        space = spaces.get(stage.matrix.space)
        self.references = no_places()
        self._names = stage.sources
        archs = architectures_of(stage.matrix)
        self._encoded, self._labels = one_hot(space, archs), choice_labels(space)
        self._features = (self._encoded, label_counts(space, archs))
        heads = [stage.matrix.column(name)[: stage.first] for name in stage.sources]
        self._weights = [proxy_weights(self._encoded[: stage.first], space.choice_counts, head) for head in heads]
        self._fitted = np.stack([self._as_latency(*both) for both in zip(self._weights, heads, strict=True)], axis=1)

    def adapt(self, measured: Places, latency_us: Floats, wanted: Places) -> Guess:
        return Guess(self.adapted(measured, latency_us)[1].predict(self._encoded[wanted]))

    def adapted(self, measured: Places, latency_us: Floats) -> tuple[str, Adapted]:
        """The source that was taken, and what was made of it."""
        from hwbench.transfer import adaproxy, proxy

        best = proxy.choose(self._names, self._fitted, measured, latency_us, features=self._features).best.proxy
        weights = self._weights[self._names.index(best)]
        return best, adaproxy.adapt(weights, self._encoded[measured], latency_us, labels=self._labels)

    def _as_latency(self, weights: Floats, known: Floats) -> Floats:
        """A source as its weights give it, at every architecture; positive."""
        mean = float(np.nanmean(known))
        fitted = self._encoded @ weights
        offset = float(np.nanmean(known - fitted[: len(known)]))
        return np.maximum(fitted + offset, _LEAST_SHARE * mean)


def no_places() -> Places:
    return np.zeros(0, np.int64)


def architectures_of(matrix: LatencyMatrix) -> NDArray[Any]:
    """The matrix's rows as their space takes them: whole numbers, or HAT's features."""
    from hwbench.spaces import hat

    return matrix.encoded if matrix.space == hat.NAME else matrix.encoded.astype(np.uint8)


def head_of(matrix: LatencyMatrix, sources: Sequence[str], first: int) -> LatencyMatrix:
    """The first architectures, and the sources alone: what a meta stage may see."""
    columns = tuple(
        Column(one.target, one.values[:first], one.origin) for one in matrix.columns if one.target in sources
    )
    return LatencyMatrix(matrix.space, matrix.metric, matrix.architectures[:first], columns)
