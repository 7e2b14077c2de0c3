"""A predictor for a new target: few networks measured on it, and a pool of targets whose latencies are known."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from hwbench.devices import Device, LocalDevice
from hwbench.errors import DataError, UsageError
from hwbench.files import sha256
from hwbench.measure.campaign import Progress
from hwbench.spaces.space import Architectures
from hwbench.tables.lookup import LookupTable, default_name
from hwbench.tables.matrix import LatencyMatrix
from hwbench.tables.opening import AnyTable
from hwbench.tables.pool import of_space, resolve
from hwbench.transfer import predictor_file
from hwbench.transfer.predictor_file import Network, Predictor
from hwbench.workflows.adapting.checks import check, fit
from hwbench.workflows.adapting.methods import FEWEST, METHODS, Method
from hwbench.workflows.adapting.pool import Pool, open_pool
from hwbench.workflows.adapting.targets import AdaptationTarget, DeviceTarget, FileTarget, same_target
from hwbench.workflows.networks import Bench, bench_for
from hwbench.workflows.profile import DEFAULT_FOLDER, decisive, session_folder
from hwbench.workflows.settings import MeasureOptions
from hwbench.workflows.sources import Opened, open_file

# Networks of the fit that are measured again beside those held out.
_REPEATS = 2
_OTHERS_SEED = 1


class Seconds(msgspec.Struct, frozen=True):
    """What went into learning from the pool, and into measuring and fitting."""

    meta: float
    adapt: float


class AdaptResult(msgspec.Struct, frozen=True):
    """The predictor and where it lies. `left_out` are targets of the pool that are the one to be predicted."""

    predictor: Predictor
    path: Path
    left_out: tuple[str, ...]
    seconds: Seconds


def adapt(
    pool: Sequence[str | Path] = (),
    *,
    method: Method = "gp",
    device: Device | None = None,
    target: str | None = None,
    options: MeasureOptions | None = None,
    space: str | None = None,
    samples: int = 10,
    held_out: int | None = None,
    output: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> AdaptResult:
    """Measures `samples` networks, fits a predictor, checks it on others in launches of their own, and writes it.

    `pool` are files of tables and matrices of one space, or names of tables that came with hwbench; without any it is
    all of these that are of the space. `target` is a file that plays the device, for trying: a table,
    or a matrix as `FILE:COLUMN`, whose other columns are the pool where none is given. HELP measures its references
    besides. `held_out` networks say how good the predictor is; None: 3 on a device, up to 1000 of a file. By default it
    is written to hwbench-results/<device>/; with `resume` an interrupted run goes on.
    Raises UsageError, DataError or MissingRows for what cannot be used, Incomparable for emulated results, and what
    `profile` raises.
    """
    begin = time.monotonic()
    if samples < FEWEST:
        raise UsageError(
            f"{samples} networks are too few to fit a predictor and to check it.", hint=f"Take {FEWEST} or more."
        )
    if target is not None and (device is not None or options is not None):
        raise UsageError("A file that plays the target is not measured.", hint="Give either a target file or a device.")
    files = tuple(map(resolve, pool))
    aim: AdaptationTarget
    if target is not None:
        opened = open_file(target)
        known = _pool_of_file(files, opened, space)
        path = output or DEFAULT_FOLDER / f"{opened.name}.predictor.json"
        session_folder(path, resume, overwrite)
        aim = FileTarget(opened, known.space)
    else:
        bench = bench_for(device or LocalDevice(), options or MeasureOptions())
        known = open_pool(
            files or of_space(space),
            space,
            lambda _, one: isinstance(one, LookupTable) and same_target(one.target, bench.target),
        )
        name = default_name(known.space.name, bench.target).removesuffix(".json")
        path = output or DEFAULT_FOLDER / bench.record.id / f"{name}.predictor.json"
        folder = session_folder(path, resume, overwrite)
        agreed = _agreed(known, bench, method, samples, held_out)
        aim = DeviceTarget(bench, known.space, path, folder, agreed, resume, on_progress)
    candidates = np.flatnonzero(known.complete & aim.can_measure(known.architectures))
    if len(candidates) < 2 * samples:
        raise DataError(f"Pool and target share {len(candidates)} architectures, too few to choose {samples} among.")
    adaptation = METHODS[method](known, candidates)
    picked = np.concatenate([adaptation.references, adaptation.pick(samples)])
    learned = time.monotonic()
    archs = known.architectures[picked]
    first = aim.measure("fitted", archs)
    found = fit(known, aim, adaptation, picked, first)
    second = aim.measure("held-out", _held_out(aim, archs, found.predictor.picked, held_out))
    predictor = check(found, known.space, second)
    predictor_file.save(predictor, path)
    aim.close()
    return AdaptResult(predictor, path, known.left_out, Seconds(learned - begin, time.monotonic() - learned))


def _pool_of_file(paths: Sequence[Path], opened: Opened, space: str | None) -> Pool:
    """The pool of a target in a file: without files the other columns of a matrix, else what came with hwbench."""
    if not paths:
        own = isinstance(opened.content, LatencyMatrix)
        paths = (opened.path,) if own else of_space(space or opened.content.space)

    def is_target(path: Path, one: AnyTable | str) -> bool:
        same_file = path.resolve() == opened.path.resolve()
        return same_file and (opened.column is None or one == opened.column)

    return open_pool(paths, space or opened.content.space, is_target)


def _agreed(pool: Pool, bench: Bench, method: Method, samples: int, held_out: int | None) -> dict[str, str]:
    """Everything that must agree for a run to be continued, in words."""
    return {
        **decisive(pool.space.name, bench.target, bench.record, bench.options),
        "method": method,
        "samples": str(samples),
        "held-out networks": str(held_out),
        "pool": sha256(msgspec.json.encode(pool.matrix)),
    }


def _held_out(
    aim: AdaptationTarget, known: Architectures, fitted: Sequence[Network], count: int | None
) -> Architectures:
    """What to check on: networks that had no part in the fit, and on a device a few that had."""
    others = aim.others(known, aim.held_out if count is None else count, _OTHERS_SEED)
    if aim.origin is None:
        return others
    return np.concatenate([others, [network.architecture for network in fitted[:_REPEATS]]]).astype(np.uint8)
