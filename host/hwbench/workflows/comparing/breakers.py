"""What breaks the order between two targets: the blocks and operators that they rate differently."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwbench.spaces.encodings import block_counts
from hwbench.spaces.space import Architectures
from hwbench.spaces.wording import BlockWords, places, words
from hwbench.transfer.ranks import Floats
from hwbench.workflows.comparing.comparison import Breaker, BreakingOperator
from hwbench.workflows.comparing.targets import TableTarget

_BLOCKS = 5
_OPERATORS = 3


def breakers(
    a: TableTarget, b: TableTarget, architectures: Architectures
) -> tuple[tuple[BreakingOperator, ...], tuple[Breaker, ...]]:
    """Operators by falling share of the difference in order, and the blocks that move it most.

    The difference of an architecture is its latency on a relative to the mean one's, less the same on b. Nothing where
    a table has no rows of blocks or lacks some, or where blocks of two spaces do not correspond one to one.
    """
    counts = block_counts(a.space, architectures)
    if a.space.name != b.space.name and not np.array_equal(counts, block_counts(b.space, architectures)):
        return (), ()
    latencies = np.array([_latencies(one) for one in (a, b)])
    if not np.isfinite(latencies).all():
        return (), ()
    shares = latencies / (counts @ latencies.T).mean(axis=0)[:, None]
    return _operators(a, counts, shares), _blocks(a, counts, latencies, shares)


def _latencies(target: TableTarget) -> Floats:
    return np.array([target.rows.get(block.key, np.nan) for block in target.space.distinct_blocks])


def _blocks(target: TableTarget, counts: Floats, latencies: Floats, shares: Floats) -> tuple[Breaker, ...]:
    weights = counts.std(axis=0) * np.abs(shares[0] - shares[1])
    blocks = target.space.distinct_blocks
    where = places(target.space)
    return tuple(
        Breaker(
            key=blocks[n].key, block=words(blocks[n]), places=where.get(blocks[n].key, ()),
            a_us=float(latencies[0, n]), b_us=float(latencies[1, n]), factor=float(shares[0, n] / shares[1, n]),
            weight=float(weights[n]),
        )
        for n in np.argsort(-weights)[:_BLOCKS]
        if weights[n]
    )  # fmt: skip


def _operators(target: TableTarget, counts: Floats, shares: Floats) -> tuple[BreakingOperator, ...]:
    parts = counts * (shares[0] - shares[1])
    difference = parts.sum(axis=1)
    variance = float(difference.var())
    if variance == 0:
        return ()
    mean = counts.mean(axis=0)
    found = []
    for (operator, kernel), members in _groups([words(block) for block in target.space.distinct_blocks]).items():
        own = parts[:, members].sum(axis=1)
        share = float(np.mean((own - own.mean()) * (difference - difference.mean()))) / variance
        a_share, b_share = (float(mean[members] @ side[members]) for side in shares)
        found.append(BreakingOperator(operator, kernel, a_share, b_share, share))
    return tuple(one for one in sorted(found, key=lambda one: -one.share)[:_OPERATORS] if one.share > 0)


def _groups(described: list[BlockWords]) -> dict[tuple[str, int | None], NDArray[np.intp]]:
    names = [(one.operator, one.kernel) for one in described]
    return {name: np.array([n for n, own in enumerate(names) if own == name]) for name in dict.fromkeys(names)}
