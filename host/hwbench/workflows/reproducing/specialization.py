"""ProxylessNAS's central result: networks searched for several targets, each seen on all of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from hwbench.errors import DataError, UsageError
from hwbench.search import data, limits
from hwbench.search.quantities import Latency
from hwbench.search.supernet.outcome import Progress
from hwbench.search.supernet.recipes import SMALL, Recipe
from hwbench.spaces.space import Architectures, Space
from hwbench.tables.lookup import LookupTable
from hwbench.workflows.reproducing.reproduce import AtLeast, Reproduction
from hwbench.workflows.searching.inputs import Inputs, read_inputs
from hwbench.workflows.searching.supernet import Derivation, Derived, SupernetQuestion, Training, search_supernet
from hwbench.workflows.searching.verify import OnDevice, measured_networks
from hwbench.workflows.sources import Opened

DEFAULT_FOLDER = Path("hwbench-results") / "specialization"
_SAMPLED = 20_000
_NORMAL_975 = 1.959964
_KERNEL, _EXPANSION = re.compile(r"k(\d+)"), re.compile(r"e(\d+)")


class PublishedRow(msgspec.Struct, frozen=True):
    """A network of the paper: ImageNet top-1 in percent, milliseconds on GPU, CPU and mobile."""

    specialised_for: str
    top1: float
    latency_ms: tuple[float, float, float]


# Table "specialization" of the ProxylessNAS repository (assets/specialization.jpg).
PUBLISHED = (
    PublishedRow("GPU", 75.1, (5.1, 204.9, 124.0)),
    PublishedRow("CPU", 75.3, (7.4, 138.7, 116.0)),
    PublishedRow("mobile", 74.6, (7.2, 164.1, 78.0)),
)


class Seen(msgspec.Struct, frozen=True):
    """A network on a target, with its 95 % interval: measured, or predicted by the target's table."""

    latency_us: float
    lower_us: float
    upper_us: float
    flags: tuple[str, ...]
    measured: bool


class Specialised(msgspec.Struct, frozen=True):
    """The network searched for a target, which uses its limit up, and how it looks on all, in the order of the tables.

    `kernels` and `expansions` are shares of its blocks, `depth` the number of blocks of each stage.
    """

    target: str
    limit_us: float
    labels: tuple[str, ...]
    test_accuracy: float
    seen: tuple[Seen, ...]
    kernels: dict[str, float]
    expansions: dict[str, float]
    depth: dict[str, int]


