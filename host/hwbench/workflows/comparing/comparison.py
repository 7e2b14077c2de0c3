"""What a comparison found, as a record and as a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hwbench import files
from hwbench.spaces.wording import BlockWords
from hwbench.tables.flaws import Flaw
from hwbench.transfer.agreement import Agreement
from hwbench.transfer.fronts import BudgetRegret
from hwbench.transfer.verdict import Verdict

KIND = "comparison"
VERSION = 1


class Breaker(msgspec.Struct, frozen=True):
    """A block that two targets rate differently: what it is, where it stands, its latency on each.

    `factor`: how much dearer it is on a than on b, next to the mean architecture. `weight`: standard deviation, over
    architectures, of what the block adds to a's relative latency less to b's. `key` is that of a's space.
    """

    key: str
    block: BlockWords
    places: tuple[str, ...]
    a_us: float
    b_us: float
    factor: float
    weight: float

    def __post_init__(self) -> None:
        if not min(self.a_us, self.b_us, self.factor) > 0:
            raise ValueError("a breaker has an impossible latency")


class BreakingOperator(msgspec.Struct, frozen=True):
    """All blocks of one operator and kernel that two targets rate differently.

    `a_share` and `b_share` are what they take of the mean architecture's latency. `share` is the part of the variance
    of the difference in relative latency that goes back to them; over all operators the parts add up to 1.
    """

    operator: str
    kernel: int | None
    a_share: float
    b_share: float
    share: float

    @property
    def text(self) -> str:
        return self.operator if self.kernel is None else f"{self.operator} {self.kernel}x{self.kernel}"


class Regret(msgspec.Struct, frozen=True):
    """What choosing from the proxy's front costs on the target, in the unit of the score.

    `mean` and `worst` are over the budgets that some architecture of the proxy's front keeps; None when there is none.
    `unmet` budgets are kept by none of them.
    """

    proxy: str
    target: str
    mean: float | None
    worst: float | None
    unmet: int
    budgets: tuple[BudgetRegret, ...]


class Score(msgspec.Struct, frozen=True):
    """What regret is counted in: macs, parameters, or a file's name and column.

    `architectures` over which fronts are taken; None: all of the space, exactly.
    """

    name: str
    architectures: int | None = None


class Pair(msgspec.Struct, frozen=True):
    """`top_overlap`: the share of the fastest tenth on a that is among b's. Breakers need tables of both targets.

    `regrets` are of a as proxy for b and of b for a; none without a score. `kendall` is None where all are ties.
    """

    agreement: Agreement
    verdict: Verdict
    kendall: float | None
    top_overlap: float
    regrets: tuple[Regret, ...] = ()
    operators: tuple[BreakingOperator, ...] = ()
    breakers: tuple[Breaker, ...] = ()


class TargetSource(msgspec.Struct, frozen=True):
    """Where a target's latencies come from: names of files, several where they are runs of one target."""

    target: str
    space: str
    device: str | None
    files: tuple[str, ...]


class Comparison(msgspec.Struct, frozen=True):
    """`clusters` are sets of targets that are all monotone with each other.

    `ceilings` by target are the agreement with its own second run: measured where it has several files, else estimated
    from the rows' intervals, None where these are not known. `space` is that of the first file.
    """

    space: str
    architectures: int
    targets: tuple[str, ...]
    pairs: tuple[Pair, ...]
    clusters: tuple[tuple[str, ...], ...]
    ceilings: dict[str, float | None]
    flaws: tuple[Flaw, ...]
    sources: tuple[TargetSource, ...]
    score: Score | None
    notes: tuple[str, ...]
    seed: int

    @property
    def measured_twice(self) -> frozenset[str]:
        """Targets whose ceiling is measured."""
        return frozenset(one.target for one in self.sources if len(one.files) > 1)

    @property
    def exit_code(self) -> int:
        """0: all pairs are monotone; 1: one is not; 2: too few architectures, or too much noise, to tell."""
        answers = {pair.verdict.answer for pair in self.pairs}
        return 1 if "no" in answers else 2 if "too few" in answers else 0


def save(comparison: Comparison, path: Path) -> None:
    """Writes the comparison, replacing what was there. Raises DeviceError when the disk refuses."""
    files.save(path, KIND, VERSION, comparison)


def load(path: Path) -> Comparison:
    """The comparison of a file. Raises DataError, CorruptFile or SchemaTooNew naming it."""
    return files.load(path, KIND, VERSION, Comparison)
