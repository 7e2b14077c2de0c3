"""Which proxy for a target that was hardly measured, what to measure on it, and the fewest proxies for a fleet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench import files
from hwbench.devices import Device
from hwbench.errors import DataError, UsageError
from hwbench.measure.campaign import Progress
from hwbench.spaces import architecture_file
from hwbench.spaces.encodings import label_counts, one_hot
from hwbench.spaces.space import Architectures
from hwbench.tables import imported, lookup, opening
from hwbench.tables.flaws import Flaw
from hwbench.tables.pool import of_space, resolve
from hwbench.transfer.agreement import Agreement, Observed, agreements
from hwbench.transfer.cover import cover
from hwbench.transfer.proxy import FEWEST, Answer, Candidate, ProxyChoice, choose, to_measure
from hwbench.workflows.comparing.proxy_pool import ProxyPool, open_files, pool_of
from hwbench.workflows.settings import MeasureOptions
from hwbench.workflows.target_networks import Networks, measure_networks, read_networks

NETWORKS = 2000
# So many networks of a target tell which proxy to take; of more the most telling are used.
_MOST_USED = 100


class ChosenProxy(msgspec.Struct, frozen=True):
    """`measured` networks of the file `target` were used; `unknown` others are not among the pool's architectures.

    `answer`: the best candidate agrees, surely none does, or too few were measured; then about `more` further ones
    settle it, None: no reasonable number does.
    """

    space: str
    target: Path
    architectures: int
    measured: int
    unknown: int
    threshold: float
    candidates: tuple[Candidate, ...]
    any_probability: float
    answer: Answer
    more: int | None
    flaws: tuple[Flaw, ...]

    @property
    def exit_code(self) -> int:
        return {"yes": 0, "no": 1, "too few": 2}[self.answer]


class Telling(msgspec.Struct, frozen=True):
    """Architectures that tell most about which proxy to take; `paths` are their files, if they were written."""

    space: str
    architectures: tuple[tuple[int, ...], ...]
    labels: tuple[tuple[str, ...], ...]
    paths: tuple[Path, ...]
    flaws: tuple[Flaw, ...]


class Served(msgspec.Struct, frozen=True):
    """A target and the proxy that stands for it, itself or another; the interval is None where it is itself."""

    target: str
    proxy: str
    spearman: float
    lower: float | None
    upper: float | None


class FleetCover(msgspec.Struct, frozen=True):
    """The fewest `proxies` such that each target agrees with one; those `alone` agree with no other."""

    space: str
    architectures: int
    threshold: float
    proxies: tuple[str, ...]
    served: tuple[Served, ...]
    alone: tuple[str, ...]
    flaws: tuple[Flaw, ...]


def choose_proxy(
    pool: Sequence[Path],
    target: Path,
    *,
    networks: int = NETWORKS,
    seed: int = 0,
    space_name: str | None = None,
) -> ChosenProxy:
    """The proxies of a pool for a target, the best first.

    `pool` are tables and matrices of one space, paths or names of the pool that comes with hwbench, of which without
    any all of the space are taken; flawed columns are left out. `target` holds whole networks of the target
    (`read_networks`), or is a table of it, whose sums are then taken. Of tables alone `networks` random architectures
    stand for the space. Raises DataError, UsageError, Incomparable.
    """
    target = resolve(target)
    if not pool:
        pool = [path for path in of_space(space_name) if path.resolve() != target.resolve()]
    pool = [resolve(path) for path in pool]
    if any(path.resolve() == target.resolve() for path in pool):
        raise UsageError(f"{target} is the target and in the pool.", hint="Leave it out of the pool.")
    loaded = open_files(pool, space_name)
    if files.kind_of(target) in (lookup.KIND, imported.KIND):
        opened = pool_of(loaded, networks, seed)
        rows, latencies = _sums(opened, target, seed)
        unknown = 0
    else:
        known = read_networks(target, loaded.space)
        opened = pool_of(loaded, networks, seed, known.architectures)
        rows, latencies, unknown = _measured(opened, known, target, seed)
    found = choose(opened.targets, opened.values_us, rows, latencies, features=_features(opened), seed=seed)
    return _result(opened, target, found, unknown)


def telling_architectures(
    pool: Sequence[Path],
    count: int,
    *,
    output: Path | None = None,
    networks: int = NETWORKS,
    seed: int = 0,
    space_name: str | None = None,
    overwrite: bool = False,
) -> Telling:
    """The `count` architectures to measure on a target; written to the folder `output` as architecture files.

    Raises UsageError for fewer than are needed or when files are in the way, and as `choose_proxy` does.
    """
    opened = pool_of(open_files(pool, space_name), networks, seed)
    archs = _telling(opened, count, seed)
    space = opened.space
    paths = () if output is None else tuple(output / f"telling-{number:03d}.json" for number in range(len(archs)))
    if not overwrite and (there := [path for path in paths if path.exists()]):
        raise UsageError(f"{there[0]} exists already.", hint="Add --overwrite, or choose another folder with --output.")
    for path, arch in zip(paths, archs, strict=False):
        architecture_file.save(space, arch, path)
    chosen = tuple(tuple(arch.tolist()) for arch in archs)
    return Telling(space.name, chosen, tuple(space.describe(arch) for arch in archs), paths, opened.flaws)


def measure_target(
    pool: Sequence[Path],
    count: int,
    output: Path | None = None,
    *,
    device: Device | None = None,
    options: MeasureOptions | None = None,
    networks: int = NETWORKS,
    seed: int = 0,
    space_name: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> ChosenProxy:
    """`choose_proxy` for a device, of which the `count` most telling networks are measured.

    They are written to `output`, by default into hwbench-results/<device>/.
    Raises as `choose_proxy` and `measure_networks` do.
    """
    opened = pool_of(open_files(pool, space_name), networks, seed)
    archs = _telling(opened, count, seed)
    path = measure_networks(
        opened.space, archs, output, device=device, options=options, resume=resume, overwrite=overwrite,
        on_progress=on_progress,
    )  # fmt: skip
    return choose_proxy(pool, path, networks=networks, seed=seed, space_name=space_name)


def cover_fleet(
    pool: Sequence[Path], *, networks: int = NETWORKS, seed: int = 0, space_name: str | None = None
) -> FleetCover:
    """The fewest targets of a pool whose tables serve all others; exact. Raises as `choose_proxy` does."""
    opened = pool_of(open_files(pool, space_name), networks, seed)
    count = len(opened.targets)
    if count < 2:
        raise UsageError("There is one target alone.", hint="Give a second table, or a matrix of several targets.")
    pairs = agreements(
        [Observed(name, values) for name, values in zip(opened.targets, opened.values_us.T, strict=True)], seed=seed
    )
    known = {(one.a, one.b): one for one in pairs} | {(one.b, one.a): one for one in pairs}
    matrix = np.array([[1.0 if a == b else _spearman(known[a, b]) for b in opened.targets] for a in opened.targets])
    found = cover(opened.targets, matrix)
    served = tuple(_served(target, found.served_by[target], known) for target in opened.targets)
    return FleetCover(
        opened.space.name, len(opened.architectures), found.threshold, found.proxies, served, found.alone, opened.flaws
    )


def _served(target: str, proxy: str, known: dict[tuple[str, str], Agreement]) -> Served:
    if target == proxy:
        return Served(target, proxy, 1.0, None, None)
    pair = known[proxy, target]
    return Served(target, proxy, _spearman(pair), pair.lower, pair.upper)


def _spearman(pair: Agreement) -> float:
    return np.nan if pair.spearman is None else pair.spearman


def _telling(pool: ProxyPool, count: int, seed: int) -> Architectures:
    if count < FEWEST:
        raise UsageError(f"{count} measurements are too few to choose a proxy.", hint=f"Take {FEWEST} or more.")
    if count > len(pool.architectures):
        raise UsageError(f"The pool has {len(pool.architectures)} architectures, fewer than {count}.")
    return pool.architectures[to_measure(pool.values_us, count, seed)]


def _sums(pool: ProxyPool, target: Path, seed: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Telling rows of the pool and what the target's table predicts for them."""
    table = opening.load_table(target)
    opening.refuse_emulated(target, table)
    if table.metric != "latency_us":
        raise DataError(f"{target} holds {table.metric}, not latencies.")
    rows = to_measure(pool.values_us, min(_MOST_USED, len(pool.architectures)), seed)
    return rows, opening.source_of(table, pool.space).predict(pool.architectures[rows]).mean_us


