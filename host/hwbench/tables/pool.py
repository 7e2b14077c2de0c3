"""The pool: tables that came with hwbench, listed and found by name.

They lie as `<device>/<space>--<target>.json` in the package or in a checkout's `lookup_tables`. The variable
HWBENCH_POOL names another folder of that form, such as `hwbench-results`.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import msgspec

from hwbench import files, spaces
from hwbench.errors import DataError
from hwbench.records import DeviceRecord, Target
from hwbench.tables import lookup
from hwbench.tables.lookup import Additivity

VARIABLE = "HWBENCH_POOL"

_PACKAGE = Path(__file__).parents[1]
_PACKAGED = _PACKAGE / "_lookup_tables"
_CHECKOUT = _PACKAGE.parents[1] / "lookup_tables"
_SEPARATOR = "--"
_NEAR = 3


class PoolTable(msgspec.Struct, frozen=True):
    """A table of the pool. `additivity`: how far sums of its rows were from whole networks; None: never verified."""

    name: str
    path: Path
    space: str
    target: Target
    cpu_model: str
    created_at: str
    additivity: Additivity | None


class _Head(msgspec.Struct, frozen=True):
    """What a listing needs of a table; its rows are checked against the hash and not decoded."""

    space: str
    target: Target
    device: DeviceRecord
    created_at: str
    additivity: Additivity | None = None


def folder() -> Path:
    """Where the pool lies; the folder may not exist."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    return _PACKAGED if _PACKAGED.exists() else _CHECKOUT


def paths(where: Path | None = None) -> dict[str, Path]:
    """The tables of the pool by name, from the names of their files alone.

    A name is the part of the file's name that says the target (`litert-xnnpack-int8-t1`, batch 1 left out), behind the
    space unless that is the default one, and behind the device where several have a table of that name.
    """
    found = sorted((where or folder()).glob(f"*/*{_SEPARATOR}*.json"))
    tables = [path for path in found if files.kind_of(path) == lookup.KIND]
    short = [_short(path) for path in tables]
    return {
        name if short.count(name) == 1 else f"{path.parent.name}/{name}": path
        for name, path in zip(short, tables, strict=True)
    }


def tables(
    *, space: str | None = None, device: str | None = None, engine: str | None = None, where: Path | None = None
) -> tuple[PoolTable, ...]:
    """The tables of one space, device id and engine, or of all. Raises CorruptFile or SchemaTooNew naming a file."""
    wanted = None if space is None else spaces.get(space).name
    opened = (_opened(name, path) for name, path in paths(where).items())
    return tuple(
        one
        for one in opened
        if wanted in (None, one.space)
        and device in (None, one.target.device_id)
        and engine in (None, one.target.engine.name)
    )


def of_space(space: str | None = None) -> tuple[Path, ...]:
    """The files of all tables of a space, by default of the default one."""
    return tuple(one.path for one in tables(space=space or spaces.DEFAULT))


def resolve(text: str | Path, where: Path | None = None) -> Path:
    """A path that exists as it is; else the table of the pool with that name, file name, or either behind its device.

    Raises DataError for a name that no table has, with those near it, or that several have.
    """
    # Unlike Path.exists, this has an answer for names that no file system takes.
    if os.path.exists(text):
        return Path(text)
    known = paths(where)
    wanted = str(text)
    found = [name for name, path in known.items() if wanted in _aliases(name, path)]
    if len(found) == 1:
        return known[found[0]]
    if found:
        raise DataError(f"{len(found)} tables of the pool are called {wanted}.", hint=f"Say {' or '.join(found)}.")
    near = difflib.get_close_matches(wanted, known, _NEAR, cutoff=0.5)
    raise DataError(
        f"{wanted} is no file, and the pool has no table of that name.",
        hint=f"Near it are {', '.join(near)}." if near else "`hwbench table pool` lists what there is.",
    )


def _short(path: Path) -> str:
    space, _, target = path.stem.partition(_SEPARATOR)
    short = target.replace("-b1-", "-")
    return short if space == spaces.DEFAULT else f"{space}{_SEPARATOR}{short}"


def _aliases(name: str, path: Path) -> set[str]:
    own = {name, _short(path), path.stem, path.name}
    return own | {f"{path.parent.name}/{one}" for one in own}


def _opened(name: str, path: Path) -> PoolTable:
    head = files.load(path, lookup.KIND, lookup.VERSION, _Head, lookup.UPGRADES)
    return PoolTable(name, path, head.space, head.target, head.device.cpu_model, head.created_at, head.additivity)
