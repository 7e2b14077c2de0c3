"""Whole networks of one target: measured without a table, or read from whatever file holds some."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench import files
from hwbench.devices import Device, LocalDevice
from hwbench.errors import DataError, Incomparable, RunnerError
from hwbench.files import sha256
from hwbench.measure.campaign import Campaign, Progress
from hwbench.measure.session import Session
from hwbench.measure.statistics import Floats
from hwbench.records import EMULATED, DeviceRecord, Target
from hwbench.spaces.space import Architectures, Space
from hwbench.tables import matrix, opening
from hwbench.tables.lookup import LaunchRecord, SamplesFile, default_name
from hwbench.transfer import predictor_file
from hwbench.workflows import verify as verifying
from hwbench.workflows.networks import bench_for, measure
from hwbench.workflows.profile import DEFAULT_FOLDER, launch_records, session_folder, write_samples
from hwbench.workflows.settings import MeasureOptions

KIND = "networks"
VERSION = 1


class MeasuredNetwork(msgspec.Struct, frozen=True):
    """One architecture, measured as a whole."""

    architecture: tuple[int, ...]
    measured_us: float
    lower_us: float
    upper_us: float
    flags: tuple[str, ...]


class TargetNetworks(msgspec.Struct, frozen=True):
    """Networks of a space on one target; `failed` says why others gave no latency, by place."""

    space: str
    target: Target
    device: DeviceRecord
    preset: str
    networks: tuple[MeasuredNetwork, ...]
    failed: dict[int, str]
    launches: tuple[LaunchRecord, ...]
    seconds: float
    samples: SamplesFile | None = None


class Networks(msgspec.Struct, frozen=True):
    """Whole networks, architectures (n, positions), and what was measured of them (n,)."""

    architectures: NDArray[np.uint8]
    measured_us: Floats


def measure_networks(
    space: Space,
    architectures: Architectures,
    output: Path | None = None,
    *,
    device: Device | None = None,
    options: MeasureOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """The file of networks measured with random weights; a session beside it holds them until it is written.

    Without `output` it lies in hwbench-results/<device>/.
    Raises UsageError when a file or an unfinished session is in the way, RunnerError when none could be measured, and
    as `profile` does.
    """
    bench = bench_for(device or LocalDevice(), options or MeasureOptions())
    name = default_name(space.name, bench.target).removesuffix(".json") + ".networks.json"
    path = output or DEFAULT_FOLDER / bench.record.id / name
    folder = session_folder(path, resume, overwrite)

    def finish(campaign: Campaign, session: Session) -> Path:
        found = campaign.estimates.measurements
        names = [f"network-{number}" for number in range(len(architectures))]
        networks = tuple(
            MeasuredNetwork(
                tuple(architecture.tolist()),
                found[name].value_us,
                found[name].lower_us,
                found[name].upper_us,
                found[name].flags,
            )
            for name, architecture in zip(names, architectures, strict=True)
            if name in found
        )
        failures = campaign.samples.failures
        failed = {n: failures.get(name, "not measured") for n, name in enumerate(names) if name not in found}
        if not networks:
            raise RunnerError(f"None of {len(names)} networks could be measured: {failed[0]}.")
        result = TargetNetworks(
            space.name, bench.target, bench.record, bench.options.preset, networks, failed, launch_records(campaign),
            campaign.seconds, write_samples(path, session),
        )  # fmt: skip
        files.save(path, KIND, VERSION, result)
        return path

    decisive = {
        "space": space.name,
        "architectures": sha256(architectures.tobytes()),
        "device": bench.target.device_id,
        **{name: str(getattr(bench.options, name)) for name in bench.options.__struct_fields__},
    }
    return measure(bench, space, architectures, folder, decisive, finish, resume=resume, on_progress=on_progress)


def load(path: Path) -> TargetNetworks:
    """Raises DataError, CorruptFile or SchemaTooNew naming the file."""
    return files.load(path, KIND, VERSION, TargetNetworks)


def read_networks(path: Path, space: Space) -> Networks:
    """Networks of a target, of a verification, of an adaptation, or of a matrix of one target.

    Raises DataError for others, Incomparable for those of another space or of an emulated device.
    """
    match files.kind_of(path):
        case verifying.KIND:
            return _networks(verifying.load_verification(path).networks, path, space)
        case matrix.KIND:
            return _of_matrix(path, space)
        case opening.PREDICTOR:
            return _of_predictor(path, space)
        case kind if kind == KIND:
            found = load(path)
            _check_space(path, found.space, space)
            return _networks(found.networks, path, space)
        case _:
            raise DataError(
                f"{path} holds no whole networks.",
                hint="Give a file that `table verify`, `proxy --count` or `adapt` wrote, or a matrix of one target.",
            )


def _networks(
    networks: tuple[MeasuredNetwork, ...] | tuple[verifying.Verified, ...], path: Path, space: Space
) -> Networks:
    if any(EMULATED in network.flags for network in networks):
        raise Incomparable(f"{path} was measured on an emulated device.", hint="Use results of real devices.")
    return Networks(
        space.check([network.architecture for network in networks]),
        np.array([network.measured_us for network in networks]),
    )


def _of_predictor(path: Path, space: Space) -> Networks:
    found = predictor_file.load(path)
    _check_space(path, found.space, space)
    networks = (*found.measured, *(one.network for one in found.held_out))
    return Networks(
        space.check([network.architecture for network in networks]),
        np.array([network.latency_us for network in networks]),
    )


def _check_space(path: Path, own: str, space: Space) -> None:
    if own != space.name:
        raise Incomparable(f"{path} holds networks of {own}, not of {space.name}.")


def _of_matrix(path: Path, space: Space) -> Networks:
    found = matrix.load(path)
    if len(found.columns) != 1 or found.space != space.name or found.metric != "latency_us":
        raise DataError(f"{path} is not a matrix of latencies of one target and of {space.name}.")
    known = np.isfinite(found.values[:, 0])
    return Networks(space.check(found.encoded[known].astype(np.int64)), found.values[known, 0])
