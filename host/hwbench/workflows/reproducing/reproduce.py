"""Published figures beside computed ones, from published data that the user has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from hwbench import files, spaces
from hwbench.errors import DataError, UsageError
from hwbench.measure.statistics import spearman
from hwbench.spaces import ofa
from hwbench.spaces.space import NamedBlock, ResolutionSpace
from hwbench.tables import formats
from hwbench.tables.formats import net_config
from hwbench.tables.formats.document import Document
from hwbench.tables.formats.published import Published, published
from hwbench.tables.imported import ImportedSource, ImportedTable
from hwbench.tables.opening import coverage_of_network

DATA_VARIABLE = "HWBENCH_DATA"

_RESOLUTIONS = (160, 192, 224)
_NOTE10 = {size: published(f"ofa/note10/{size}_lookup_table.yaml") for size in _RESOLUTIONS}
_JETSON = {size: published(f"jetson_cpu/{size}_lookup_table.json") for size in _RESOLUTIONS}
_PIXEL1 = published("proxylessnas/mobile_trim.yaml")
_TUNAS = published("proxylessnas_search_kernel.json")
_NETWORK_30MS = published("note10_lat-30ms_top1-78.4_finetune-75/net.config")
_NETWORK_79MS = published("pixel1_lat-79ms_top1-78.7_finetune-75/net.config")
_RELEASED = {name: published(f"proxyless_{name}.config") for name in ("mobile", "cpu", "gpu", "mobile_14")}
# Blocks of each released network, and of how many the Pixel 1 table lacks the key: (lacking, blocks).
_LACKING = {"mobile": (3, 23), "cpu": (23, 23), "gpu": (17, 17), "mobile_14": (23, 23)}
_SEED = 0
# The figures are of 3,000 and 5,000 random networks, which scatter by 0.01 and 0.002; so many do not.
_NETWORKS = 60_000
_OFA_WIDTH = 1.2


class Check(msgspec.Struct, frozen=True):
    """A published figure and the computed one; they agree when they differ by `tolerance` at most."""

    name: str
    unit: str
    expected: float
    tolerance: float
    computed: float

    @property
    def agrees(self) -> bool:
        return abs(self.computed - self.expected) <= self.tolerance


class AtLeast(Check, frozen=True):
    """A published figure that the computed one should reach, `tolerance` aside; more is as good."""

    @property
    def agrees(self) -> bool:
        return self.computed >= self.expected - self.tolerance


class Reproduction(msgspec.Struct, frozen=True):
    name: str
    checks: tuple[Check, ...]
    files: tuple[Published, ...]

    @property
    def agrees(self) -> bool:
        return all(check.agrees for check in self.checks)


def tables(data: Path | None = None) -> Reproduction:
    """The figures that published tables must give: sums, extremes, missing keys, rank correlations.

    Raises UsageError without a data folder, DataError naming repository, path and sha256 of each file that is missing.
    """
    needed = (
        *_NOTE10.values(), *_JETSON.values(), _PIXEL1, _TUNAS, _NETWORK_30MS, _NETWORK_79MS, *_RELEASED.values(),
    )  # fmt: skip
    folder = data_folder(data, needed)
    note10, jetson = ([_table(folder / one.local) for one in device.values()] for device in (_NOTE10, _JETSON))
    pixel1, tunas = _table(folder / _PIXEL1.local), _table(folder / _TUNAS.local)
    checks = [
        *_network_checks("Note10, its 30 ms network", note10[-1], _network(folder / _NETWORK_30MS.local), 29.97),
        *_network_checks("Note10, Pixel 1's 79 ms network", note10[-1], _network(folder / _NETWORK_79MS.local), 31.38),
        *_extremes(pixel1),
    ]
    for name, file in _RELEASED.items():
        network = _network(folder / file.local)
        lacking = sum(named.block.key not in pixel1.values() for named in network)
        missing, blocks = _LACKING[name]
        checks += [
            Check(f"Pixel 1, blocks of the released {name} network", "blocks", blocks, 0, len(network)),
            Check(f"Pixel 1, blocks of it without a key ({name})", "blocks", missing, 0, lacking),
        ]
    checks += [_note10_against_jetson(note10, jetson), _pixel1_against_tunas(pixel1, tunas)]
    return Reproduction("tables", tuple(checks), needed)


def _network_checks(
    name: str, table: ImportedTable, network: Sequence[NamedBlock], expected_ms: float
) -> tuple[Check, Check]:
    """The sum of a network's rows and how many it lacks; the sum is only of those that are there."""
    rows = table.values()
    known = [rows[named.block.key].value for named in network if named.block.key in rows]
    missing = coverage_of_network(table, network).missing
    return (
        Check(f"{name}, sum of its rows", "ms", expected_ms, 0.005, sum(known) / 1e3),
        Check(f"{name}, missing keys", "keys", 0, 0, len(missing)),
    )


