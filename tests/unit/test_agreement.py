"""Agreement of targets: correlations, intervals, ties inside the noise, verdicts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from hwbench.errors import DataError
from hwbench.tables import formats
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer import agreement as module
from hwbench.transfer.agreement import (
    Observed,
    agreement,
    agreements,
    kendall,
    measured_ceiling,
    noise_ceiling,
    top_overlap,
)
from hwbench.transfer.ranks import midranks, redrawn_spearman, resample, resampled_spearman
from hwbench.transfer.verdict import judge
from tests.simulated import pair


def columns(n: int = 60, seed: int = 0) -> tuple[Observed, Observed]:
    return pair(np.random.default_rng(seed), 0.9, n, 0.0)


def test_correlations_are_scipys_without_noise() -> None:
    a, b = columns()
    tied = Observed("b", np.round(b.values_us, -3))
    for other in (b, tied):
        assert agreement(a, other).spearman == pytest.approx(stats.spearmanr(a.values_us, other.values_us).statistic)
        assert kendall(a, other) == pytest.approx(stats.kendalltau(a.values_us, other.values_us).statistic)


def test_resampled_correlations_are_those_of_the_drawn_rows() -> None:
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(size=(40, 3)), 1)
    weights = resample(40, 7, rng)
    found = resampled_spearman(values, weights)
    for draw in range(7):
        rows = np.repeat(np.arange(40), weights[draw].astype(int))
        assert found[draw] == pytest.approx(stats.spearmanr(values[rows]).statistic)
    redraws = [lambda _, draws, column=column: np.tile(column, (draws, 1)) for column in rng.normal(size=(3, 40))]
    assert redrawn_spearman(redraws, weights, rng) == pytest.approx(
        resampled_spearman(np.stack([redraw(rng, 1)[0] for redraw in redraws], axis=1), weights)
    )


def test_values_inside_the_noise_are_ties() -> None:
    assert midranks(np.array([100.0, 101.0, 200.0]), np.full(3, 0.01)).tolist() == [1.5, 1.5, 3.0]
    assert midranks(np.array([100.0, 101.0, 200.0]), np.full(3, 0.001)).tolist() == [1.0, 2.0, 3.0]
    near = Observed("a", np.array([100.0, 101.0, 200.0, 300.0, 400.0]), np.full(5, 0.01))
    swapped = Observed("b", np.array([101.0, 100.0, 200.0, 300.0, 400.0]), np.full(5, 0.01))
    assert agreement(near, swapped, draws=20).spearman == pytest.approx(1.0)
    assert kendall(near, swapped) == pytest.approx(1.0)


def test_order_of_targets_units_and_of_architectures_change_nothing() -> None:
    a, b = columns()
    shuffled = np.random.default_rng(2).permutation(60)
    milliseconds = Observed("a", a.values_us[shuffled] / 1e3)
    again = Observed("b", b.values_us[shuffled])
    assert agreement(milliseconds, again).spearman == pytest.approx(agreement(b, a).spearman)
    assert agreement(a, b) == agreement(a, b)


def test_identical_targets_agree_whatever_is_drawn() -> None:
    a, _ = columns()
    found = agreement(a, Observed("b", 3 * a.values_us))
    assert found.spearman == pytest.approx(1.0)
    assert found.upper == 1.0
    assert judge(found).answer == "yes"


def test_missing_values_leave_the_pair_and_no_other() -> None:
    a, b = columns()
    holes = b.values_us.copy()
    holes[:10] = np.nan
    ab, ac, bc = agreements((a, b, Observed("c", holes)))
    assert (ab.n, ac.n, bc.n) == (60, 50, 50)
    assert bc.spearman == pytest.approx(1.0)
    assert ac.spearman == pytest.approx(stats.spearmanr(a.values_us[10:], b.values_us[10:]).statistic)


def test_too_few_and_unequal_architectures_are_refused() -> None:
    a, b = columns()
    few = np.full(60, np.nan)
    few[:3] = 1.0
    with pytest.raises(DataError, match="a and few share 3 architectures"):
        agreements((a, Observed("few", few)))
    with pytest.raises(DataError, match="different numbers"):
        agreements((a, Observed("short", b.values_us[:50])))


def test_a_constant_target_decides_nothing() -> None:
    a, _ = columns()
    verdict = judge(agreement(a, Observed("flat", np.full(60, 5.0))))
    assert verdict.answer == "too few"
    assert verdict.more is None


def test_top_overlap() -> None:
    a, b = columns()
    assert top_overlap(a, a) == 1.0
    assert top_overlap(a, Observed("reversed", 1e6 / a.values_us), 0.5) == 0.0
    assert 0 < top_overlap(a, b, 0.25) <= 1


def test_ceiling_is_what_a_second_run_reaches() -> None:
    rng = np.random.default_rng(3)
    first, _ = pair(rng, 0.5, 2000, 0.1)
    true, (one, two) = first.values_us, np.exp(0.1 * rng.standard_normal((2, 2000)))
    runs = stats.spearmanr(true * one, true * two).statistic
    assert noise_ceiling(first) == pytest.approx(runs, abs=0.02)
    assert noise_ceiling(columns()[0]) is None
    assert measured_ceiling([true * one, true * two]) == pytest.approx(runs)
    assert measured_ceiling([true, true * one, true]) == pytest.approx(stats.spearmanr(true, true * one).statistic)


@pytest.mark.parametrize(
    ("rho", "noise"), [(0.6, 0.0), (0.9, 0.02), (0.9, 0.1), (0.97, 0.05), (0.99, 0.0), (0.99, 0.02)]
)
def test_intervals_hold_the_true_agreement(rho: float, noise: float) -> None:
    rng = np.random.default_rng(4)
    found = [agreement(*pair(rng, rho, 50, noise), draws=200, seed=seed) for seed in range(250)]
    assert 0.92 <= np.mean([one.lower <= rho <= one.upper for one in found]) <= 0.985
    assert np.mean([one.estimate for one in found]) == pytest.approx(rho, abs=0.015)


@pytest.mark.parametrize(
    ("rho", "noise", "answer", "least", "most"),
    [
        (0.88, 0.02, "yes", 0, 0.04),
        (0.92, 0.02, "no", 0, 0.04),
        (0.97, 0.01, "yes", 0.86, 1),
        (0.72, 0.01, "no", 0.86, 1),
    ],
)
def test_verdicts_of_fifty_architectures(rho: float, noise: float, answer: str, least: float, most: float) -> None:
    rng = np.random.default_rng(5)
    answers = Counter(judge(agreement(*pair(rng, rho, 50, noise), draws=200, seed=seed)).answer for seed in range(250))
    assert least <= answers[answer] / 250 <= most  # type: ignore[index]


def test_more_architectures_settle_what_too_few_leave_open() -> None:
    settled = []
    for seed in range(20):
        verdict = judge(agreement(*pair(np.random.default_rng(seed), 0.94, 40, 0.0), draws=200))
        if verdict.answer == "too few" and verdict.more is not None and verdict.more <= 1000:
            enough = pair(np.random.default_rng([seed, 1]), 0.94, 40 + 2 * verdict.more, 0.0)
            settled.append(judge(agreement(*enough, draws=200)).answer == "yes")
    assert len(settled) >= 6
    assert np.mean(settled) >= 0.7


def test_shared_noise_is_not_averaged_away_by_architectures() -> None:
    """Sums of few noisy rows: many architectures, and still the order of the rows is not known."""
    rng = np.random.default_rng(7)
    counts = rng.integers(0, 5, size=(500, 4)).astype(float)
    rows = np.array([10.0, 10.5, 11.0, 30.0])

    def redraw(own: np.random.Generator, draws: int) -> np.ndarray:
        return (rows * np.exp(0.1 * own.standard_normal((draws, 4)))) @ counts.T + 1

    sums = counts @ rows + 1
    shared = agreement(Observed("a", sums, None, redraw, True), Observed("b", sums**1.01, None, redraw, True))
    assert shared.z_noise > 2 * shared.z_architectures


def test_golden_map_of_one_proxy(published: Path) -> None:
    matrix = formats.read(published / "oneproxy" / "latency.csv")
    assert isinstance(matrix, LatencyMatrix)
    targets = [Observed(target, matrix.column(target)) for target in matrix.targets]
    found = {(one.a, one.b): one.spearman for one in agreements(targets, draws=20)}
    assert len(found) == 66
    assert found["rice_pixel3", "true_vpu"] == pytest.approx(0.61, abs=0.005)
    assert found["eagle_gtx", "true_vpu"] == pytest.approx(0.69, abs=0.005)
    assert found["eagle_cpu_855", "eagle_jetson"] == pytest.approx(0.96, abs=0.005)
    assert module.MONOTONE == 0.9


def test_expectation_of_samples_is_what_they_have_on_average() -> None:
    rng = np.random.default_rng(8)
    for rho, n in ((0.3, 10), (0.9, 20), (0.99, 50)):
        found = [agreement(*pair(rng, rho, n, 0.0), draws=2).spearman for _ in range(1500)]
        assert np.mean(found) == pytest.approx(float(module.in_samples(rho, n)), abs=0.01 * (1.05 - rho))
        assert module.undone(float(np.arctanh(module.in_samples(rho, n))), 1.0, n) == pytest.approx(rho, abs=1e-4)
    assert module.undone(8.0, 1.0, 50) == 1.0
