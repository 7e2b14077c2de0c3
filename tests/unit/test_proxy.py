"""Choosing a proxy with few measurements, and the fewest proxies for a fleet."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.errors import DataError
from hwbench.transfer.proxy import choose, cover, to_measure
from hwbench.transfer.ranks import Floats


def pool(seed: int = 0) -> Floats:
    """Log-normal latencies of 600 architectures on four targets that share a part."""
    rng = np.random.default_rng(seed)
    common, own = rng.standard_normal((600, 1)), rng.standard_normal((600, 4))
    columns: Floats = 1e4 * np.exp(0.3 * (0.7 * common + 0.7 * own))
    return columns


NAMES = ("a", "b", "c", "d")


def test_the_target_of_which_it_is_a_noisy_copy_is_found() -> None:
    columns = pool()
    for twin in range(4):
        target = 3 * columns[:, twin] ** 1.2 * np.exp(0.03 * np.random.default_rng(twin).standard_normal(600))
        rows = to_measure(columns, 10, seed=twin)
        found = choose(NAMES, columns, rows, target[rows])
        assert found[0].proxy == NAMES[twin]
        assert found[0].probability > 0.7
        assert all(one.probability < 0.1 for one in found[1:])


def test_a_target_like_no_other_gets_no_promise() -> None:
    columns = pool()
    strange = np.random.default_rng(9).permutation(columns[:, 0])
    rows = to_measure(columns, 12, seed=0)
    assert all(one.probability < 0.1 for one in choose(NAMES, columns, rows, strange[rows]))


def test_architectures_to_measure_are_distinct_and_known_everywhere() -> None:
    columns = pool()
    columns[:300, 2] = np.nan
    rows = to_measure(columns, 20, seed=1)
    assert len(set(rows.tolist())) == 20
    assert rows.min() >= 300
    assert (to_measure(columns, 20, seed=1) == rows).all()


def test_unusable_measurements_are_refused() -> None:
    columns = pool()
    rows = np.arange(8)
    with pytest.raises(DataError, match="4 measurements are too few"):
        choose(NAMES, columns, rows[:4], columns[:4, 0])
    with pytest.raises(DataError, match="not positive"):
        choose(NAMES, columns, rows, np.append(columns[:7, 0], -1.0))
    columns[3, 1] = np.nan
    with pytest.raises(DataError, match="lacks an architecture"):
        choose(NAMES, columns, rows, columns[:8, 0])


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_covers_are_the_smallest(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.uniform(0.6, 1.0, (count, count)), 1)
    agreements = upper + upper.T + np.eye(count)
    names = [f"t{number}" for number in range(count)]
    found = cover(names, agreements)
    serves = agreements >= 0.9
    smallest = next(
        size
        for size in range(1, count + 1)
        if any(serves[list(chosen)].any(axis=0).all() for chosen in itertools.combinations(range(count), size))
    )
    assert len(found.proxies) == smallest
    for target, proxy in found.served_by.items():
        assert proxy in found.proxies
        assert serves[names.index(proxy), names.index(target)]
    assert set(found.alone) == {names[n] for n in range(count) if serves[n].sum() == 1}
