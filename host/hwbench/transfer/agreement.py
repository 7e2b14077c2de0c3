"""Do two targets put architectures in the same order? Rank correlations with intervals, and the noise ceiling.

Spearman's correlation is One Proxy's measure (Lu et al., SIGMETRICS 2022, section 3); "monotone" is 0.9 and above.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import DataError
from hwbench.transfer.ranks import Floats, Redraw, correlation, midranks, redrawn_spearman, resample, resampled_spearman

MONOTONE = 0.9
DRAWS = 1000
# Below this many common architectures a resample says nothing.
FEWEST = 5
_LARGEST_Z = 8.0
# How many architectures the prior on the deviation counts for (benchmarks/agreement_verdicts.py).
_PRIOR = 150
# Noise that leaves less than this of a correlation is not undone any further.
_LEAST_KEPT = 0.1


class Observed(msgspec.Struct, frozen=True):
    """Latencies of one target: `values_us` (n,), NaN where there is none.

    `noise` (n,): relative standard deviation of each value from run to run, None where it is not known. `redraw` gives
    what other runs could have given; without it values vary independently by `noise`. `shared`: values vary together
    in a redraw, as sums of the same rows do, so that resampled architectures do not show what it does.
    """

    target: str
    values_us: Floats
    noise: Floats | None = None
    redraw: Redraw | None = None
    shared: bool = False


class Agreement(msgspec.Struct, frozen=True):
    """Spearman's correlation of two targets over `n` common architectures.

    `spearman` takes values inside the noise as ties; None: all of them are. `lower` .. `upper` is the 95 % interval of
    the correlation that unlimited architectures without timing noise would have, `estimate` its centre. Timing noise
    multiplies a correlation by `attenuation`. In Fisher's z, before that is taken away: `z` is the estimate,
    `z_architectures` the standard deviation that resampled architectures give it, `z_noise` what noise that values
    share adds. `noise_known` is false where a target says nothing of its noise, which then is taken as none.
    """

    a: str
    b: str
    n: int
    spearman: float | None
    lower: float
    upper: float
    estimate: float
    attenuation: float
    z: float
    z_architectures: float
    z_noise: float
    noise_known: bool


def agreements(targets: Sequence[Observed], *, draws: int = DRAWS, seed: int = 0) -> tuple[Agreement, ...]:
    """Every pair of targets, in the order of `itertools.combinations`.

    Raises DataError when targets have different lengths or a pair shares too few architectures.
    """
    if len({one.values_us.shape for one in targets}) > 1:
        raise DataError("Targets are compared over the same architectures, and these have different numbers of them.")
    known = np.array([np.isfinite(one.values_us) for one in targets])
    pairs = list(itertools.combinations(range(len(targets)), 2))
    by_mask: dict[bytes, list[tuple[int, int]]] = {}
    for a, b in pairs:
        mask = known[a] & known[b]
        if mask.sum() < FEWEST:
            raise DataError(
                f"{targets[a].target} and {targets[b].target} share {int(mask.sum())} architectures; {FEWEST} are "
                "the fewest."
            )
        by_mask.setdefault(mask.tobytes(), []).append((a, b))
    found: dict[tuple[int, int], Agreement] = {}
    for mask_bytes, own in by_mask.items():
        mask = np.frombuffer(mask_bytes, bool)
        used = sorted({number for pair in own for number in pair})
        kept = [_restricted(targets[number], mask) for number in used]
        results = _over_common(kept, [(used.index(a), used.index(b)) for a, b in own], draws, seed)
        found |= dict(zip(own, results, strict=True))
    return tuple(found[pair] for pair in pairs)


def agreement(a: Observed, b: Observed, *, draws: int = DRAWS, seed: int = 0) -> Agreement:
    """As `agreements`, for one pair."""
    return agreements((a, b), draws=draws, seed=seed)[0]


def kendall(a: Observed, b: Observed) -> float | None:
    """Kendall's tau-b over common architectures, pairs inside the noise as ties; None when all are ties."""
    mask = np.isfinite(a.values_us) & np.isfinite(b.values_us)
    left, right = (_signs(_restricted(one, mask)) for one in (a, b))
    scale = np.sqrt(float(np.abs(left).sum()) * float(np.abs(right).sum()))
    return float((left * right).sum() / scale) if scale else None


def top_overlap(a: Observed, b: Observed, share: float = 0.1) -> float:
    """Which share of the fastest `share` of common architectures on `a` is among the fastest on `b`."""
    mask = np.isfinite(a.values_us) & np.isfinite(b.values_us)
    k = max(1, round(share * int(mask.sum())))
    fastest = [set(np.argsort(one.values_us[mask], kind="stable")[:k].tolist()) for one in (a, b)]
    return len(fastest[0] & fastest[1]) / k


def noise_ceiling(target: Observed, *, draws: int = 100, seed: int = 0) -> float | None:
    """Spearman's correlation of a target with its own second run, the most any other can reach; None: noise unknown."""
    one = _restricted(target, np.isfinite(target.values_us))
    if one.redraw is None:
        return None
    rng = np.random.default_rng(seed)
    weights = np.ones((draws, len(one.values_us)))
    return float(np.median(redrawn_spearman((one.redraw, one.redraw), weights, rng)[:, 0, 1]))


def measured_ceiling(runs: Sequence[Floats]) -> float:
    """The same from runs that there were: the median Spearman correlation of two of them; each of shape (n,)."""
    ranks = [midranks(one) for one in runs]
    return float(np.median([correlation(a, b) for a, b in itertools.combinations(ranks, 2)]))


