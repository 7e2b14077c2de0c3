"""The posterior of one target: every draw, base and spike hypothesis, weighted by its evidence."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.measure.statistics import MAD_TO_SD
from hwbench.transfer.few_shot.evidence import Components, components, draw_covariances
from hwbench.transfer.few_shot.prior import Encoded, Prior
from hwbench.transfer.few_shot.settings import Settings
from hwbench.transfer.few_shot.spikes import SpikeWeights, weigh

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_HEAVIEST = 48
_CERTAIN = 0.5
_MOST_CERTAIN = 4
_LARGEST_SURPRISE = 9.0


class Standard(msgspec.Struct, frozen=True):
    """Where the target's latencies lie: `(value - centre) / spread` is standardised."""

    centre: float
    spread: float


class Hypothesis(msgspec.Struct, frozen=True):
    """One heavy component with its spike: a plain Gaussian process. `base` is None where it has none."""

    weight: float
    draw: int
    base: int | None
    inverse: Floats
    weighted: Floats
    quadratic: float


class Posterior(msgspec.Struct, frozen=True):
    """`weighted` (bases + 1, draws, n) are the residual weights of the mean, averaged over spikes."""

    prior: Prior
    measured: Encoded
    standard: Standard
    weighted: Floats
    base_weights: Floats
    heaviest: tuple[Hypothesis, ...]
    spike_probability: Floats
    surprise: Floats
    widening: float

    def mean(self, at: Encoded) -> Floats:
        """Posterior mean, shape (n,), in the unit of the measurements."""
        settings, by_draw = self.prior.settings, self.weighted.sum(axis=0)
        found = np.full(len(at), settings.constant * by_draw.sum())
        for number, (there, here) in enumerate(zip(at.groups, self.measured.groups, strict=True)):
            found += there @ (here.T @ (self.prior.draws.variances[:, number] @ by_draw))
        by_base = self.weighted[:-1].sum(axis=1)
        slopes = settings.slope * self.base_weights[:-1]
        slopes = slopes + settings.slope_variance * (by_base * self.measured.bases.T).sum(axis=1)
        found += at.bases @ slopes
        return self.standard.centre + self.standard.spread * found

    def deviation(self, at: Encoded) -> Floats:
        """Standard deviation of a new measurement, shape (n,): of the mixture of the heaviest hypotheses."""
        means, variances = self._moments(at)
        weights = np.array([one.weight for one in self.heaviest])
        centre = weights @ means
        spread = np.sqrt(weights @ (variances + (means - centre) ** 2))
        found: Floats = self.widening * self.standard.spread * spread
        return found

    @property
    def scale(self) -> float:
        """Posterior mean of the scale that all variances share, relative to the standardised latency."""
        n, settings = len(self.measured), self.prior.settings
        return float(sum(one.weight * _scale(one.quadratic, n, settings) for one in self.heaviest))

    def _moments(self, at: Encoded) -> tuple[Floats, Floats]:
        """Mean and variance per hypothesis, shape (hypotheses, n) each, standardised."""
        settings, prior = self.prior.settings, self.prior
        grams = [there @ here.T for there, here in zip(at.groups, self.measured.groups, strict=True)]
        squares = np.stack([(there**2).sum(axis=1) for there in at.groups])
        means, variances = [], []
        for one in self.heaviest:
            theta = prior.draws.variances[one.draw]
            cross = settings.constant + sum(
                (v * gram for v, gram in zip(theta, grams, strict=True) if v), 0.0 * grams[0]
            )
            own = settings.constant + prior.draws.noise[one.draw] + theta @ squares
            mean = cross @ one.weighted
            if one.base is not None:
                base = at.bases[:, one.base]
                cross = cross + settings.slope_variance * np.outer(base, self.measured.bases[:, one.base])
                own = own + settings.slope_variance * base**2
                mean = settings.slope * base + cross @ one.weighted
            scale = _scale(one.quadratic, len(self.measured), settings)
            means.append(mean)
            variances.append(scale * np.maximum(own - ((cross @ one.inverse) * cross).sum(axis=1), 1e-6))
        return np.array(means), np.array(variances)


