"""The prior of a pool: what latency on a new target may be, from the space and from the sources.

    standardised latency = constant + slope * base + sum over groups of sqrt(variance) * features . weights + noise

with standard normal weights. The base is the sources' mean function, one source, a limit of the roofline (the MACs, the
traffic or the launches alone), or nothing; the groups are the sources' residuals, simulated devices, kernels, and per
execution regime operator counts, totals and layers. Variances are Sobol draws, each of which has one regime.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.errors import DataError
from hwbench.spaces import hat
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.few_shot import bank as ridge_bank
from hwbench.transfer.few_shot import kernel_process, scaling, simulate
from hwbench.transfer.few_shot.bank import Bank
from hwbench.transfer.few_shot.describe import describe
from hwbench.transfer.few_shot.description import Description, View
from hwbench.transfer.few_shot.scaling import Scaling
from hwbench.transfer.few_shot.settings import DEFAULT, Range, Settings

Floats = NDArray[np.float64]

_DEVICES = 256
_DIRECTIONS = 24
_VIEWS = ("layers", "counts", "totals")


class Encoded(msgspec.Struct, frozen=True):
    """Architectures as the prior sees them: `bases` (n, 1 + sources + limits), and `groups` (n, k) each."""

    bases: Floats
    groups: tuple[Floats, ...]

    def __len__(self) -> int:
        return len(self.bases)

    def take(self, rows: ArrayLike) -> Encoded:
        chosen = np.asarray(rows)
        return Encoded(self.bases[chosen], tuple(group[chosen] for group in self.groups))


class Draws(msgspec.Struct, frozen=True):
    """Hyper-parameters: a variance per draw and group, shape (draws, groups), and the noise, shape (draws,)."""

    variances: Floats
    noise: Floats


class _Parts(msgspec.Struct, frozen=True):
    """Linear maps of part sums. `values` (parts, k): simulated devices, limits and kernels side by side."""

    values: Floats
    simulated: tuple[Floats, ...]
    offset: Floats
    limits: Scaling
    kernels: Scaling


class Prior(msgspec.Struct, frozen=True):
    """Of one space and pool; `source_rows` are the encoded architectures that the sources know."""

    space: str
    targets: tuple[str, ...]
    settings: Settings
    description: Description
    scalings: tuple[tuple[Scaling, Scaling, Scaling], ...]
    design: tuple[tuple[Scaling, Scaling], ...]
    parts: _Parts | None
    bank: Bank
    draws: Draws
    mean_variances: Floats
    source_architectures: NDArray[np.float64]
    source_rows: Encoded

    def at(self, architectures: ArrayLike) -> Encoded:
        """Any architectures of the space, (n, positions). Raises DataError for others."""
        return _encode(self.description, self.scalings, self.design, self.parts, self.bank, architectures)


def prior_of(matrix: LatencyMatrix, targets: Sequence[str] | None = None, settings: Settings = DEFAULT) -> Prior:
    """The prior from a pool of sources: the meta stage. All columns of the matrix unless `targets` names some.

    Raises DataError when there is no source, a target is unknown, or a source has too few values.
    """
    names = tuple(matrix.targets if targets is None else targets)
    if not names:
        raise DataError("A pool needs at least one source.")
    latency = np.stack([matrix.column(name) for name in names], axis=1)
    known = np.atleast_1d(np.isfinite(latency).any(axis=1))
    rows, latency = _rows(matrix, known), latency[known]
    description = describe(matrix.space)
    views = description.views(rows)
    scalings = tuple(
        (scaling.by_norm(view.layers), scaling.by_norm(view.counts), scaling.by_column(view.totals)) for view in views
    )
    design = tuple((scaling.by_column(view.layers), scaling.by_column(view.totals)) for view in views)
    parts = _parts_of(description, rows)
    bank = ridge_bank.fit_bank(_features(views, design), latency, names)
    encoded = _encode(description, scalings, design, parts, bank, rows)
    return Prior(
        matrix.space, names, settings, description, scalings, design, parts, bank,
        draws_of(settings, description.regimes), mean_variances(settings, description.regimes), rows, encoded,
    )  # fmt: skip


def _rows(matrix: LatencyMatrix, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    rows = matrix.encoded[known]
    whole = bool((rows == np.round(rows)).all()) and matrix.space != hat.NAME
    return rows.astype(np.uint8) if whole else rows


def draws_of(settings: Settings, regimes: Sequence[float]) -> Draws:
    """Sobol draws of all variances; a draw's features by regime are those of one regime, in proportion."""
    from scipy.stats import qmc

    ranges = _ranges(settings)
    places = qmc.Sobol(2 * (len(ranges) + 1), seed=0).random(settings.draws)
    half = len(ranges) + 1
    found = [r.at(places[:, k], places[:, half + k]) for k, r in enumerate((*ranges, settings.noise))]
    order = np.random.default_rng(0).permutation(settings.draws) / settings.draws
    regime = np.minimum(np.searchsorted(np.cumsum(regimes), order, side="right"), len(regimes) - 1)
    common, by_regime = found[:3], found[3:-1]
    columns = [*common, *(values * (regime == number) for number in range(len(regimes)) for values in by_regime)]
    return Draws(np.stack(columns, axis=1), found[-1])


