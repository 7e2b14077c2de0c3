"""Reading result files: whole lines are kept, a torn last one is dropped, a footer is believed only when it fits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from hwbench.errors import CorruptFile
from hwbench.files import read
from hwbench.measure.plan import FailureLine, FooterLine, LaunchLine, OutputDigest, ResultLine, VisitLine

LineT = TypeVar("LineT")

_decoder = msgspec.json.Decoder(ResultLine)


class LaunchResult(msgspec.Struct, frozen=True):
    """The whole lines of one result file. `complete` only with a footer whose count and hash fit."""

    lines: tuple[ResultLine, ...]
    complete: bool
    status: str

    def of(self, kind: type[LineT]) -> tuple[LineT, ...]:
        return tuple(line for line in self.lines if isinstance(line, kind))

    @property
    def launch(self) -> LaunchLine | None:
        return next(iter(self.of(LaunchLine)), None)

    @property
    def visits(self) -> tuple[VisitLine, ...]:
        return self.of(VisitLine)

    @property
    def failures(self) -> tuple[FailureLine, ...]:
        return self.of(FailureLine)


def read_results(path: Path, jobs: Iterable[str]) -> LaunchResult:
    """The result file of a launch that was given `jobs`; a missing file is an empty result.

    Raises CorruptFile for a whole line that is not one of the protocol or names a job that was not planned.
    """
    return parse_results(read(path) if path.exists() else b"", jobs, str(path))


def parse_results(data: bytes, jobs: Iterable[str], where: str) -> LaunchResult:
    known = set(jobs)
    lines: list[ResultLine] = []
    offset = 0
    complete, status = False, "partial"
    while (end := data.find(b"\n", offset)) >= 0:
        line = _line(data[offset:end], where, len(lines) + 1)
        if isinstance(line, FooterLine):
            fits = line.lines == len(lines) and line.sha256 == hashlib.sha256(data[:offset]).hexdigest()
            if fits and end + 1 == len(data):
                complete, status = line.status == "complete", line.status
            break
        job = getattr(line, "job", None)
        if job is not None and job not in known:
            raise CorruptFile(f"{where} has a result for {job!r}, which was not planned.")
        lines.append(line)
        offset = end + 1
    return LaunchResult(tuple(lines), complete, status)


def _line(data: bytes, where: str, number: int) -> ResultLine:
    try:
        line: ResultLine = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptFile(f"{where} has the unreadable line {number}: {error}.") from error
    if isinstance(line, VisitLine) and (
        not line.wall_ns or len(line.wall_ns) != len(line.cpu_ns) or min(line.wall_ns) <= 0
    ):
        raise CorruptFile(f"{where} has a visit without valid samples in line {number}.")
    return line


def digests_agree(ours: OutputDigest, theirs: OutputDigest, network: bool = False) -> bool:
    """Whether two runners computed the same output, within the protocol's tolerance."""
    if (ours.type, ours.size, len(ours.values)) != (theirs.type, theirs.size, len(theirs.values)):
        return False
    largest = max((abs(a - b) for a, b in zip(ours.values, theirs.values, strict=True)), default=0.0)
    if not ours.type.startswith("float"):
        return largest <= (2 if network else 1)
    scale = max(ours.max_abs, theirs.max_abs)
    spread = 1e-5 * max(ours.l2, theirs.l2) * ours.size**0.5
    return bool(
        largest <= 1e-5 * scale
        and abs(ours.max_abs - theirs.max_abs) <= 1e-5 * scale
        and abs(ours.sum - theirs.sum) <= spread
        and abs(ours.l2 - theirs.l2) <= spread
    )