def posterior_of(prior: Prior, measured: Encoded, values: ArrayLike) -> Posterior:
    """The posterior after `values`, shape (n,), were measured at `measured`: the adaptation to a target.

    Measurements that are more probably spiked than not are given the larger noise for good, at most a quarter of
    them; one further spike is averaged over.
    """
    latency = np.asarray(values, float)
    standard = standard_of(latency)
    target = (latency - standard.centre) / standard.spread
    covariances, n = draw_covariances(prior, measured), len(latency)
    certain = np.zeros(n, bool)
    while True:
        inflated = covariances + np.diag(prior.settings.spike_variance * certain)
        settings = prior.settings
        found = components(inflated, measured.bases, target, settings.slope, settings.slope_variance)
        weights = weigh(found, settings, ~certain)
        suspect = int(np.argmax(weights.probability))
        if weights.probability[suspect] <= _CERTAIN or certain.sum() >= n // _MOST_CERTAIN:
            break
        certain[suspect] = True
    heaviest = _heaviest(found, weights, settings)
    surprise = surprises(heaviest, certain | (weights.probability > _CERTAIN), settings)
    return Posterior(
        prior, measured, standard,
        _averaged(found, weights, settings).reshape(-1, settings.draws, n),
        (weights.clean + weights.spiked.sum(axis=1)).reshape(-1, settings.draws).sum(axis=1),
        heaviest,
        np.where(certain, 1.0, weights.probability),
        surprise,
        widening_of(surprise, settings.widening, settings.widening_weight),
    )  # fmt: skip


def standard_of(values: Floats) -> Standard:
    """The median, and the deviation as far as half of the values agree with it."""
    centre = float(np.median(values))
    robust = 2 * MAD_TO_SD * float(np.median(np.abs(values - centre)))
    deviation = float(values.std())
    spread = min(deviation, robust) if robust > 0 else deviation
    return Standard(centre, max(spread, 1e-9 * abs(centre), 1e-12))


def surprises(heaviest: tuple[Hypothesis, ...], spiked: Bools, settings: Settings) -> Floats:
    """Squared leave-one-out errors in units of their variances, of the measurements that are not spiked.

    A left-out measurement's residual is weighted / inverse's diagonal, its variance the diagonal's inverse
    (Rasmussen, Williams 2006, equations 5.10-5.12).
    """
    weights = np.array([one.weight for one in heaviest])
    diagonal = np.stack([np.diagonal(one.inverse) for one in heaviest])
    residual = np.stack([one.weighted for one in heaviest]) / diagonal
    scale = np.array([_scale(one.quadratic, len(spiked), settings) for one in heaviest])[:, None]
    centre = weights @ residual
    variance = weights @ (scale / diagonal + (residual - centre) ** 2)
    found: Floats = np.minimum(centre**2 / variance, _LARGEST_SURPRISE)[~spiked]
    return found


def widening_of(surprise: Floats, widening: float, weight: float) -> float:
    """Factor of the deviation: the prior's, which counts as `weight` measurements, and what the surprises say."""
    return float(np.sqrt((weight * widening**2 + surprise.sum()) / (weight + surprise.size)))


def _scale(quadratic: float, n: int, settings: Settings) -> float:
    """Posterior mean of the integrated scale."""
    return (2 * settings.rate + quadratic) / (2 * settings.shape + n - 2)


def _averaged(found: Components, weights: SpikeWeights, settings: Settings) -> Floats:
    """Residual weights per component, averaged over no spike and each single one; shape (K, n)."""
    gained = 1 / settings.spike_variance + np.diagonal(found.inverse, axis1=1, axis2=2)
    correction = (weights.spiked * found.weighted / gained)[:, :, None]
    total = weights.clean + weights.spiked.sum(axis=1)
    averaged: Floats = total[:, None] * found.weighted - (found.inverse @ correction)[:, :, 0]
    return averaged


def _heaviest(found: Components, weights: SpikeWeights, settings: Settings) -> tuple[Hypothesis, ...]:
    flat = np.hstack([weights.clean[:, None], weights.spiked])
    count = min(_HEAVIEST, flat.size)
    chosen = np.argpartition(-flat, count - 1, axis=None)[:count]
    total = flat.flat[chosen].sum()
    bases = len(weights.clean) // settings.draws - 1
    hypotheses = []
    for place in chosen:
        component, case = divmod(int(place), flat.shape[1])
        base, draw = divmod(component, settings.draws)
        inverse, weighted = found.inverse[component], found.weighted[component]
        quadratic = float(found.quadratic[component])
        if case:
            column = inverse[:, case - 1]
            gained = 1 / settings.spike_variance + column[case - 1]
            quadratic -= float(weighted[case - 1] ** 2 / gained)
            weighted = weighted - column * weighted[case - 1] / gained
            inverse = inverse - np.outer(column, column) / gained
        weight = float(flat.flat[place] / total)
        hypotheses.append(Hypothesis(weight, draw, base if base < bases else None, inverse, weighted, quadratic))
    return tuple(hypotheses)
