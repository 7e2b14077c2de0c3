"""A limit that is used up: the best architecture of those that do so, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench import spaces
from hwbench.errors import LimitUnreachable, UsageError
from hwbench.search.exact import best, keep_all
from hwbench.search.filled import USED, best_filled
from hwbench.search.quantities import ChoiceScores, Count, Function, Latency, Limit, Quantity
from hwbench.spaces.space import Architectures
from hwbench.tables.imported import ImportedSource
from tests.table_files import block_table

SPACE = spaces.get("proxylessnas-v8.8.8.16.32-r16-c4-d2.2-s2.2")
LATENCY = Latency(ImportedSource(block_table(SPACE.name), SPACE), "table")
EVERY: Architectures = np.stack(
    np.meshgrid(*(np.arange(count, dtype=np.uint8) for count in SPACE.choice_counts), indexing="ij"), -1
).reshape(-1, len(SPACE.choice_counts))
LATENCIES_US = LATENCY.of(EVERY)


def scores(seed: int, spread: float) -> ChoiceScores:
    rng = np.random.default_rng(seed)
    return ChoiceScores(SPACE, tuple(spread * rng.standard_normal(count) for count in SPACE.choice_counts))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 0.99), st.sampled_from([0.0, 1e-6, 1.0, 1e3]), st.booleans())
def test_the_best_uses_the_limit_up_and_nothing_as_slow_scores_higher(
    seed: int, quantile: float, spread: float, two: bool
) -> None:
    limits = [Limit(LATENCY, float(np.quantile(LATENCIES_US, quantile)))]
    if two:
        limits.append(Limit(Count(SPACE, "macs"), float(np.median(Count(SPACE, "macs").of(EVERY)))))
    allowed = keep_all(limits, EVERY)
    if not allowed.any():
        with pytest.raises(LimitUnreachable):
            best_filled(SPACE, scores(seed, spread), limits)
        return
    own = scores(seed, spread)
    (found,) = best_filled(SPACE, own, limits)
    assert keep_all(limits, found[None]).all()
    reached_us = float(LATENCIES_US[allowed].max())
    least_us = USED * (limits[0].most if reached_us >= USED * limits[0].most else reached_us)
    fills = allowed & (least_us <= LATENCIES_US)
    scored = float(own.of(found)[0])
    assert LATENCY.of(found)[0] >= least_us * (1 - 2e-3)
    assert own.of(EVERY[fills]).max() <= scored + 1e-6 * max(spread, 1e-9)


def test_the_best_of_a_whole_mobile_space_are_found_at_once() -> None:
    """Its sums are many more than any programme over them could hold."""
    space = spaces.get("proxylessnas-w0.35-r28-c10-i1")
    latency = Latency(ImportedSource(block_table(space.name), space), "table")
    rng = np.random.default_rng(0)
    own = ChoiceScores(space, tuple(rng.standard_normal(count) for count in space.choice_counts))
    limit = Limit(latency, float(np.quantile(latency.of(space.sample(1000, seed=0)), 0.5)))
    found = best_filled(space, own, [limit], count=3)
    assert (np.diff(own.of(found)) <= 0).all()
    assert (latency.of(found) >= USED * limit.most).all()
    assert keep_all([limit], found).all()


def test_what_is_used_up_already_is_the_best() -> None:
    own = ChoiceScores(SPACE, tuple(LATENCY.total().offered))  # type: ignore[union-attr]
    limits = [Limit(LATENCY, float(np.median(LATENCIES_US)))]
    np.testing.assert_array_equal(best_filled(SPACE, own, limits), best(SPACE, own, limits))


def test_what_is_no_sum_cannot_be_used_up() -> None:
    quantity: Quantity = Function(LATENCY.of, "a function")
    with pytest.raises(UsageError, match="a function is no sum"):
        best_filled(SPACE, scores(0, 1.0), [Limit(quantity, 1e9)])
