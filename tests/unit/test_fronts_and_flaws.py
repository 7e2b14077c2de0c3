"""Pareto fronts, what a proxy's front costs, and columns that are not to be trusted."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwbench.tables import flaws, formats
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.fronts import front, front_regret

points = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=30)


@given(points)
def test_front_is_what_nothing_beats(found: list[tuple[int, int]]) -> None:
    latency, accuracy = np.array(found, float).reshape(-1, 2).T
    chosen = front(latency, accuracy)
    best = {
        (a, b) for a, b in found
        if not any((c <= a and d >= b) and (c, d) != (a, b) for c, d in found)
    }  # fmt: skip
    assert {(int(latency[n]), int(accuracy[n])) for n in chosen} == best
    assert len(chosen) == len(best)
    assert (np.diff(latency[chosen]) > 0).all()


def test_values_that_are_missing_stay_out_of_the_front() -> None:
    assert front(np.array([1.0, np.nan, 3.0]), np.array([np.nan, 99.0, 5.0])).tolist() == [2]
    assert len(front(np.array([np.nan]), np.array([1.0]))) == 0
    assert front_regret(np.array([np.nan]), np.array([1.0]), np.array([1.0])).mean is None


def test_own_front_costs_nothing_and_another_something() -> None:
    rng = np.random.default_rng(0)
    latency, accuracy = rng.uniform(1, 9, 300), rng.uniform(50, 90, 300)
    own = front_regret(latency, latency, accuracy)
    assert own.mean == own.worst == 0.0
    assert front_regret(latency, 7 * latency**2, accuracy).mean == 0.0
    other = front_regret(latency, rng.uniform(1, 9, 300), accuracy)
    assert other.mean is not None
    assert other.mean > 0
    assert all(one.regret is None or one.regret >= 0 for one in other.budgets)


def test_budgets_that_nothing_keeps_are_counted() -> None:
    target, proxy = np.array([1.0, 2.0, 3.0, 100.0]), np.array([4.0, 3.0, 2.0, 1.0])
    found = front_regret(target, proxy, np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.unmet == 9
    assert found.mean is None


def test_flaws_are_named() -> None:
    rng = np.random.default_rng(0)
    good = rng.uniform(1e3, 5e3, 400)
    stand_in = rng.uniform(1e3, 5e3, 400)
    stand_in[:6] = 1e6
    negative = rng.uniform(1e3, 5e3, 400)
    negative[7] = -1.0
    holes = rng.uniform(1e3, 5e3, 400)
    holes[:9] = np.nan
    found = flaws.find(
        {"good": good, "stand": stand_in, "negative": negative, "holes": holes, "flat": np.full(400, 3.0),
         "one": good**1.5, "two": good**1.5 * (1 + 0.01 * rng.uniform(-1, 1, 400))}
    )  # fmt: skip
    kinds = {(flaw.target, flaw.kind) for flaw in found}
    assert kinds == {
        ("stand", "stand-in"), ("negative", "not positive"), ("holes", "missing"), ("flat", "constant"),
        ("one", "same"), ("two", "same"),
    }  # fmt: skip
    assert "1e+06 in 6 rows" in next(flaw.text for flaw in found if flaw.kind == "stand-in")


def test_whole_milliseconds_are_no_stand_in() -> None:
    assert flaws.find({"coarse": np.random.default_rng(0).integers(10, 20, 500) * 1e3}) == ()


def test_one_proxys_flawed_columns_are_found(published: Path) -> None:
    matrix = formats.read(published / "oneproxy" / "latency.csv")
    assert isinstance(matrix, LatencyMatrix)
    found = {(flaw.target, flaw.kind, flaw.count) for flaw in flaws.of_matrix(matrix)}
    assert found == {("rice_edgetpu", "missing", 259), ("eagle_gtx", "same", 1999), ("eagle_i7", "same", 1999)}
    assert len(flaws.unflawed(matrix)) == 9


@pytest.fixture(scope="module")
def cells(published: Path) -> tuple[LatencyMatrix, dict[str, NDArray[np.float64]]]:
    matrix = formats.read(published / "help" / "data" / "nasbench201")
    assert isinstance(matrix, LatencyMatrix)
    with (published / "nb201" / "accuracy.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = ("cifar10", "cifar100")
    return matrix, {name: np.array([float(row[f"e200_{name}_test"]) for row in rows]) for name in names}


@pytest.mark.parametrize(
    ("target", "sizes"),
    [("pixel3", (43, 35)), ("raspi4", (43, 40)), ("fpga", (13, 15)), ("eyeriss", (19, 14)), ("1080ti_1", (32, 37))],
)
def test_published_fronts(
    cells: tuple[LatencyMatrix, dict[str, NDArray[np.float64]]], target: str, sizes: tuple[int, int]
) -> None:
    matrix, accuracy = cells
    found = tuple(len(front(matrix.column(target), accuracy[name])) for name in ("cifar10", "cifar100"))
    assert found == sizes