def independent(values_us: Floats, noise: Floats) -> Redraw:
    """Redraws of values that vary independently, log-normally, by the relative standard deviations `noise`."""

    def redraw(rng: np.random.Generator, draws: int) -> Floats:
        varied: Floats = values_us * np.exp(noise * rng.standard_normal((draws, len(values_us))))
        return varied

    return redraw


def _over_common(
    targets: Sequence[Observed], pairs: Sequence[tuple[int, int]], draws: int, seed: int
) -> list[Agreement]:
    from scipy.stats import kendalltau

    rng = np.random.default_rng(seed)
    n = len(targets[0].values_us)
    weights = resample(n, draws, rng)
    still = resampled_spearman(np.stack([one.values_us for one in targets], axis=1), weights)
    noisy = [one.redraw is not None for one in targets]
    moving = still
    if any(noisy):
        moving = redrawn_spearman([one.redraw or _constant(one.values_us) for one in targets], weights, rng)
    plain = [midranks(one.values_us) for one in targets]
    tied = [midranks(one.values_us, one.noise) for one in targets]
    found = []
    for a, b in pairs:
        observed = correlation(plain[a], plain[b])
        tau = float(kendalltau(plain[a], plain[b]).statistic)
        # A resample may hold one architecture alone, which has no order.
        ordered = np.isfinite(still[:, a, b] + moving[:, a, b]) | np.isnan(observed)
        own, redrawn = still[ordered, a, b], moving[ordered, a, b]
        together = correlation(tied[a], tied[b])
        over_architectures = deviation(float(np.std(_fisher(own))), observed, n)
        # Fisher's z of an unbiased correlation is too large by its curvature.
        z = float(_fisher(without_sampling_bias(observed, tau, n))) - observed * over_architectures**2
        over_noise, kept = 0.0, 1.0
        if noisy[a] or noisy[b]:
            if targets[a].shared or targets[b].shared:
                over_noise = float(np.std(_fisher(redrawn) - _fisher(own)))
            kept = attenuation(float(np.mean(own)), float(np.mean(redrawn)))
        half = student(n, 0.975) * np.hypot(over_architectures, over_noise)
        found.append(
            Agreement(
                a=targets[a].target, b=targets[b].target, n=n, spearman=together if np.isfinite(together) else None,
                lower=undone(z - half, kept), upper=undone(z + half, kept), estimate=undone(z, kept),
                attenuation=kept, z=z, z_architectures=over_architectures, z_noise=over_noise,
                noise_known=noisy[a] and noisy[b],
            )
        )  # fmt: skip
    return found


def without_sampling_bias(rho: float, tau: float, n: int) -> float:
    """Spearman's correlation of unlimited data: a sample of n expects ((n - 2) rho + 3 tau) / (n + 1).

    Kendall, Rank Correlation Methods (1948), on the expectation of Spearman's coefficient.
    """
    return float(np.clip(((n + 1) * rho - 3 * tau) / (n - 2), -1.0, 1.0))


def deviation(resampled: float, rho: float, n: int) -> float:
    """The standard deviation of Fisher's z over n architectures, from that of its resamples.

    Resamples of few architectures scatter in their own deviation, so it is drawn towards what normal data would have,
    (1 + rho^2 / 2) / (n - 3) (Bonett & Wright, Psychometrika 65, 2000), as if by so many more.
    """
    weight = n / (n + _PRIOR)
    normal = (1 + rho**2 / 2) / max(n - 3, 1)
    return float(np.sqrt(weight * resampled**2 + (1 - weight) * normal))


def attenuation(observed: float, redrawn: float) -> float:
    """What timing noise multiplied the true correlation by, from what a second helping of it makes of the observed.

    With e the noise's variance relative to the signal's, the first gives 1 / (1 + e), the second (1 + e) / (1 + 2 e).
    """
    if observed <= 0 or redrawn >= observed:
        return 1.0
    return float(max(2.0 - observed / max(redrawn, 1e-9), _LEAST_KEPT))


def undone(z: float, kept: float) -> float:
    """The correlation of a Fisher z, its attenuation taken away; 1 at most."""
    return 1.0 if z >= _LARGEST_Z else float(np.clip(np.tanh(z) / kept, -1.0, 1.0))


def student(n: int, level: float) -> float:
    """The quantile of Student's t for a Fisher z over n architectures."""
    from scipy.special import stdtrit

    return float(stdtrit(max(n - 3, 1), level))


def _fisher(rho: Floats | float) -> Floats:
    """Fisher's z, bounded where a correlation is 1."""
    with np.errstate(divide="ignore"):
        z: Floats = np.clip(np.arctanh(np.clip(rho, -1.0, 1.0)), -_LARGEST_Z, _LARGEST_Z)
    return z


def _restricted(target: Observed, mask: NDArray[np.bool_]) -> Observed:
    """The target over some of its architectures, its redraw always there when its noise is known."""
    values = target.values_us[mask]
    noise = None if target.noise is None else target.noise[mask]
    redraw = target.redraw
    if redraw is not None:
        whole = redraw
        return Observed(target.target, values, noise, lambda rng, draws: whole(rng, draws)[:, mask], target.shared)
    return Observed(target.target, values, noise, None if noise is None else independent(values, noise))


def _constant(values: Floats) -> Redraw:
    return lambda _, draws: np.tile(values, (draws, 1))


def _signs(target: Observed) -> NDArray[np.int8]:
    """Of each pair of architectures, which is slower: -1, 0 (a tie inside the noise), 1; shape (n, n)."""
    logs = np.log(target.values_us)
    difference = logs[:, None] - logs[None, :]
    signs: NDArray[np.int8] = np.sign(difference).astype(np.int8)
    if target.noise is not None:
        variances = (1.959964 * target.noise) ** 2
        signs[difference**2 <= variances[:, None] + variances[None, :]] = 0
    return signs
