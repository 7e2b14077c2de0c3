"""Rows that vary together: found from rounds, and taken out of launches and runs."""

from __future__ import annotations

import numpy as np
import pytest

from hwbench.measure.differences import FALSE_SHARE, differences
from hwbench.measure.statistics import Floats
from hwbench.measure.swings import swing_loadings, without_swing
from tests.unit.test_diff import NOTHING, levels


def test_rows_that_vary_together_are_found() -> None:
    rng = np.random.default_rng(6)
    truly = np.where(np.arange(30) < 6, np.linspace(1, 0.3, 30), 0.0)
    launches = [rounds(rng, truly, 0.01, 20) for _ in range(8)]
    found = swing_loadings(launches)
    assert found[:6] == pytest.approx(0.01 * truly[:6], abs=0.003)
    assert not found[6:].any()


def test_rows_that_vary_on_their_own_are_no_common_part() -> None:
    rng = np.random.default_rng(7)
    alone = np.arange(30) == 4
    for truly in (np.zeros(30), alone.astype(float)):
        found = [swing_loadings([rounds(rng, truly, 0.01, 20) for _ in range(8)]).any() for _ in range(20)]
        assert not any(found)


def test_few_rounds_and_rows_that_were_not_there_say_nothing() -> None:
    rng = np.random.default_rng(8)
    truly = (np.arange(30) < 6).astype(float)
    assert not swing_loadings([rounds(rng, truly, 0.01, 10)]).any()
    assert swing_loadings([]).shape == (0,)
    partial = [rounds(rng, truly, 0.01, 20) for _ in range(8)]
    for launch in partial[4:]:
        launch[3:] = np.nan
    partial[0][7] = np.nan
    found = swing_loadings(partial)
    assert found[:6].min() > 2 * np.abs(found[6:]).max()


def test_a_swing_is_taken_out_of_launches_whichever_rows_are_in_them() -> None:
    rng = np.random.default_rng(11)
    loadings = np.where(np.arange(30) < 6, np.linspace(1, 0.3, 30), 0.0)
    before, after = [], []
    for _ in range(30):
        runs = []
        for moved in (0.0, 0.02):
            run = np.outer(loadings, moved + 0.01 * rng.standard_normal(10)) + rng.uniform(3, 8, 30)[:, None]
            run[:, 3:][rng.random((30, 7)) < 0.3] = np.nan
            runs.append(run)
        for run, left in zip(runs, without_swing(runs, loadings), strict=True):
            assert (left[6:] == run[6:])[np.isfinite(run[6:])].all()
            before.append(np.nanstd(run[:6], axis=1).mean())
            after.append(np.nanstd(left[:6], axis=1).mean())
    assert np.mean(after) < 0.2 * np.mean(before)


def test_runs_between_which_some_rows_swing_are_the_same() -> None:
    rng = np.random.default_rng(9)
    loadings = np.where(np.arange(70) % 8 == 0, 0.02, 0.0)
    named: dict[bool, int] = {True: 0, False: 0}
    for _ in range(60):
        a, b = (levels(rng) + np.outer(loadings, swing(rng)) for _ in range(2))
        for known in named:
            named[known] += bool(differences(a, b, 0.02, loadings if known else NOTHING).differs.any())
    assert named[True] <= 60 * FALSE_SHARE + 3
    assert named[False] >= 2 * named[True] + 10


def test_rows_that_swing_further_than_launches_do_are_named() -> None:
    rng = np.random.default_rng(10)
    loadings = np.where(np.arange(70) % 8 == 0, 0.005, 0.0)
    a, b = (levels(rng, noise=0.001) + np.outer(loadings, swing(rng)) for _ in range(2))
    found = differences(a, b + 0.08 * (loadings > 0)[:, None], 0.02, loadings)
    assert found.differs.tolist() == (loadings > 0).tolist()
    assert found.swing.max() <= 0.02 + 1e-9


def swing(rng: np.random.Generator) -> Floats:
    """Of a run's six launches: what stays through the run, and what does not."""
    found: Floats = rng.standard_normal() + 0.2 * rng.standard_normal(6)
    return found


def rounds(rng: np.random.Generator, loadings: Floats, deviation: float, count: int) -> Floats:
    """Log latencies of a launch, rows x rounds, in which rows go with a common part by their loadings."""
    noise = 0.003 * rng.standard_normal((len(loadings), count))
    found: Floats = rng.uniform(3, 8, len(loadings))[:, None] + noise + 0.01 * rng.standard_normal(count)
    return found + np.outer(loadings, deviation * rng.standard_normal(count))
