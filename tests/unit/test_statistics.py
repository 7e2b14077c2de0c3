"""Statistics as mathematics: drift that was put in comes out, intervals cover, levels ignore the disturbed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.measure.drift import round_factors
from hwbench.measure.statistics import between_launch_spread, bootstrap_levels, interval, level, spearman
from hwbench.records import Estimator
from hwbench.workflows.verify import additivity_of

values = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=40)


@given(values, st.integers(1, 5))
def test_level_is_what_several_visits_reproduce(found: list[float], fewest: int) -> None:
    value = level(found, Estimator(visit_share=0.1, fewest_visits=fewest))
    faster = sum(other <= value for other in found)
    assert value in found
    assert faster >= min(max(fewest, 0.1 * len(found)), len(found))


@given(values, st.integers(1, 4), st.integers(0, 99))
def test_resampled_levels_are_values_that_were_measured(found: list[float], launches: int, seed: int) -> None:
    array = np.array(found)
    resampled = bootstrap_levels(array, np.arange(array.size) % launches, Estimator(), seed)
    assert set(resampled) <= set(found)


def test_round_factors_are_recovered() -> None:
    rng = np.random.default_rng(5)
    rows = rng.uniform(50, 5000, size=(40, 1))
    factors = np.array([1.0, 1.0, 1.03, 1.2, 0.98, 1.0, 1.0])
    noise = np.exp(rng.normal(0, 0.003, size=(40, 7)))
    found = round_factors(rows * factors * noise)
    assert found == pytest.approx(factors / np.median(factors), abs=0.004)


def test_round_factors_bear_missing_visits_and_outliers() -> None:
    rng = np.random.default_rng(6)
    latency = rng.uniform(50, 5000, size=(30, 1)) * np.array([1.0, 1.0, 1.1, 1.0])
    latency[rng.random(latency.shape) < 0.2] = np.nan
    latency[rng.random(latency.shape) < 0.1] *= 5
    assert round_factors(latency) == pytest.approx([1.0, 1.0, 1.1, 1.0], abs=1e-6)


def test_drift_of_nothing_is_none() -> None:
    assert round_factors(np.full((3, 2), np.nan)) == pytest.approx([1.0, 1.0])
    assert round_factors(np.zeros((0, 2))) == pytest.approx([1.0, 1.0])


def _two_state_run(rng: np.random.Generator, share: float) -> tuple[float, float, float]:
    """One run of 3 launches x 10 rounds on a machine that a neighbour slows by 30 % part of the time."""
    launches = np.repeat(np.arange(3), 10)
    slow = rng.random(30) >= share
    found = 100 * np.exp(rng.normal(0, 0.01, 30)) * np.where(slow, 1.3, 1.0) * np.exp(rng.normal(0, 0.005, 3))[launches]
    value = level(found, Estimator())
    resampled = bootstrap_levels(found, launches, Estimator(), int(rng.integers(1 << 30)))
    around = interval(found, resampled, Estimator(), 0.005, 3)
    return (value, around.lower, around.upper)


@pytest.mark.parametrize("share", [0.15, 0.4, 1.0])
def test_the_interval_covers_a_new_run(share: float) -> None:
    rng = np.random.default_rng(int(share * 100))
    runs = [_two_state_run(rng, share) for _ in range(300)]
    covered = np.mean([low <= other[0] <= high for (_, low, high), other in itertools.pairwise(runs)])
    assert covered >= 0.9


def test_an_undisturbed_machine_gives_a_narrow_interval() -> None:
    rng = np.random.default_rng(1)
    widths = [(high - low) / 2 / value for value, low, high in (_two_state_run(rng, 1.0) for _ in range(50))]
    assert np.median(widths) < 0.04


def test_spread_between_launches_is_pooled_and_robust() -> None:
    rng = np.random.default_rng(2)
    levels = rng.uniform(10, 1000, (70, 1)) * np.exp(rng.normal(0, 0.01, (70, 3)))
    levels[:5, 0] *= 1.4
    assert between_launch_spread(levels) == pytest.approx(0.01, rel=0.5)
    assert between_launch_spread(levels[:, :1]) == 0.0
    assert between_launch_spread(np.full((4, 3), np.nan)) == 0.0


@settings(deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=30, unique=True))
def test_spearman_knows_order_alone(found: list[float]) -> None:
    ranks = np.argsort(np.argsort(found)).astype(float)
    assert spearman(found, ranks) == pytest.approx(1.0)
    assert spearman(found, -ranks) == pytest.approx(-1.0)
    assert np.isnan(spearman(found, np.ones(len(found))))


def test_additivity_figures_by_hand() -> None:
    found = additivity_of(np.array([11.0, 19.0, 33.0]), np.array([10.0, 20.0, 30.0]), seed=0)
    assert found.bias == pytest.approx((0.1 - 0.05 + 0.1) / 3)
    assert found.mape == pytest.approx(0.25 / 3)
    assert found.spearman == 1.0