class Specialization(Reproduction, frozen=True):
    space: str
    networks: tuple[Specialised, ...]
    published: tuple[PublishedRow, ...] = PUBLISHED


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Tables of one space, each the target of a search of its own.

    A table without a limit has that of the `quantile` of random architectures.
    """

    tables: tuple[str, ...]
    limits: tuple[str, ...] = ()
    quantile: float = 0.25
    images: Path | None = None
    recipe: Recipe = SMALL
    train: Training = "scratch"
    folder: Path = DEFAULT_FOLDER

    def __post_init__(self) -> None:
        if len(self.tables) < 2:
            raise UsageError("Specialisation is between targets: give two tables or more.")
        if not 0 < self.quantile < 1:
            raise UsageError(f"A quantile of {self.quantile} is not between 0 and 1.")


def specialization(
    question: Question,
    on_device: OnDevice | None = None,
    on_search: Callable[[str, Progress], None] = lambda target, epoch: None,
) -> Specialization:
    """One search per table, finished ones taken from the folder; with a device the networks are measured there.

    What agrees is said in `checks_of`. Raises as `search_supernet` does.
    """
    inputs = read_inputs(question.tables, (), None, None)
    limits_us = _limits_us(question, inputs)
    derived = [
        _searched(question, one, limits_us[one.name], _derivation(inputs, one), partial(on_search, one.name))
        for one in inputs.tables
    ]
    architectures = np.array([found.candidate.architecture for found in derived], np.uint8)
    columns = [_seen(inputs, table, architectures, on_device) for table in inputs.tables]
    networks = tuple(
        _described(inputs.space, table.name, limits_us[table.name], found, [column[row] for column in columns])
        for row, (table, found) in enumerate(zip(inputs.tables, derived, strict=True))
    )
    images = data.find_fashion_mnist() if question.images is None else data.load(question.images)
    return Specialization("specialization", checks_of(networks, len(images.test)), (), inputs.space.name, networks)


def checks_of(networks: Sequence[Specialised], test_images: int) -> tuple[AtLeast, ...]:
    """Per target: is the network searched for it the best there, or do the intervals leave that open?

    Where no other network is surely faster, its latency is compared: the fastest other one over its own. Where some
    are, since they leave the target's limit unused, its accuracy is: over the most accurate of those.
    """
    return tuple(_check(column, networks, test_images) for column in range(len(networks)))


def _check(column: int, networks: Sequence[Specialised], test_images: int) -> AtLeast:
    own = networks[column]
    at_home = own.seen[column]
    ratios = {}
    for row, other in enumerate(networks):
        if row != column:
            there = other.seen[column]
            tolerance = float(np.hypot(_half_width(at_home), _half_width(there)))
            ratios[row] = (there.latency_us / at_home.latency_us, tolerance)
    faster = [networks[row] for row, (ratio, tolerance) in ratios.items() if ratio < 1 - tolerance]
    if not faster:
        ratio, tolerance = min(ratios.values())
        return AtLeast(f"{own.target}: fastest other network over its own", "ratio", 1.0, tolerance, ratio)
    rival = max(faster, key=lambda one: one.test_accuracy)
    variance = sum(one.test_accuracy * (1 - one.test_accuracy) / test_images for one in (own, rival))
    return AtLeast(
        f"{own.target}: its accuracy over that of faster networks", "points", 0.0,
        100 * _NORMAL_975 * float(np.sqrt(variance)), 100 * (own.test_accuracy - rival.test_accuracy),
    )  # fmt: skip


def _limits_us(question: Question, inputs: Inputs) -> dict[str, float]:
    """The limit of each table in microseconds, by name."""
    archs = inputs.space.sample(_SAMPLED, seed=0)
    found = {
        name: float(np.quantile(source.predict(archs).mean_us, question.quantile))
        for name, source in inputs.sources.items()
    }
    for text in question.limits:
        wanted = limits.parse(text)
        name = wanted.of if wanted.of in found else Path(wanted.of).stem
        if name not in found:
            raise UsageError(f"The limit {text!r} names none of the tables.", hint=f"Known are {', '.join(found)}.")
        found[name] = wanted.most
    return found


def _derivation(inputs: Inputs, table: Opened) -> Derivation:
    """Limits are used up where latencies are sums, so that networks of one limit are compared."""
    additive = Latency(inputs.sources[table.name], table.name).total() is not None
    return "filled" if additive else "probabilities"


def _searched(
    question: Question, table: Opened, limit_us: float, derive: Derivation, on_search: Callable[[Progress], None]
) -> Derived:
    path = str(table.path) if table.column is None else f"{table.path}:{table.column}"
    own = SupernetQuestion(
        tables=(path,),
        limits=(f"{limit_us:.6f}us",),
        data=question.images,
        recipe=question.recipe,
        derive=derive,
        train=question.train,
    )
    folder = question.folder / re.sub(r"[^\w.-]", "-", table.name)
    found = search_supernet(own, folder=folder, resume=True, on_search=on_search).derived
    assert found is not None  # Only a measurement leaves none.
    return found


def _seen(inputs: Inputs, table: Opened, architectures: Architectures, on_device: OnDevice | None) -> list[Seen]:
    """All networks on one target."""
    if on_device is None:
        found = inputs.sources[table.name].predict(architectures)
        spans = zip(found.mean_us.tolist(), found.lower_us.tolist(), found.upper_us.tolist(), strict=True)
        return [Seen(*span, (), False) for span in spans]
    if not isinstance(table.content, LookupTable):
        raise UsageError(f"{table.path} was not measured by hwbench, so nothing is measured beside it.")
    measured = measured_networks(table.content, table.path, architectures, on_device)
    if lacking := [str(number) for number in range(len(architectures)) if number not in measured]:
        raise DataError(f"Networks {', '.join(lacking)} gave no latency on {table.name}.")
    return [
        Seen(one.value_us, one.lower_us, one.upper_us, one.flags, True)
        for one in (measured[number] for number in range(len(architectures)))
    ]


def _described(space: Space, target: str, limit_us: float, found: Derived, seen: Sequence[Seen]) -> Specialised:
    labels = found.candidate.labels
    depth: Counter[str] = Counter()
    for choice, label in zip(space.choices, labels, strict=True):
        depth[choice.name.partition(".")[0]] += bool(_KERNEL.search(label))
    return Specialised(
        target, limit_us, labels, found.test_accuracy, tuple(seen), _shares(_KERNEL, labels),
        _shares(_EXPANSION, labels), dict(depth),
    )  # fmt: skip


def _shares(pattern: re.Pattern[str], labels: Iterable[str]) -> dict[str, float]:
    """How often each number follows the pattern's letter, as a share of the labels where one does."""
    counts = Counter(match[1] for label in labels if (match := pattern.search(label)))
    return {number: counts[number] / counts.total() for number in sorted(counts, key=int)}


def _half_width(seen: Seen) -> float:
    """Half the interval, relative to the latency."""
    return (seen.upper_us - seen.lower_us) / 2 / seen.latency_us
