"""Whether more measurements pay: how much the agreement with the device would rise.

The population's latencies vary by var(mean prediction) + mean posterior variance. A prediction that explains the share
p of what a measurement shows correlates sqrt(p) with it; more measurements move variance from the second term to the
first. Pearson's correlation r becomes Spearman's by 6 / pi * asin(r / 2), as for normal data (Kruskal 1958, section 6).
"""

from __future__ import annotations

import msgspec
import numpy as np

from hwbench.transfer.few_shot.picks import greedy
from hwbench.transfer.few_shot.posterior import Posterior
from hwbench.transfer.few_shot.prior import Encoded

ENOUGH = 0.005
BATCH = 3


class Outlook(msgspec.Struct, frozen=True):
    """Expected Spearman with single measurements of the population: now, and after `more` further picks."""

    more: int
    agreement_now: float
    agreement_then: float

    @property
    def gain(self) -> float:
        return self.agreement_then - self.agreement_now


def outlook(posterior: Posterior, population: Encoded, candidates: Encoded, more: int = BATCH) -> Outlook:
    """What `more` picks among `candidates` would bring over `population`; hyper-parameters stay at their posterior."""
    variances, noise, slope_variance = _posterior_mean_variances(posterior)

    def features(encoded: Encoded) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        groups = (np.sqrt(v) * group for v, group in zip(variances, encoded.groups, strict=True))
        constant = np.full((len(encoded), 1), np.sqrt(posterior.prior.settings.constant))
        return np.hstack([constant, np.sqrt(slope_variance) * encoded.bases[:, :1], *groups])

    trusted = np.flatnonzero(posterior.spike_probability <= 0.5)
    measured = features(posterior.measured.take(trusted))
    _, remaining = greedy(features(candidates), features(population), more, noise, measured)
    scale = posterior.scale * posterior.standard.spread**2
    explained = float(posterior.mean(population).var())
    uncertain, after = scale * remaining[0], scale * remaining[-1]
    total = explained + uncertain + scale * noise
    now, then = explained / total, (explained + uncertain - after) / total
    return Outlook(more, _spearman_of(np.sqrt(now)), _spearman_of(np.sqrt(then)))


def enough(expected: Outlook, threshold: float = ENOUGH) -> bool:
    """Whether the further measurements would raise agreement by less than the threshold."""
    return expected.gain < threshold


def _posterior_mean_variances(
    posterior: Posterior,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float, float]:
    """Of the groups (relative to the scale), of the noise, and of the slope where a base is used."""
    weights = np.array([one.weight for one in posterior.heaviest])
    draws = [one.draw for one in posterior.heaviest]
    variances = weights @ posterior.prior.draws.variances[draws]
    noise = float(weights @ posterior.prior.draws.noise[draws])
    with_base = float(weights @ np.array([one.base is not None for one in posterior.heaviest], float))
    return variances, noise, posterior.prior.settings.slope_variance * with_base


def _spearman_of(pearson: float) -> float:
    return float(6 / np.pi * np.arcsin(min(pearson, 1.0) / 2))
