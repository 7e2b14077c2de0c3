"""What a search is asked in files and words: tables and limits as a user names them, as sources and quantities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from hwbench import spaces
from hwbench.errors import Incomparable, UsageError
from hwbench.search import limits
from hwbench.search.quantities import Count, Latency, Limit
from hwbench.spaces.space import Space
from hwbench.tables.lookup import LookupTable
from hwbench.tables.source import LatencySource
from hwbench.workflows.sources import Opened, open_file


class Inputs(msgspec.Struct, frozen=True):
    """One space, its tables with a source each, and limits; `notes` are what to know about the tables."""

    space: Space
    tables: tuple[Opened, ...]
    sources: dict[str, LatencySource]
    limits: tuple[Limit, ...]
    notes: tuple[str, ...]


def read_inputs(tables: Sequence[str], wanted: Sequence[str], space: str | None, confidence: float | None) -> Inputs:
    """The tables or predictors of paths (of a matrix also `PATH:TARGET`), and the limits on them and on counts.

    `confidence` in percent is how sure limits on latency are to hold. Raises DataError or UsageError for what cannot be
    read or is ambiguous, Incomparable for emulated results or tables of several spaces.
    """
    if confidence is not None and not 50 <= confidence < 100:
        raise UsageError(f"A confidence of {confidence} % is not between 50 and 100.")
    opened = _named([open_file(text) for text in tables])
    chosen = _space(opened, space)
    sources: dict[str, LatencySource] = {one.name: one.source(chosen) for one in opened}
    held = tuple(_limit(limits.parse(text), chosen, sources, confidence) for text in wanted)
    twice = {one.quantity.name for one in held if sum(one.quantity.name == other.quantity.name for other in held) > 1}
    if twice:
        raise UsageError(f"{', '.join(sorted(twice))} is limited twice.", hint="Give the lower limit alone.")
    unlimited = set(sources) - {one.quantity.name for one in held}
    if unlimited and held:
        raise UsageError(f"Nothing limits {', '.join(sorted(unlimited))}.", hint="Give each table a --limit NAME=60ms.")
    return Inputs(chosen, opened, sources, held, tuple(note for one in opened for note in _notes(one, confidence)))


def _named(tables: list[Opened]) -> tuple[Opened, ...]:
    """Two tables whose files have one name are told apart by their paths. Raises UsageError for one given twice."""
    names = [one.name for one in tables]
    named = [one if names.count(one.name) == 1 else msgspec.structs.replace(one, name=str(one.path)) for one in tables]
    if len({one.name for one in named}) != len(named):
        raise UsageError("A table is given twice.")
    return tuple(named)


def _space(tables: Sequence[Opened], name: str | None) -> Space:
    """The one space of all tables, or the one that was named. Raises UsageError, Incomparable."""
    named = {one.content.space: one.path for one in tables if one.content.space is not None}
    if len(named) > 1:
        described = ", ".join(f"{path} of {space}" for space, path in named.items())
        raise Incomparable(f"The tables are of different spaces: {described}.")
    wanted = name or next(iter(named), None)
    if wanted is None:
        raise UsageError("The tables do not say of which space they are.", hint="Add --space.")
    return spaces.get(wanted)


def _limit(wanted: limits.Wanted, space: Space, sources: dict[str, LatencySource], confidence: float | None) -> Limit:
    match wanted.of:
        case "macs" | "parameters":
            return Limit(Count(space, wanted.of), wanted.most)
        case "" if len(sources) != 1:
            raise UsageError(f"A limit must say of which table it is: {' or '.join(sources)}.", hint="Write NAME=60ms.")
        case "":
            name = next(iter(sources))
        case _:
            name = wanted.of if wanted.of in sources else Path(wanted.of).stem
    if name not in sources:
        raise UsageError(
            f"There is no table {wanted.of!r} to limit.", hint=f"Known are {', '.join([*sources, *limits.COUNTED])}."
        )
    return Limit(Latency(sources[name], name, None if confidence is None else confidence / 100), wanted.most)


def _notes(one: Opened, confidence: float | None) -> list[str]:
    if not isinstance(one.content, LookupTable):
        return []
    notes = []
    flagged = [row for row in one.content.rows if row.flags]
    if flagged:
        notes.append(f"{one.name}: {len(flagged)} of {len(one.content.rows)} rows are flagged.")
    if confidence is not None and one.content.additivity is None:
        notes.append(
            f"{one.name} was never verified, so its intervals leave out how far sums are from whole networks: "
            "run `hwbench table verify`."
        )
    return notes
