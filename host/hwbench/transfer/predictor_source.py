"""Predictors of files as latency sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench import files, spaces
from hwbench.errors import CorruptFile, DataError
from hwbench.measure.statistics import Floats
from hwbench.spaces.encodings import one_hot
from hwbench.spaces.space import Architectures, Space
from hwbench.tables.source import Latencies, Parts, Prediction, Sum, Term
from hwbench.transfer.predictor_file import AdaptedProxy, GaussianProcess, MetaLearned, Predictor

# Of a measurement: what a prediction counts as at least when its error is taken.
_LEAST_SHARE = 0.01


class PredictorSource:
    """Any predictor: it knows every architecture of its space, as a whole."""

    def __init__(self, space: Space, predict: Callable[[Architectures], Latencies]) -> None:
        self.space = space
        self._predict = predict

    def missing(self, architectures: ArrayLike) -> tuple[str, ...]:
        """Nothing. Raises DataError for what is no architecture of the space."""
        self.space.check(architectures)
        return ()

    def predict(self, architectures: ArrayLike) -> Latencies:
        """Means with 95 % intervals of a new measurement. Raises DataError for what is no architecture of the space."""
        return self._predict(self.space.check(architectures))

    def explain(self, architecture: ArrayLike) -> Prediction:
        """One architecture; its terms are none but for a sum."""
        (arch,) = self.space.check(architecture)
        total = self.predict(arch)
        value, lower, upper = (float(part[0]) for part in (total.mean_us, total.lower_us, total.upper_us))
        return Prediction(value, lower, upper, upper - value, None, self._terms(arch))

    def _terms(self, architecture: NDArray[np.uint8]) -> tuple[Term, ...]:
        return ()


class AdaptedProxySource(PredictorSource):
    """An adapted proxy: a sum over positions, which an exact search can take as it takes a table's."""

    def __init__(self, space: Space, model: AdaptedProxy) -> None:
        super().__init__(space, self._sums)
        self._model = model
        self._offered = tuple(np.array(values) for values in model.offered_us)

    def lacking(self) -> tuple[str, ...]:
        """Nothing: each choice has its part."""
        return ()

    def offered_us(self) -> tuple[float, tuple[Floats, ...]]:
        """What is fixed, and for each position what each choice adds; both may be negative."""
        return self._model.fixed_us, self._offered

    def offered_parts(self) -> Parts:
        """What the upper end of an interval is made of: a share of the whole."""
        nothing = Sum(0.0, tuple(np.zeros(len(values)) for values in self._offered))
        return Parts(Sum(*self.offered_us()), nothing, nothing, self._model.half_width)

    def _sums(self, architectures: Architectures) -> Latencies:
        mean = one_hot(self.space, architectures) @ np.concatenate(self._offered) + self._model.fixed_us
        return _widened(mean, self._model.half_width)

    def _terms(self, architecture: NDArray[np.uint8]) -> tuple[Term, ...]:
        chosen = zip(self.space.choices, self._offered, architecture.tolist(), strict=True)
        parts = [("fixed", "", self._model.fixed_us)]
        parts += [(choice.name, choice.labels[number], float(values[number])) for choice, values, number in chosen]
        return tuple(Term(name, label, value, value, value, ()) for name, label, value in parts)


def source_of(predictor: Predictor) -> PredictorSource:
    """The predictor, ready to predict; one of HELP needs torch. Raises DataError for a pool that says nothing."""
    space = spaces.get(predictor.space)
    match predictor.model:
        case GaussianProcess():
            return PredictorSource(space, _gaussian_process(predictor, predictor.model))
        case AdaptedProxy():
            return AdaptedProxySource(space, predictor.model)
        case MetaLearned():
            return PredictorSource(space, _meta_learned(predictor, predictor.model))


def half_width_of(predicted_us: Floats, measured_us: Floats) -> float:
    """Half the width of a 95 % interval, relative to a prediction, from errors of networks that were left out.

    Errors are taken as normal of mean 0 and unknown deviation: Student's t with as many degrees of freedom as errors.
    """
    from scipy.special import stdtrit

    error = measured_us / np.maximum(predicted_us, _LEAST_SHARE * measured_us) - 1
    return float(stdtrit(len(error), 0.975) * np.sqrt(np.mean(error**2)))


def _gaussian_process(predictor: Predictor, model: GaussianProcess) -> Callable[[Architectures], Latencies]:
    from hwbench.transfer.few_shot import fit, prior_of

    return fit(prior_of(model.pool), predictor.architectures, predictor.latencies_us).predict


def _meta_learned(predictor: Predictor, model: MetaLearned) -> Callable[[Architectures], Latencies]:
    from hwbench.transfer.help.predictor import load

    with TemporaryDirectory() as folder:
        # safetensors are opened by name.
        path = Path(folder) / "trained.safetensors"
        files.write_atomically(path, model.trained)
        try:
            trained = load(path)
        except DataError as error:
            raise CorruptFile("The trained state of a predictor of HELP cannot be used.") from error
    if trained.recipe.space != predictor.space:
        raise CorruptFile(f"The trained state is of {trained.recipe.space}, the predictor of {predictor.space}.")
    archs, latency = predictor.architectures, predictor.latencies_us
    known = model.references
    if archs[:known].tolist() != [list(reference) for reference in trained.recipe.references]:
        raise CorruptFile("The reference networks of a predictor of HELP are not those it was trained with.")
    adapted = trained.adapt(latency[:known], archs[known:], latency[known:])
    return lambda architectures: _widened(adapted.predict(architectures).mean_us, model.half_width)


def _widened(mean_us: Floats, half_width: float) -> Latencies:
    half = half_width * np.abs(mean_us)
    return Latencies(mean_us, np.maximum(mean_us - half, 0.0), mean_us + half)
