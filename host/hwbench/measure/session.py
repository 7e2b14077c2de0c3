"""The journal of a session: what was planned, launch by launch, so that an interrupted run goes on where it stopped.

A session is a folder: `journal.jsonl` (append-only), `models/`, and `launch-N.plan.json`,
`launch-N.results.jsonl` per launch. A torn last line of the journal is dropped.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from hwbench.errors import CorruptFile, DeviceError, UsageError
from hwbench.files import read
from hwbench.measure.plan import Plan
from hwbench.measure.results import LaunchResult, read_results

JOURNAL_SCHEMA = "hwbench.journal/1"


class Opening(msgspec.Struct, frozen=True, tag="opening"):
    """The first line: a digest of everything that decides what is measured, in words for the error message."""

    schema: str
    settings: dict[str, str]


class Planned(msgspec.Struct, frozen=True, tag="planned"):
    launch: int
    cores: tuple[int, ...]
    jobs: dict[str, int]


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """`redone`: its samples are kept and not used, since it was done again."""

    launch: int
    status: str
    flags: tuple[str, ...] = ()
    redone: bool = False


_Line = Opening | Planned | Ended
_decoder = msgspec.json.Decoder(_Line)


class Session:
    """A folder that holds one measurement in progress; `launches` are those begun so far, `ends` those ended."""

    def __init__(self, folder: Path, lines: tuple[_Line, ...]) -> None:
        self.folder = folder
        self.launches = [line for line in lines if isinstance(line, Planned)]
        self.ends = {line.launch: line for line in lines if isinstance(line, Ended)}

    @classmethod
    def open(cls, folder: Path, settings: dict[str, str], resume: bool) -> Session:
        """A new session, or with `resume` the one that lies in the folder.

        Raises UsageError when an unfinished one is in the way, or the one to resume was begun with other settings.
        """
        journal = folder / "journal.jsonl"
        lines: tuple[_Line, ...] = ()
        if journal.exists():
            _drop_torn_line(journal)
            lines = _read_journal(journal)
        if not lines:
            _start(folder)
            session = cls(folder, ())
            session._append(Opening(JOURNAL_SCHEMA, settings))
            return session
        if not resume:
            raise in_the_way(folder)
        opening = lines[0]
        if not isinstance(opening, Opening) or opening.schema != JOURNAL_SCHEMA:
            raise CorruptFile(f"{journal} is not a journal of this version.", hint="Add --overwrite to begin anew.")
        require_settings(folder, opening.settings, settings)
        return cls(folder, lines)

    def plan_path(self, launch: int) -> Path:
        return self.folder / f"launch-{launch}.plan.json"

    def results_path(self, launch: int) -> Path:
        return self.folder / f"launch-{launch}.results.jsonl"

    def begin(self, plan: Plan) -> None:
        """Writes the plan and journals it; from here on its result file counts."""
        launch = Planned(plan.launch, plan.cores, plan.rounds)
        try:
            self.plan_path(plan.launch).write_bytes(msgspec.json.encode(plan))
        except OSError as error:
            raise _full(self.folder, error) from error
        self._append(launch)
        self.launches.append(launch)

    def probe(self, plan: Plan) -> Path:
        """Writes a plan whose results count for nothing but the question whether the machine is quiet."""
        path = self.folder / "probe.json"
        try:
            path.write_bytes(msgspec.json.encode(plan))
        except OSError as error:
            raise _full(self.folder, error) from error
        return path

    def end(self, launch: int, status: str, flags: tuple[str, ...] = (), redone: bool = False) -> None:
        line = Ended(launch, status, flags, redone)
        self._append(line)
        self.ends[launch] = line

    @property
    def unfinished(self) -> list[Planned]:
        """Launches whose end was not seen."""
        return [planned for planned in self.launches if planned.launch not in self.ends]

    @property
    def redone(self) -> int:
        """How many launches were done again."""
        return sum(line.redone for line in self.ends.values())

    @property
    def flags(self) -> list[tuple[str, ...]]:
        """The flags of each launch that counts, in the order of `results`."""
        return [self.ends[planned.launch].flags if planned.launch in self.ends else () for planned in self._counting]

    def results(self) -> list[LaunchResult]:
        """What every launch that counts has brought, whole lines of broken ones included."""
        return [
            read_results(self.results_path(planned.launch), planned.launch, planned.jobs) for planned in self._counting
        ]

    @property
    def _counting(self) -> list[Planned]:
        return [
            planned
            for planned in self.launches
            if not (planned.launch in self.ends and self.ends[planned.launch].redone)
        ]

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _append(self, line: _Line) -> None:
        try:
            with (self.folder / "journal.jsonl").open("ab") as file:
                file.write(msgspec.json.encode(line) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _full(self.folder, error) from error


def in_the_way(folder: Path) -> UsageError:
    """What to say of an unfinished run that nobody asked for."""
    return UsageError(
        f"An unfinished run lies in {folder}.", hint="Add --resume to continue it, or --overwrite to begin anew."
    )


def require_settings(folder: Path, begun: Mapping[str, str], asked: Mapping[str, str]) -> None:
    """Raises UsageError naming every setting in which a run differs from what it was begun with."""
    differing = sorted(name for name in begun.keys() | asked.keys() if begun.get(name) != asked.get(name))
    if differing:
        described = "; ".join(f"{name} was {begun.get(name)}, is {asked.get(name)}" for name in differing)
        raise UsageError(
            f"The run in {folder} cannot be continued with other settings: {described}.",
            hint="Use the settings it was begun with, or --overwrite.",
        )


def _start(folder: Path) -> None:
    try:
        (folder / "models").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _full(folder, error) from error


def _full(folder: Path, error: OSError) -> DeviceError:
    return DeviceError(
        f"{folder} cannot be written: {error.strerror}.",
        hint="What was measured is kept; free some space and add --resume.",
    )


def _drop_torn_line(journal: Path) -> None:
    """What is appended must not stand behind half a line."""
    try:
        os.truncate(journal, read(journal).rfind(b"\n") + 1)
    except OSError as error:
        raise _full(journal.parent, error) from error


def _read_journal(path: Path) -> tuple[_Line, ...]:
    *whole, _torn = read(path).split(b"\n")
    try:
        return tuple(_decoder.decode(line) for line in whole)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{path} is damaged: {error}.", hint="Add --overwrite to begin anew.") from error