def mean_variances(settings: Settings, regimes: Sequence[float]) -> Floats:
    """Prior mean of each group's variance, shape (groups,)."""
    ranges = _ranges(settings)
    by_regime = [probability * r.mean for probability in regimes for r in ranges[3:]]
    return np.array([*(r.mean for r in ranges[:3]), *by_regime])


def _ranges(settings: Settings) -> tuple[Range, ...]:
    """In the order of the groups: what all regimes share, then what each has of its own."""
    return (
        settings.sources, settings.simulated, settings.kernels, settings.layers, settings.counts, settings.totals,
    )  # fmt: skip


def _encode(
    description: Description,
    scalings: Sequence[tuple[Scaling, Scaling, Scaling]],
    design: Sequence[tuple[Scaling, Scaling]],
    parts: _Parts | None,
    bank: Bank,
    architectures: ArrayLike,
) -> Encoded:
    views = description.views(architectures)
    bases = bank.bases(_features(views, design))
    residuals = bank.residuals(bases)
    if parts is None:
        nothing = np.zeros((len(bases), 1))
        simulated, kernels = nothing, nothing
    else:
        sums = description.sums(parts.values, architectures)
        simulated = sum((s[:, :_DEVICES] @ w for s, w in zip(sums, parts.simulated, strict=True)), parts.offset)
        limits, kernels = np.split(sums[0][:, _DEVICES:], [len(parts.limits.centre)], axis=1)
        bases = np.hstack([bases, parts.limits.apply(limits)])
        kernels = parts.kernels.apply(kernels)
    by_regime = [
        scale.apply(getattr(view, name))
        for view, scales in zip(views, scalings, strict=True)
        for name, scale in zip(_VIEWS, scales, strict=True)
    ]
    return Encoded(bases, (residuals, simulated, kernels, *by_regime))


def _features(views: Sequence[View], design: Sequence[tuple[Scaling, Scaling]]) -> Floats:
    """What the ridge bank reads: layers and totals of all regimes, rows of mean squared norm 2."""
    blocks = [
        scale.apply(values)
        for view, scales in zip(views, design, strict=True)
        for scale, values in zip(scales, (view.layers, view.totals), strict=True)
    ]
    found: Floats = np.hstack(blocks) / np.sqrt(len(views))
    return found


def _parts_of(description: Description, rows: NDArray[np.float64]) -> _Parts | None:
    table = description.kernels
    if table is None:
        return None
    rng = np.random.default_rng(0)
    costs = simulate.device_costs(table, _DEVICES, rng)
    regime = rng.integers(0, len(description.regimes), _DEVICES)
    values = np.hstack([costs, table.limits(), kernel_process.part_features(table)])
    sums = description.sums(values, rows)
    latency = np.stack([sums[r][:, device] for device, r in enumerate(regime)], axis=1)
    weights, offset = principal_directions(latency, _DIRECTIONS)
    simulated = tuple(weights * (regime == number)[:, None] for number in range(len(sums)))
    limits, kernels = np.split(sums[0][:, _DEVICES:], [table.limits().shape[1]], axis=1)
    return _Parts(values, simulated, offset, scaling.by_deviation(limits), scaling.by_norm(kernels))


def principal_directions(latency: Floats, directions: int) -> tuple[Floats, Floats]:
    """The main ways in which devices differ from their mean, as an affine map of their latencies (n, devices).

    Returns weights (devices, directions) and the offset (directions,): devices standardised, their mean function
    taken out, then rotated to principal components, over the root of the number of devices.
    """
    devices = latency.shape[1]
    centre, deviation = latency.mean(axis=0), np.maximum(latency.std(axis=0), 1e-12)
    standard = (latency - centre) / deviation
    mean = standard.mean(axis=1)
    size = max(float(mean.std()), 1e-9)
    shares = (standard * mean[:, None]).mean(axis=0) / size
    # Taking the mean function out is linear in the devices too: I - 1 shares' / (devices * size).
    remove = np.eye(devices) - np.outer(np.ones(devices), shares) / (devices * size)
    residual = standard @ remove
    _, vectors = np.linalg.eigh(residual.T @ residual)
    weights = (remove @ vectors[:, ::-1][:, :directions]) / deviation[:, None] / np.sqrt(devices)
    return weights, -centre @ weights
