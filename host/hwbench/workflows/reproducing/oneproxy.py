"""One Proxy's figures: which targets agree, and how far few measurements bend a proxy to a target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from hwbench import spaces
from hwbench.errors import DataError, UsageError
from hwbench.measure.statistics import spearman
from hwbench.spaces.encodings import choice_labels, one_hot
from hwbench.tables import flaws, formats
from hwbench.tables.flaws import Flaw
from hwbench.tables.formats.published import published
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer import adaproxy
from hwbench.transfer.agreement import Agreement, Observed, agreements
from hwbench.workflows.reproducing.reproduce import AtLeast, Check, Reproduction, data_folder

MEASURED = (10, 20, 40, 70)
SEEDS = 20
_LATENCIES = published("oneproxy/latency.csv")
_TOLERANCE = 0.015
# Spearman of the proxy as it is, then after adaptation with each of MEASURED: a re-implementation's figures.
PAIRS = {
    ("true_vpu", "eagle_gtx"): (0.694, 0.60, 0.735, 0.837, 0.881),
    ("rice_pixel3", "rice_edgegpu"): (0.512, 0.51, 0.787, 0.918, 0.952),
    ("rice_pixel3", "rice_raspi4"): (0.951, 0.944, 0.941, 0.946, 0.951),
}


class Adaptation(msgspec.Struct, frozen=True):
    """Mean Spearman over SEEDS random choices of `measured` architectures, on all others.

    `raw` is that of the proxy's weights as they are; `accepted` says in which share of the choices adaptation was.
    """

    proxy: str
    target: str
    raw: float
    measured: tuple[int, ...]
    spearman: tuple[float, ...]
    accepted: tuple[float, ...]


class OneProxy(Reproduction, frozen=True):
    agreements: tuple[Agreement, ...]
    adaptations: tuple[Adaptation, ...]
    flaws: tuple[Flaw, ...]


def oneproxy(data: Path | None = None, pairs: Sequence[tuple[str, str]] = ()) -> OneProxy:
    """The agreement of every two columns, and adaptation rows for (proxy, target) pairs, by default the published ones.

    `data` is the folder of published data, or any CSV of that form: then there is nothing published to compare with,
    and without pairs each target is adapted from the proxy that agrees best. Raises UsageError, DataError.
    """
    own = data is not None and data.is_file()
    path = data if own and data is not None else data_folder(data, (_LATENCIES,)) / _LATENCIES.local
    matrix = formats.read(path)
    if not isinstance(matrix, LatencyMatrix):
        raise DataError(f"{path} is a table of blocks, not a matrix of architectures and targets.")
    for pair in pairs:
        for target in pair:
            matrix.column(target)
    found = agreements([Observed(target, matrix.column(target)) for target in matrix.targets])
    chosen = tuple(pairs) or (_best_pairs(matrix, found) if own else tuple(PAIRS))
    rows = tuple(_adaptation(matrix, proxy, target) for proxy, target in chosen)
    checks: list[Check] = []
    for row in () if own else rows:
        expected = PAIRS.get((row.proxy, row.target))
        if expected is None:
            continue
        name = f"{row.proxy} for {row.target}"
        checks.append(Check(f"{name}, as it is", "Spearman", expected[0], 0.005, row.raw))
        checks += [
            AtLeast(f"{name}, {count} measured", "Spearman", figure, _TOLERANCE, computed)
            for count, figure, computed in zip(row.measured, expected[1:], row.spearman, strict=True)
        ]
    needed = () if own else (_LATENCIES,)
    return OneProxy("oneproxy", tuple(checks), needed, found, rows, flaws.of_matrix(matrix))


def parse_pairs(text: str) -> tuple[tuple[str, str], ...]:
    """`proxy:target,...` as pairs. Raises UsageError."""
    pairs = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        proxy, colon, target = word.partition(":")
        if not (proxy and colon and target) or proxy == target:
            raise UsageError(f"--pairs has {word!r}.", hint="Write pairs as proxy:target,proxy:target.")
        pairs.append((proxy, target))
    return tuple(pairs)


def _adaptation(matrix: LatencyMatrix, proxy: str, target: str) -> Adaptation:
    space = spaces.get(matrix.space)
    encoded, labels = one_hot(space, np.array(matrix.architectures)), choice_labels(space)
    weights = adaproxy.proxy_weights(encoded, space.choice_counts, matrix.column(proxy))
    known = np.flatnonzero(np.isfinite(matrix.column(target)))
    encoded, latencies = encoded[known], matrix.column(target)[known]
    counts = tuple(count for count in MEASURED if count < len(known))
    means, accepted = [], []
    for count in counts:
        figures, used = [], 0
        for seed in range(SEEDS):
            chosen = np.random.default_rng(seed).choice(len(known), count, replace=False)
            found = adaproxy.adapt(weights, encoded[chosen], latencies[chosen], labels=labels)
            rest = np.setdiff1d(np.arange(len(known)), chosen)
            figures.append(spearman(found.predict(encoded[rest]), latencies[rest]))
            used += found.accepted
        means.append(float(np.mean(figures)))
        accepted.append(used / SEEDS)
    return Adaptation(proxy, target, spearman(encoded @ weights, latencies), counts, tuple(means), tuple(accepted))


def _best_pairs(matrix: LatencyMatrix, found: Sequence[Agreement]) -> tuple[tuple[str, str], ...]:
    """For each target the proxy that agrees best."""
    pairs = []
    for target in matrix.targets:
        others = [
            (one.spearman, one.b if one.a == target else one.a)
            for one in found
            if target in (one.a, one.b) and one.spearman is not None
        ]
        if others:
            pairs.append((max(others)[1], target))
    return tuple(pairs)