def _measured(
    pool: ProxyPool, known: Networks, target: Path, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.float64], int]:
    """Rows of the pool that were measured on the target, what was measured, and how many networks are in no row."""
    places = pool.rows_of(known.architectures)
    latencies = {
        place: float(value) for place, value in zip(places, known.measured_us, strict=True) if place is not None
    }
    unknown = sum(place is None for place in places)
    if len(latencies) < FEWEST:
        raise DataError(
            f"{target} has {len(latencies)} networks that the pool knows; {FEWEST} are the fewest.",
            hint="Measure those that `hwbench proxy POOL... --count 10` prints.",
        )
    rows = np.array(list(latencies), np.intp)
    if len(rows) > _MOST_USED:
        rows = rows[to_measure(pool.values_us[rows], _MOST_USED, seed)]
    return rows, np.array([latencies[int(row)] for row in rows]), unknown


def _features(pool: ProxyPool) -> tuple[NDArray[np.float64], ...]:
    return one_hot(pool.space, pool.architectures), label_counts(pool.space, pool.architectures)


def _result(pool: ProxyPool, target: Path, found: ProxyChoice, unknown: int) -> ChosenProxy:
    return ChosenProxy(
        space=pool.space.name,
        target=target,
        architectures=len(pool.architectures),
        measured=found.measured,
        unknown=unknown,
        threshold=found.threshold,
        candidates=found.candidates,
        any_probability=found.any_probability,
        answer=found.answer,
        more=found.more,
        flaws=pool.flaws,
    )
