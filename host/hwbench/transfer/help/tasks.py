"""Devices as tasks: what is measured of them, on a scale that needs nothing else.

The published code scales a device's latencies by the extremes of hundreds of them. Here the scale comes from the
measurements alone, references and support, in training as on a new target.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.measure.statistics import MAD_TO_SD
from hwbench.transfer.help.settings import Settings

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int64]


class Scale(msgspec.Struct, frozen=True):
    """`(latency - centre) / spread` is standardised."""

    centre: float
    spread: float

    def apply(self, latency: Floats) -> Floats:
        return (latency - self.centre) / self.spread

    def undo(self, standard: Floats) -> Floats:
        return standard * self.spread + self.centre


def scale_of(measured: Floats) -> Scale:
    """The median, and the deviation unless a few spikes made it larger than the bulk of the values says."""
    centre = float(np.median(measured))
    bulk = 2 * MAD_TO_SD * float(np.median(np.abs(measured - centre)))
    deviation = float(measured.std())
    return Scale(centre, (min(deviation, bulk) if bulk > 0 else deviation) or 1.0)


def embedding_of(references: Floats) -> Floats:
    """A device as its latencies of the reference architectures, from 0 to 1 (section 3.2); shape (references,)."""
    width = float(np.ptp(references))
    found: Floats = (references - references.min()) / (width if width > 0 else 1.0)
    return found


class Measured(msgspec.Struct, frozen=True):
    """A device's measurements: `places` to fine-tune on with their standardised latencies, and the embedding."""

    places: Places
    latency: Floats
    embedding: Floats
    scale: Scale


def measured_of(latency: Floats, references: Places, support: Places, settings: Settings) -> Measured:
    """Of a device whose latency is (n,). Without an embedding the references are not measured."""
    known = references if settings.embedding else references[:0]
    scale = scale_of(latency[np.concatenate([known, support])])
    places = np.concatenate([support, known]) if settings.references_fine_tune else support
    embedding = embedding_of(latency[known]) if len(known) else np.zeros(0)
    return Measured(places, settings.clipped(scale.apply(latency[places])), embedding, scale)


class Episode(msgspec.Struct, frozen=True):
    """Tasks of some devices: their measurements, and queries (tasks, q) with standardised latencies."""

    measured: tuple[Measured, ...]
    query: Places
    latency: Floats


class DeviceTasks:
    """Draws episodes from source devices; `latency` is (n, devices), NaN where there is none."""

    def __init__(self, latency: Floats, references: Places, first: int, settings: Settings) -> None:
        self._latency = latency
        self._references = references
        self._settings = settings
        self._drawable = [_central(column[:first], settings.central) for column in latency.T]

    def draw(self, rng: np.random.Generator) -> Episode:
        settings = self._settings
        devices = rng.permutation(len(self._drawable))[: settings.tasks]
        count = min(settings.support + settings.query, *(len(self._drawable[device]) for device in devices))
        measured, queries, latencies = [], [], []
        for device in devices:
            latency = self._latency[:, device]
            places = rng.choice(self._drawable[device], count, replace=False)
            support, query = np.split(places, [settings.support])
            measured.append(measured_of(latency, self._references, support, settings))
            queries.append(query)
            latencies.append(settings.clipped(measured[-1].scale.apply(latency[query])))
        return Episode(tuple(measured), np.stack(queries), np.stack(latencies))


def _central(latency: Floats, share: float) -> Places:
    """Places of the central share of the known latencies."""
    known = np.flatnonzero(np.isfinite(latency))
    low, high = (int(len(known) * bound) for bound in ((1 - share) / 2, (1 + share) / 2))
    return known[np.argsort(latency[known], kind="stable")][low:high]
