"""HELP's search on NAS-Bench-201 (Lee et al., NeurIPS 2021, table 4): MetaD2A's candidates under latency limits."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from hwbench import files
from hwbench.errors import DataError
from hwbench.spaces import nasbench201
from hwbench.tables.formats.published import published
from hwbench.tables.matrix import LatencyMatrix
from hwbench.workflows.reproducing.help_study import SPLITS, open_study
from hwbench.workflows.reproducing.limited import AtLimit, Candidates, Protocol, Summary, summaries, under_limits
from hwbench.workflows.reproducing.reproduce import AtLeast, Check, Reproduction, data_folder

SPACE = "nasbench201"
CANDIDATES = published("arch_generated_by_metad2a.txt")
_PERFECT = 71.67


class PublishedRow(msgspec.Struct, frozen=True):
    """MetaD2A with HELP: latency, and CIFAR-100 accuracy in percent, of what was found under the limit."""

    target: str
    limit_us: float
    latency_us: float
    accuracy: float

    @property
    def holds(self) -> bool:
        return self.latency_us <= self.limit_us


# Milliseconds in the paper.
PUBLISHED = tuple(
    PublishedRow(target, limit * 1e3, latency * 1e3, accuracy)
    for target, limit, latency, accuracy in (
        ("titan_rtx_256", 18, 17.8, 69.7),
        ("titan_rtx_256", 21, 18.9, 71.5),
        ("titan_rtx_256", 25, 24.2, 71.8),
        ("gold_6226", 8, 8.0, 67.3),
        ("gold_6226", 11, 10.7, 70.2),
        ("gold_6226", 14, 14.3, 72.1),
        ("pixel2", 14, 13, 69.7),
        ("pixel2", 18, 19, 71.8),
        ("pixel2", 22, 25, 73.2),
        ("eyeriss", 5, 3.9, 71.5),
        ("eyeriss", 7, 5.1, 71.8),
        ("eyeriss", 9, 9.1, 73.5),
        ("fpga", 4, 3.8, 70.2),
        ("fpga", 5, 4.7, 71.8),
        ("fpga", 6, 7.4, 73.5),
    )
)


class HelpNas(Reproduction, frozen=True):
    """`found` has every target, seed and limit."""

    protocol: Protocol
    found: tuple[AtLimit, ...]
    summaries: tuple[Summary, ...]
    published: tuple[PublishedRow, ...] = PUBLISHED


def help_nas(protocol: Protocol | None = None, data: Path | None = None) -> HelpNas:
    """The most accurate candidate under each limit, by prediction and after measuring a few.

    Raises UsageError without a data folder, DataError naming repository, path and sha256 of a file that is missing.
    """
    asked = protocol or Protocol()
    folder = data_folder(data, (CANDIDATES,))
    study = open_study(SPACE, folder)
    candidates = read_candidates(folder / CANDIDATES.local, study.matrix)
    limits_us: dict[str, list[float]] = {}
    for row in PUBLISHED:
        limits_us.setdefault(row.target, []).append(row.limit_us)
    found = under_limits(study, SPLITS[SPACE].sources, limits_us, candidates, asked)
    ways = summaries(found)
    return HelpNas("help-nas", _checks(found, ways[-1], asked), (CANDIDATES,), asked, found, ways)


def published_accuracy() -> float:
    """Mean over the published rows, those above their limit too."""
    return float(np.mean([row.accuracy for row in PUBLISHED]))


def read_candidates(path: Path, matrix: LatencyMatrix) -> Candidates:
    """The architectures of MetaD2A's list: after a first line with seconds, `architecture, accuracy, seconds` each.

    Raises DataError naming the line that is not so, or whose architecture the matrix does not have.
    """
    place = {architecture: number for number, architecture in enumerate(matrix.architectures)}
    found: dict[int, float] = {}
    for number, line in enumerate(files.read(path).decode("utf-8", "replace").splitlines()[1:], start=2):
        try:
            text, accuracy, _ = line.split(",")
            architecture = tuple(nasbench201.parse(text)[0].tolist())
            found[place[architecture]] = _percent(accuracy)
        except (ValueError, KeyError, DataError) as error:
            raise DataError(f"Line {number} of {path} is no architecture of the matrix with an accuracy.") from error
    if not found:
        raise DataError(f"{path} has no architecture.")
    return Candidates(np.array(list(found), np.int64), np.array(list(found.values())))


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise ValueError(text)
    return value


def _checks(found: tuple[AtLimit, ...], verified: Summary, asked: Protocol) -> tuple[Check, ...]:
    perfect = [one.perfect.accuracy for one in found if one.perfect.accuracy is not None]
    words = f"at most {asked.verify} measured at a limit"
    least = round(published_accuracy(), 2)
    accuracy = np.nan if verified.accuracy is None else verified.accuracy
    return (
        Check("a perfect predictor, mean accuracy", "%", _PERFECT, 0.005, float(np.mean(perfect))),
        AtLeast(f"limits held, {words}", "limits", len(PUBLISHED), 0, verified.held / asked.seeds),
        AtLeast(f"mean accuracy, {words}", "%", least, 0, accuracy),
    )
