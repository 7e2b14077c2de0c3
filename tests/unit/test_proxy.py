"""Choosing a proxy with few measurements, and the fewest proxies for a fleet."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.errors import DataError
from hwbench.transfer import whole_column
from hwbench.transfer.cover import cover
from hwbench.transfer.proxy import ProxyChoice, choose, to_measure
from hwbench.transfer.ranks import Floats

NAMES = ("a", "b", "c", "d")
FEATURES = np.random.default_rng(99).standard_normal((600, 6))


def pool(seed: int = 0) -> Floats:
    """Log-normal latencies of 600 architectures on four targets that share a part."""
    rng = np.random.default_rng(seed)
    common, own = rng.standard_normal((600, 1)), rng.standard_normal((600, 4))
    columns: Floats = 1e4 * np.exp(0.3 * (0.7 * common + 0.7 * own))
    return columns


def relatives(seed: int, targets: int = 7) -> Floats:
    """Log latencies of 600 architectures that are alike but for parts linear in features, and some noise."""
    rng = np.random.default_rng(seed)
    slopes = np.array([3.0, 2, 1, 1, 0.5, 0.5])[:, None] + rng.uniform(0.2, 0.9) * rng.standard_normal((6, targets))
    logs: Floats = 0.1 * (FEATURES @ slopes + 0.3 * rng.standard_normal((600, targets)))
    return logs


def test_the_target_of_which_it_is_a_noisy_copy_is_found() -> None:
    columns = pool()
    for twin in range(4):
        target = 3 * columns[:, twin] ** 1.2 * np.exp(0.03 * np.random.default_rng(twin).standard_normal(600))
        rows = to_measure(columns, 12, seed=twin)
        found = choose(NAMES, columns, rows, target[rows])
        assert found.best.proxy == NAMES[twin]
        assert found.best.lower <= 1.0
        assert all(one.probability < 0.1 for one in found.candidates[1:])


def test_a_target_like_no_other_gets_no_promise() -> None:
    columns = pool()
    strange = np.random.default_rng(9).permutation(columns[:, 0])
    rows = to_measure(columns, 12, seed=0)
    found = choose(NAMES, columns, rows, strange[rows])
    assert all(one.probability < 0.1 for one in found.candidates)
    assert found.answer == "no"


def test_units_change_nothing_and_a_seed_decides() -> None:
    columns = pool()
    rows = to_measure(columns, 8, seed=3)
    target = columns[:, 1] ** 0.5
    found = choose(NAMES, columns, rows, target[rows], seed=4)
    milliseconds = choose(NAMES, columns / 1e3, rows, target[rows] / 1e3, seed=4)
    assert [one.proxy for one in found.candidates] == [one.proxy for one in milliseconds.candidates]
    assert found.best.expected == pytest.approx(milliseconds.best.expected, abs=1e-6)
    assert choose(NAMES, columns, rows, target[rows], seed=4) == found


def test_what_is_said_is_true_for_targets_of_the_pools_kind() -> None:
    said: list[tuple[float, bool, bool]] = []
    for seed in range(60):
        logs = relatives(seed)
        truth = np.corrcoef(logs.T)[0, 1:]
        ranked = np.corrcoef(np.argsort(np.argsort(logs, axis=0), axis=0).T)[0, 1:]
        assert abs(truth - ranked).max() < 0.1
        columns = np.exp(logs)
        rows = to_measure(columns[:, 1:], 8, seed)
        names = [str(one) for one in range(1, 7)]
        found = choose(names, columns[:, 1:], rows, columns[rows, 0], features=(FEATURES,), seed=seed)
        for one in found.candidates:
            agreement = float(ranked[int(one.proxy) - 1])
            said.append((one.probability, agreement >= 0.9, one.lower <= agreement <= one.upper))
    high = [true for probability, true, _ in said if probability >= 0.9]
    low = [true for probability, true, _ in said if probability < 0.1]
    assert len(high) > 20
    assert len(low) > 20
    assert np.mean(high) > 0.85
    assert np.mean(low) < 0.1
    assert 0.85 < np.mean([held for _, _, held in said]) <= 1
    assert np.mean([p for p, _, _ in said]) == pytest.approx(np.mean([true for _, true, _ in said]), abs=0.08)


def test_more_measurements_settle_what_too_few_leave_open() -> None:
    logs = relatives(3)
    columns, names = np.exp(logs), [str(one) for one in range(1, 7)]

    def after(count: int, seed: int) -> ProxyChoice:
        rows = to_measure(columns[:, 1:], count, seed)
        return choose(names, columns[:, 1:], rows, columns[rows, 0], features=(FEATURES,), seed=seed)

    few = [after(5, seed) for seed in range(10)]
    many = [after(60, seed) for seed in range(10)]
    width = [np.mean([one.best.upper - one.best.lower for one in found]) for found in (few, many)]
    assert width[1] < 0.6 * width[0]
    for one in (*few, *many):
        assert (one.more is None or one.more > 0) if one.answer == "too few" else one.more == 0


def test_a_single_proxy_is_judged_too() -> None:
    columns = pool()
    rows = to_measure(columns[:, :1], 10)
    found = choose(("a",), columns[:, :1], rows, columns[rows, 0] * 2)
    assert found.best.expected > 0.8


def test_draws_pass_through_what_was_measured() -> None:
    logs = np.log(pool())
    rng = np.random.default_rng(0)
    known = whole_column.pool_of(logs, (FEATURES,), rng)
    measured = np.array([3, 5, 8, 13, 21, 34])
    y = logs[measured, 0] + 0.1 * rng.standard_normal(6)
    found = whole_column.draws(known, np.arange(50, 60), measured, y, 40, rng)
    assert found.shape == (40, 16)
    fitted = found[:, 10:] - found[:, 10:].mean(axis=1, keepdims=True)
    assert fitted == pytest.approx(np.tile(y - y.mean(), (40, 1)), abs=1e-8)
    assert found[:, :10].std(axis=0).min() > 0


def test_architectures_to_measure_are_distinct_and_known_everywhere() -> None:
    columns = pool()
    columns[:300, 2] = np.nan
    rows = to_measure(columns, 20, seed=1)
    assert len(set(rows.tolist())) == 20
    assert rows.min() >= 300
    assert (to_measure(columns, 20, seed=1) == rows).all()
    target = columns[:, 0] * 3
    assert choose(NAMES, columns, rows, target[rows]).best.proxy == "a"


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