def _extremes(pixel1: ImportedTable) -> tuple[Check, Check]:
    """The fastest and the slowest architecture of the space: sums of extremes, since positions are independent."""
    space = spaces.get(spaces.DEFAULT)
    rows = pixel1.values()
    fixed = sum(rows[named.block.key].value for named in space.fixed_blocks)
    offered = [
        [0.0 if block is None else rows[block.key].value for block in position.blocks] for position in space.grid
    ]
    fastest, slowest = (fixed + sum(extreme(values) for values in offered) for extreme in (min, max))
    return (
        Check("Pixel 1, fastest architecture of the space", "ms", 29.6, 0.05, fastest / 1e3),
        Check("Pixel 1, slowest architecture of the space", "ms", 191.0, 0.05, slowest / 1e3),
    )


def _note10_against_jetson(note10: Sequence[ImportedTable], jetson: Sequence[ImportedTable]) -> Check:
    """Rank correlation over random networks at random resolutions, each of which has a table of its own."""
    space = ofa.from_name(ofa.name_of(_OFA_WIDTH, _RESOLUTIONS))
    if not isinstance(space, ResolutionSpace):
        raise TypeError(space.name)
    archs = space.sample(_NETWORKS, _SEED)
    predicted = np.zeros((2, len(archs)))
    for number, chain in enumerate(space.chains):
        chosen = archs[:, 0] == number
        for device, of_device in enumerate((note10, jetson)):
            predicted[device, chosen] = ImportedSource(of_device[number], chain).predict(archs[chosen, 1:]).mean_us
    computed = spearman(predicted[0], predicted[1])
    name = "Note10 and Jetson CPU, random Once-for-all networks of 3 resolutions"
    return Check(name, "Spearman", 0.665, 0.02, computed)


def _pixel1_against_tunas(pixel1: ImportedTable, tunas: ImportedTable) -> Check:
    space = spaces.get(spaces.DEFAULT)
    archs = space.sample(_NETWORKS, _SEED)
    left, right = (ImportedSource(table, space).predict(archs).mean_us for table in (pixel1, tunas))
    name = "ProxylessNAS's and TuNAS's Pixel 1, random networks"
    return Check(name, "Spearman", 0.938, 0.01, spearman(left, right))


def _table(path: Path) -> ImportedTable:
    found = formats.read(path)
    if not isinstance(found, ImportedTable):
        raise DataError(f"{path} is not a table of blocks.")
    return found


def _network(path: Path) -> tuple[NamedBlock, ...]:
    return net_config.read(Document.open(path))


def data_folder(data: Path | None, needed: Sequence[Published]) -> Path:
    """The folder of published data, every needed file checked by its hash."""
    named = data or (Path(found) if (found := os.environ.get(DATA_VARIABLE)) else None)
    wanted = [f"{one.repository}: {one.path} (sha256 {one.sha256}) as {one.local}" for one in needed]
    if named is None:
        raise UsageError(
            f"No folder of published data is named. Expected are {'; '.join(wanted)}.",
            hint=f"Add --data DIR, or set {DATA_VARIABLE}.",
        )
    lacking = [text for text, one in zip(wanted, needed, strict=True) if not _is_there(named / one.local, one)]
    if lacking:
        raise DataError(
            f"{named} lacks {len(lacking)} of {len(needed)} files, or has them with another content: "
            f"{'; '.join(lacking)}.",
            hint="Put copies from those repositories there.",
        )
    return named


def _is_there(path: Path, expected: Published) -> bool:
    return path.is_file() and files.sha256(files.read(path)) == expected.sha256
