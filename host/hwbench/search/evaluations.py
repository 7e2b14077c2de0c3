"""Scores of architectures that cost something to find: each evaluated once, in parallel, and kept for a later run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import CorruptFile, DeviceError, HwbenchError, UsageError
from hwbench.files import read
from hwbench.search.quantities import Quantity
from hwbench.spaces.space import Architectures

Floats: TypeAlias = NDArray[np.float64]

SCHEMA = "hwbench.evaluations/1"


class Opening(msgspec.Struct, frozen=True, tag="opening"):
    """The first line of a journal: everything that decides which architectures are evaluated, in words."""

    schema: str
    settings: dict[str, str]


class Evaluated(msgspec.Struct, frozen=True, tag="evaluated"):
    architecture: tuple[Annotated[int, msgspec.Meta(ge=0, le=255)], ...]
    score: float


_decoder = msgspec.json.Decoder(Opening | Evaluated)


class Evaluations:
    """The scores so far, by architecture in the order of their evaluation.

    With an executor (`concurrent.futures`: processes of this computer, or of a cluster) each architecture is a task of
    its own; the results, and so the search, are the same. With a path every score is appended to a journal at once.
    A search whose journal is resumed is repeated from its seed and finds its scores there, so it ends as if it had
    never been interrupted.
    """

    def __init__(self, score: Quantity, executor: Executor | None = None) -> None:
        self.scores: dict[bytes, float] = {}
        self._score = score
        self._executor = executor
        self._path: Path | None = None

    def keep(self, path: Path, settings: Mapping[str, str], resume: bool) -> None:
        """Journals into `path`; with `resume` takes over what lies there.

        Raises UsageError when a journal is in the way or was begun with other settings, CorruptFile.
        """
        self._path = path
        begun = _line(Opening(SCHEMA, dict(settings)))
        if not path.exists() or begun.startswith(read(path)):
            self._write("wb", begun)
            return
        if not resume:
            raise UsageError(f"{path} holds a search already.", hint="Continue it, or choose another journal.")
        opening, known, whole = _read(path)
        differing = sorted(
            name
            for name in settings.keys() | opening.settings.keys()
            if settings.get(name) != opening.settings.get(name)
        )
        if differing:
            described = "; ".join(f"{n} was {opening.settings.get(n)}, is {settings.get(n)}" for n in differing)
            raise UsageError(
                f"The search in {path} cannot be continued with other settings: {described}.",
                hint="Use the settings it was begun with, or another journal.",
            )
        # A torn last line would swallow the next one.
        os.truncate(path, whole)
        self.scores = {bytes(one.architecture): one.score for one in known}

    def of(self, architectures: Architectures) -> Floats:
        """The scores, shape (n,); those not known are evaluated. Raises HwbenchError when a process dies."""
        rows = [row.tobytes() for row in architectures]
        new = [key for key in dict.fromkeys(rows) if key not in self.scores]
        parts = [new] if self._executor is None else [[key] for key in new]
        if new:
            self._evaluate(parts)
        return np.array([self.scores[row] for row in rows])

    def _evaluate(self, parts: Sequence[Sequence[bytes]]) -> None:
        archs = [np.array([list(key) for key in part], np.uint8) for part in parts]
        results = map(self._score.of, archs) if self._executor is None else self._executor.map(self._score.of, archs)
        try:
            for part, values in zip(parts, results, strict=True):
                self._take(part, values)
        except BrokenExecutor as error:
            raise HwbenchError(f"A process that evaluated {self._score.name} died: {error}.") from error

    def _take(self, part: Sequence[bytes], values: Floats) -> None:
        self.scores |= zip(part, values.tolist(), strict=True)
        self._write("ab", b"".join(_line(Evaluated(tuple(key), self.scores[key])) for key in part))

    def _write(self, mode: Literal["ab", "wb"], lines: bytes) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open(mode) as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DeviceError(
                f"{self._path} cannot be written: {error.strerror}.",
                hint="What was evaluated is kept; free some space and continue.",
            ) from error


def _line(one: Opening | Evaluated) -> bytes:
    return msgspec.json.encode(one) + b"\n"


def _read(path: Path) -> tuple[Opening, list[Evaluated], int]:
    """The opening, the whole lines after it, and how many bytes they take."""
    data = read(path)
    *lines, torn = data.split(b"\n")
    try:
        opening, *rest = (_decoder.decode(line) for line in lines)
        known = [one for one in rest if isinstance(one, Evaluated)]
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise CorruptFile(f"{path} is damaged: {error}.", hint="Choose another journal.") from error
    if not isinstance(opening, Opening) or opening.schema != SCHEMA or len(known) != len(rest):
        raise CorruptFile(f"{path} is not a journal of this version.", hint="Choose another journal.")
    return opening, known, len(data) - len(torn)
