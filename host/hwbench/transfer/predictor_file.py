"""Predictors as files: what was measured on a target, and all that is needed to predict every other architecture.

The pool's files are not needed again. Nothing in such a file is executed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from hwbench import files, spaces
from hwbench.errors import CorruptFile, HwbenchError
from hwbench.files import Upgrade
from hwbench.records import DeviceRecord, Target
from hwbench.spaces.space import Architectures
from hwbench.tables.lookup import SamplesFile
from hwbench.tables.matrix import LatencyMatrix
from hwbench.tables.opening import PREDICTOR

VERSION = 1
UPGRADES: dict[int, Upgrade] = {}

# Of sums of blocks, or of whole networks.
ColumnKind: TypeAlias = Literal["sums", "networks"]
Choices: TypeAlias = tuple[Annotated[int, Meta(ge=0, le=255)], ...]
Microseconds: TypeAlias = Annotated[float, Meta(gt=0, lt=1e12)]
Share: TypeAlias = Annotated[float, Meta(ge=0, lt=1e3)]


class Network(msgspec.Struct, frozen=True):
    """A whole network on the target. Bounds are of a new run, None where nothing is known of the noise.

    `deviation` is the relative standard deviation from run to run that the network does not share with others.
    """

    architecture: Choices
    latency_us: Microseconds
    lower_us: Microseconds | None = None
    upper_us: Microseconds | None = None
    flags: tuple[str, ...] = ()
    deviation: Share | None = None


class HeldOut(msgspec.Struct, frozen=True):
    """A network that had no part in the fit, measured in launches of its own. The interval is the 95 % one."""

    network: Network
    predicted_us: float
    lower_us: float
    upper_us: float


class Repeat(msgspec.Struct, frozen=True):
    """A network of the fit, measured once more beside those held out."""

    architecture: Choices
    first_us: Microseconds
    again_us: Microseconds


class Agreed(msgspec.Struct, frozen=True):
    """Spearman of predicted and measured over `n` architectures with its 95 % interval.

    `left_out` of them are those of the fit, each predicted without itself; the others were held out.
    """

    n: int
    left_out: int
    spearman: float
    lower: float
    upper: float


class Prospect(msgspec.Struct, frozen=True):
    """Expected Spearman with the target over the space: now, and after the `more` measurements that would pay."""

    now: float
    more: int
    then: float


class Origin(msgspec.Struct, frozen=True):
    """Where networks were measured, as a table says it of its blocks."""

    space: str
    target: Target
    device: DeviceRecord
    preset: str
    created_at: str


class PoolColumn(msgspec.Struct, frozen=True):
    name: str
    file: str
    kind: ColumnKind


class GaussianProcess(msgspec.Struct, frozen=True, tag="gp"):
    """The default predictor. Its prior is made of the pool's columns when the file is opened."""

    pool: LatencyMatrix


class AdaptedProxy(msgspec.Struct, frozen=True, tag="adaproxy"):
    """A sum: `fixed_us`, and per position what each choice adds. `accepted`: the proxy was bent, not only scaled.

    `half_width` is that of a 95 % interval, relative to the prediction.
    """

    proxy: str
    accepted: bool
    fixed_us: Annotated[float, Meta(gt=-1e12, lt=1e12)]
    offered_us: tuple[tuple[Annotated[float, Meta(gt=-1e12, lt=1e12)], ...], ...]
    half_width: Share


class MetaLearned(msgspec.Struct, frozen=True, tag="help"):
    """HELP: the trained state as safetensors; the first `references` of the networks are its reference ones."""

    trained: bytes
    references: Annotated[int, Meta(ge=0, le=10_000)]
    half_width: Share


Model: TypeAlias = GaussianProcess | AdaptedProxy | MetaLearned


class Counted(msgspec.Struct, frozen=True):
    """How many networks were measured on the target, and what for."""

    references: int
    picked: int
    held_out: int
    repeated: int

    @property
    def total(self) -> int:
        return self.references + self.picked + self.held_out + self.repeated


class Predictor(msgspec.Struct, frozen=True):
    """A model of a target from the networks `measured`, and what is known of how good it is.

    `origin` is None where the target is a column of a file. `ceiling` is the expected Spearman of the target with its
    own second run over the space, None where its noise is not known. `seconds` is what measuring took, the writing of
    models included; None where nothing was measured.
    """

    space: str
    target: str
    model: Model
    measured: tuple[Network, ...]
    pool: tuple[PoolColumn, ...]
    hwbench_version: str
    created_at: str
    origin: Origin | None = None
    held_out: tuple[HeldOut, ...] = ()
    repeated: tuple[Repeat, ...] = ()
    agreement: Agreed | None = None
    ceiling: float | None = None
    prospect: Prospect | None = None
    samples: tuple[SamplesFile, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: Annotated[float, Meta(ge=0)] | None = None

    @property
    def metric(self) -> str:
        return "latency_us"

    @property
    def method(self) -> str:
        match self.model:
            case GaussianProcess():
                return "gp"
            case AdaptedProxy():
                return "adaproxy"
            case MetaLearned():
                return "help"

    @property
    def additive(self) -> bool:
        """Whether its predictions are sums over positions, as an exact search of a large space needs them."""
        return isinstance(self.model, AdaptedProxy)

    @property
    def counted(self) -> Counted:
        references = self.model.references if isinstance(self.model, MetaLearned) else 0
        return Counted(references, len(self.measured) - references, len(self.held_out), len(self.repeated))

    @property
    def picked(self) -> tuple[Network, ...]:
        """The networks of the fit that are no references."""
        return self.measured[self.counted.references :]

    @property
    def architectures(self) -> Architectures:
        """Those it was fitted to, shape (n, positions)."""
        return np.array([network.architecture for network in self.measured], np.uint8)

    @property
    def latencies_us(self) -> NDArray[np.float64]:
        """Shape (n,)."""
        return np.array([network.latency_us for network in self.measured])


def save(predictor: Predictor, path: Path) -> None:
    """Writes the predictor, replacing what was there. Raises DeviceError when the disk refuses."""
    files.save(path, PREDICTOR, VERSION, predictor)


def load(path: Path) -> Predictor:
    """The predictor of a file. Raises DataError, CorruptFile or SchemaTooNew naming it."""
    found = files.load(path, PREDICTOR, VERSION, Predictor, UPGRADES)
    try:
        _check(found)
    except (HwbenchError, ValueError) as error:
        raise CorruptFile(f"{path} is not a valid predictor: {error}") from error
    return found


def _check(found: Predictor) -> None:
    """Raises HwbenchError or ValueError for what contradicts the space."""
    space = spaces.get(found.space)
    if space.name != found.space or not found.measured:
        raise ValueError("it names no space or no networks.")
    space.check([network.architecture for network in found.measured])
    match found.model:
        case GaussianProcess(pool=pool):
            if pool.space != found.space or pool.metric != found.metric or not pool.columns:
                raise ValueError("its pool is of another space.")
            if (pool.encoded != pool.encoded.clip(0, 255).round()).any():
                raise ValueError("its pool has choices that are none.")
            space.check(pool.encoded.astype(np.int64))
        case AdaptedProxy(offered_us=offered):
            if [len(values) for values in offered] != space.choice_counts.tolist():
                raise ValueError(f"its weights are not those of {space.name}.")
        case MetaLearned(references=references):
            if references > len(found.measured):
                raise ValueError("it lacks reference networks.")
