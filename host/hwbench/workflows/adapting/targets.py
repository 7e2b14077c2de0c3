"""The target of an adaptation: a device on which networks are measured, or a column of a file that plays one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench import files
from hwbench.errors import DataError, Incomparable
from hwbench.files import sha256
from hwbench.measure.campaign import Campaign, Progress
from hwbench.measure.session import Session, in_the_way, require_settings
from hwbench.records import EMULATED, Target
from hwbench.spaces.space import Architectures, Space
from hwbench.tables.lookup import SamplesFile, target_name
from hwbench.tables.matrix import LatencyMatrix
from hwbench.tables.source import own_deviation
from hwbench.transfer.predictor_file import Choices, Network, Origin, Predictor
from hwbench.workflows.adapting.pool import distinct
from hwbench.workflows.networks import Bench, measure
from hwbench.workflows.profile import write_samples
from hwbench.workflows.sources import Opened

KIND = "stage"
VERSION = 1

# What makes two targets one, whatever runner or cores measured.
_SAME = ("device_id", "engine", "delegate", "precision", "batch", "threads", "regime")


class Stage(msgspec.Struct, frozen=True):
    """What one campaign brought: networks, why others gave no latency, and how long it took, model files included."""

    networks: tuple[Network, ...]
    failures: tuple[str, ...] = ()
    samples: SamplesFile | None = None
    seconds: float = 0.0

    @property
    def asked(self) -> int:
        """How many networks were to be measured."""
        return len(self.networks) + len(self.failures)


class _Measured(msgspec.Struct, frozen=True):
    """A stage as it is kept, with all that decided it."""

    settings: dict[str, str]
    stage: Stage


class AdaptationTarget(Protocol):
    """`origin` is where it is measured, None for a column of a file; `notes` are what to know of the measurements.

    Held out are `held_out` networks by default.
    """

    @property
    def name(self) -> str: ...

    @property
    def origin(self) -> Origin | None: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def held_out(self) -> int: ...

    def can_measure(self, architectures: Architectures) -> NDArray[np.bool_]:
        """Which of the architectures can have a latency here, shape (n,)."""

    def others(self, known: Architectures, count: int, seed: int) -> Architectures:
        """At most `count` random architectures that are not among the known ones."""

    def measure(self, stage: str, architectures: Architectures) -> Stage:
        """Latencies in launches of their own; what an interrupted run measured of a stage is not measured again."""

    def close(self) -> None:
        """Forgets what an interruption would have to be continued from."""


class DeviceTarget:
    """A device; each stage is a campaign. Its session lies in `folder`, and raw samples are kept beside `output`.

    `decisive` is what must agree for a run to be continued. Raises UsageError when an unfinished one is in the way.
    """

    held_out = 3

    def __init__(
        self,
        bench: Bench,
        space: Space,
        output: Path,
        folder: Path,
        decisive: Mapping[str, str],
        resume: bool,
        on_progress: Callable[[Progress], None],
    ) -> None:
        if folder.exists() and not resume:
            raise in_the_way(folder)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        self.name = target_name(bench.target)
        self.origin = Origin(space.name, bench.target, bench.record, bench.options.preset, created)
        self._bench = bench
        self._space = space
        self._output = output
        self._folder = folder
        self._decisive = decisive
        self._on_progress = on_progress

    @property
    def notes(self) -> tuple[str, ...]:
        return self._bench.device.notes

    def can_measure(self, architectures: Architectures) -> NDArray[np.bool_]:
        return np.ones(len(architectures), bool)

    def others(self, known: Architectures, count: int, seed: int) -> Architectures:
        return _random_others(self._space, known, count, seed)

    def measure(self, stage: str, architectures: Architectures) -> Stage:
        """Raises Incomparable when the device is an emulated one, UsageError for other settings than the run was begun
        with, and what measuring raises."""
        path = self._folder / f"{stage}.json"
        settings = {**self._decisive, "architectures": sha256(architectures.tobytes())}
        if path.exists():
            kept = files.load(path, KIND, VERSION, _Measured)
            require_settings(self._folder, kept.settings, settings)
            found = kept.stage
        else:
            found = self._measured(stage, architectures, settings, path)
        if any(EMULATED in network.flags for network in found.networks):
            self.close()
            raise Incomparable(f"{self._bench.device.name} is emulated: its times are no latencies.")
        return found

    def close(self) -> None:
        Session(self._folder, ()).remove()

    def _measured(self, stage: str, architectures: Architectures, settings: dict[str, str], path: Path) -> Stage:
        begin = time.monotonic()

        def finish(campaign: Campaign, session: Session) -> Stage:
            samples = write_samples(self._output.with_name(f"{self._output.stem}.{stage}.json"), session)
            seconds = time.monotonic() - begin
            found = msgspec.structs.replace(_stage(architectures, campaign), samples=samples, seconds=seconds)
            files.save(path, KIND, VERSION, _Measured(settings, found))
            return found

        folder = self._folder / stage
        return measure(
            self._bench, self._space, architectures, folder, settings, finish,
            resume=folder.exists(), on_progress=self._on_progress,
        )  # fmt: skip


class FileTarget:
    """A column of a matrix, or a table whose sums stand for networks. Raises DataError for a predictor."""

    origin: None = None
    notes: tuple[str, ...] = ()
    held_out = 1000

    def __init__(self, opened: Opened, space: Space) -> None:
        if isinstance(opened.content, Predictor):
            raise DataError(f"{opened.path} is a predictor, and no target.")
        self.name = opened.name
        self._space = space
        self._source = opened.source(space)
        self._known: Architectures | None = None
        if isinstance(opened.content, LatencyMatrix):
            finite = np.isfinite(opened.content.column(str(opened.column)))
            self._known = space.check(opened.content.encoded[finite].astype(np.int64))

    def can_measure(self, architectures: Architectures) -> NDArray[np.bool_]:
        if self._known is None:
            return np.ones(len(architectures), bool)
        return _among(architectures, self._known)

    def others(self, known: Architectures, count: int, seed: int) -> Architectures:
        if self._known is None:
            return _random_others(self._space, known, count, seed)
        own = np.random.default_rng(seed).permutation(self._known)
        return own[~_among(own, known)][:count]

    def measure(self, stage: str, architectures: Architectures) -> Stage:
        values = self._source.predict(architectures).mean_us.tolist()
        rows = _rows(architectures)
        return Stage(tuple(Network(row, value) for row, value in zip(rows, values, strict=True)))

    def close(self) -> None:
        pass


def same_target(one: Target, other: Target) -> bool:
    """Whether a table of one says of the other what is to be predicted."""
    return all(getattr(one, field) == getattr(other, field) for field in _SAME)


def _stage(architectures: Architectures, campaign: Campaign) -> Stage:
    found, rows = campaign.estimates.measurements, _rows(architectures)
    networks, failures = [], []
    for number, row in enumerate(rows):
        one = found.get(f"network-{number}")
        if one is None:
            failures.append(campaign.samples.failures.get(f"network-{number}", "no visit"))
        else:
            deviation = own_deviation(one, campaign.estimates.spread)
            networks.append(Network(row, one.value_us, one.lower_us, one.upper_us, one.flags, deviation))
    return Stage(tuple(networks), tuple(failures))


def _random_others(space: Space, known: Architectures, count: int, seed: int) -> Architectures:
    drawn = distinct(space, count + len(known), seed)
    return drawn[~_among(drawn, known)][:count]


def _among(architectures: Architectures, known: Architectures) -> NDArray[np.bool_]:
    rows = set(_rows(known))
    return np.array([row in rows for row in _rows(architectures)], bool)


def _rows(architectures: Architectures) -> tuple[Choices, ...]:
    return tuple(tuple(row) for row in architectures.tolist())
