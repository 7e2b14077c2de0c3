"""Reading result files: whole lines are kept, a torn last one is dropped, a footer is believed only when it fits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from hwbench.errors import CorruptFile
from hwbench.files import read
from hwbench.measure.plan import FailureLine, FooterLine, LaunchLine, LoadLine, OutputDigest, ResultLine, VisitLine

LineT = TypeVar("LineT")

_ANEW = "Measure it anew with --overwrite."
# A day: no invoke, load or launch of ours takes longer.
_LONGEST_NS = 86_400 * 10**9

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


def read_results(path: Path, launch: int, jobs: Mapping[str, int]) -> LaunchResult:
    """The result file of a launch that was given `jobs`, each with its rounds; a missing file is an empty result.

    Raises CorruptFile for a whole line that is not one of the protocol, belongs to another launch or to a job or
    round that was not planned, or tells of a visit twice: it would count twice, and a file that lies once is not ours.
    """
    return parse_results(read(path) if path.exists() else b"", launch, jobs, str(path))


def parse_results(data: bytes, launch: int, jobs: Mapping[str, int], where: str) -> LaunchResult:
    seen: set[tuple[str, int]] = set()
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
        if isinstance(line, LaunchLine) and (lines or line.launch != launch):
            raise CorruptFile(
                f"{where} has the beginning of launch {line.launch} in line {len(lines) + 1}.", hint=_ANEW
            )
        job = getattr(line, "job", None)
        if job is not None and job not in jobs:
            raise CorruptFile(f"{where} has a result for {job[:80]!r}, which was not planned.", hint=_ANEW)
        if isinstance(line, VisitLine):
            if not 0 <= line.round < jobs[line.job] or (line.job, line.round) in seen:
                found = (
                    f"a second visit of round {line.round}"
                    if (line.job, line.round) in seen
                    else (f"round {line.round} of {jobs[line.job]}")
                )
                raise CorruptFile(f"{where} has {found} for {line.job!r}.", hint=_ANEW)
            seen.add((line.job, line.round))
        lines.append(line)
        offset = end + 1
    return LaunchResult(tuple(lines), complete, status)


def _line(data: bytes, where: str, number: int) -> ResultLine:
    try:
        line: ResultLine = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptFile(f"{where} has the unreadable line {number}: {error}.", hint=_ANEW) from error
    if isinstance(line, VisitLine) and (not line.wall_ns or len(line.wall_ns) != len(line.cpu_ns)):
        raise CorruptFile(f"{where} has a visit without valid samples in line {number}.", hint=_ANEW)
    if not _possible(line):
        raise CorruptFile(f"{where} has times that cannot be in line {number}.", hint=_ANEW)
    return line


def _possible(line: ResultLine) -> bool:
    """Whether the times of a line can be those of a measurement."""
    match line:
        case VisitLine():
            times: tuple[int, ...] = (line.start_ns, line.warmup_ns, *line.wall_ns, *line.cpu_ns)
            least = min(line.wall_ns)
        case LoadLine():
            times, least = (line.load_ns, line.first_ns), 1
        case _:
            return True
    return least > 0 and all(0 <= time <= _LONGEST_NS for time in times)


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
