"""Evolution against the exact front, and what an interruption or a second process changes: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwbench import spaces
from hwbench.errors import CorruptFile, DataError, HwbenchError, LimitUnreachable, MissingRows, UsageError
from hwbench.search import evolution, nsga2
from hwbench.search.evaluations import Evaluations
from hwbench.search.evolution import Settings
from hwbench.search.exact import best, front_of, smallest
from hwbench.search.quantities import Count, Function, Latency, Limit
from hwbench.spaces.space import Architectures, Space
from hwbench.tables.source import TableSource
from hwbench.workflows.searching.search import find_architectures
from tests.conftest import ROOT
from tests.unit.test_tables import make_table

SPACE = spaces.get("proxylessnas-w0.25-r32-c10")
FEW = Settings(population=20, children=100, batch=10, tournament=5)
Evolve = Callable[..., Architectures]
METHODS: list[Evolve] = [evolution.evolve, nsga2.evolve]


def uneven(archs: Architectures) -> NDArray[np.float64]:
    """A score that is no sum over positions."""
    found: NDArray[np.float64] = archs.astype(float).mean(axis=1) - archs.std(axis=1) ** 2 / 9
    return found


def dies(archs: Architectures) -> NDArray[np.float64]:
    os._exit(1)


def latency_of(space: Space = SPACE, seed: int = 1) -> Latency:
    return Latency(TableSource(make_table(seed, space=space), space), "phone")


def limit_of(latency: Latency, share: float, space: Space = SPACE) -> Limit:
    return Limit(latency, share * smallest(space, latency)[1])


@pytest.mark.parametrize("evolve", METHODS)
def test_on_sums_it_comes_close_to_the_exact_best_and_never_above(evolve: Evolve) -> None:
    limits = [limit_of(latency_of(), 1.5)]
    macs = Count(SPACE, "macs")
    exact = macs.of(best(SPACE, macs, limits))[0]
    found = evolve(SPACE, limits, Evaluations(macs), Settings(children=3000, seed=2), count=5)
    scores = macs.of(found)
    assert (limits[0].excess(found) == 0).all()
    assert (np.diff(scores) <= 0).all()
    assert 0.97 * exact < scores[0] <= exact * (1 + 1e-12)


def test_nsga2_covers_most_of_the_exact_fronts_volume() -> None:
    latency, macs = latency_of(), Count(SPACE, "macs")
    limits = [limit_of(latency, 2.0)]
    evaluations = Evaluations(macs)
    nsga2.evolve(SPACE, limits, evaluations, Settings(population=60, children=4000, batch=60))

    def volume(archs: Architectures) -> float:
        """Of cost below the limit times MACs, by the points that keep it."""
        costs, scores = latency.of(archs), macs.of(archs)
        kept = costs <= limits[0].most
        costs, scores = costs[kept], scores[kept]
        order = np.argsort(costs)
        widths = np.diff(np.append(costs[order], limits[0].most))
        return float((widths * np.maximum.accumulate(scores[order])).sum())

    whole = volume(front_of(SPACE, macs, latency))
    assert 0.8 * whole < volume(nsga2.front_known(limits, evaluations)) <= whole * (1 + 1e-12)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**31), st.sampled_from(METHODS), st.sampled_from([SPACE.name, "ofa-w0.5-r32.64-c4"]))
def test_all_that_is_evaluated_keeps_the_limits(seed: int, evolve: Evolve, name: str) -> None:
    space = spaces.get(name)
    latency = latency_of(space)
    middle = Limit(latency, float(np.quantile(latency.of(space.sample(50, 0)), 0.2)))
    evaluations = Evaluations(Function(uneven))
    few = msgspec.structs.replace(FEW, seed=seed)
    found = evolve(space, [middle], evaluations, few, count=3)
    evaluated = np.array([list(key) for key in evaluations.scores])
    assert (middle.excess(evaluated) == 0).all()
    assert uneven(found).tolist() == sorted(uneven(evaluated).tolist(), reverse=True)[:3]
    again = evolve(space, [middle], Evaluations(Function(uneven)), few, count=3)
    assert again.tolist() == found.tolist()
    if name.startswith("ofa"):
        blocks = evaluated[:, 1:].reshape(-1, 5, 4) != 9
        assert (np.diff(blocks.astype(int), axis=2) <= 0).all()


@pytest.mark.parametrize("evolve", METHODS)
@pytest.mark.parametrize("share", [0.999, 1.0001])
def test_a_tight_limit_is_told_from_an_unreachable_one(evolve: Evolve, share: float) -> None:
    latency = latency_of()
    limits = [limit_of(latency, share)]
    if share < 1:
        with pytest.raises(LimitUnreachable, match="smallest reachable"):
            evolve(SPACE, limits, Evaluations(Function(uneven)), FEW)
    else:
        (found,) = evolve(SPACE, limits, Evaluations(Function(uneven)), FEW)
        assert latency.of(found)[0] <= limits[0].most


def test_where_nothing_adds_up_it_says_what_was_seen() -> None:
    deep = Function(lambda archs: 1.0 + archs.astype(float).sum(axis=1), "depth")
    with pytest.raises(LimitUnreachable, match=r"was found .* seen were depth down to 1"):
        evolution.evolve(SPACE, [Limit(deep, 0.5)], Evaluations(Function(uneven)), FEW)


def test_processes_change_nothing() -> None:
    limits = [limit_of(latency_of(), 1.5)]
    here = find_architectures(SPACE, limits, score=Function(uneven), method="evolution", settings=FEW, count=4)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        there = find_architectures(
            SPACE, limits, score=Function(uneven), method="evolution", settings=FEW, count=4, executor=pool
        )
    assert there.candidates == here.candidates
    assert there.evaluated == here.evaluated


def test_a_process_that_dies_is_reported() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(HwbenchError, match="died"):
            evolution.evolve(SPACE, [], Evaluations(Function(dies, "net"), pool), FEW)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(DataError, match="net gives"):
        evolution.evolve(SPACE, [], Evaluations(Function(lambda archs: np.full(len(archs), value), "net")), FEW)
    with pytest.raises(DataError, match="net gives"):
        evolution.evolve(SPACE, [], Evaluations(Function(lambda archs: np.zeros((len(archs), 2)), "net")), FEW)
    limit = Limit(Function(lambda archs: np.full(len(archs), value), "net"), 1.0)
    with pytest.raises(DataError, match="net gives"):
        evolution.evolve(SPACE, [limit], Evaluations(Function(uneven)), FEW)


def test_missing_rows_are_never_guessed() -> None:
    table = make_table(space=SPACE)
    source = TableSource(msgspec.structs.replace(table, rows=table.rows[:-1]), SPACE)
    with pytest.raises(MissingRows):
        evolution.evolve(SPACE, [Limit(Latency(source), 1e9)], Evaluations(Function(uneven)), FEW)


PROGRAM = """
import sys, time
from pathlib import Path
from tests.unit import test_search_evolution as own
from hwbench.search.quantities import Function
from hwbench.workflows.searching.search import find_architectures

def slow(archs):
    time.sleep(float(sys.argv[2]) * len(archs))
    return own.uneven(archs)

limits = [own.limit_of(own.latency_of(), 1.5)]
found = find_architectures(
    own.SPACE, limits, score=Function(slow, "uneven"), method=sys.argv[3], settings=own.FEW, count=5,
    journal=Path(sys.argv[1]), resume=Path(sys.argv[1]).exists(),
)
print([one.architecture for one in found.candidates], found.evaluated)
"""


@pytest.mark.parametrize("method", ["evolution", "nsga2"])
def test_a_killed_search_ends_as_if_it_had_not_been(tmp_path: Path, method: str) -> None:
    def command(journal: str, seconds: str) -> list[str]:
        return [sys.executable, "-c", PROGRAM, str(tmp_path / journal), seconds, method]

    whole = subprocess.run(command("whole", "0"), cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for least in (2, 40):
        process = subprocess.Popen(command("killed", "0.004"), cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            while not (tmp_path / "killed").exists() or (tmp_path / "killed").read_bytes().count(b"\n") < least:
                assert process.poll() is None
                time.sleep(0.01)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    with (tmp_path / "killed").open("ab") as file:
        file.write(b'{"type":"evalua')
    resumed = subprocess.run(command("killed", "0"), cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert resumed == whole
    lines = (tmp_path / "killed").read_bytes().splitlines()
    assert len(set(lines)) == len(lines) == len((tmp_path / "whole").read_bytes().splitlines())


def test_a_journal_is_not_mixed_up(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    limits = [limit_of(latency_of(), 1.5)]

    def run(seed: int, resume: bool) -> None:
        few = msgspec.structs.replace(FEW, seed=seed)
        find_architectures(
            SPACE, limits, score=Function(uneven), method="evolution", settings=few, journal=path, resume=resume
        )

    run(0, False)
    with pytest.raises(UsageError, match="holds a search already"):
        run(0, False)
    with pytest.raises(UsageError, match="seed was 0, is 1"):
        run(1, True)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"score", b"sc\xffre", 1))
    with pytest.raises(CorruptFile, match="damaged"):
        run(0, True)
    path.write_bytes(b"".join(data.splitlines(keepends=True)[1:]))
    with pytest.raises(CorruptFile, match="not a journal"):
        run(0, True)
    path.write_bytes(data.replace(b'"architecture":[', b'"architecture":[256,', 1))
    with pytest.raises(CorruptFile, match="damaged"):
        run(0, True)
    for torn in (b"", data[:20]):
        path.write_bytes(torn)
        run(0, True)
        assert path.read_bytes() == data


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in ({"population": 5}, {"batch": 0}, {"tournament": 0}, {"children": -1}):
        with pytest.raises(UsageError, match="population"):
            msgspec.structs.replace(Settings(), **wrong).__post_init__()
    with pytest.raises(UsageError, match="no journal"):
        find_architectures(SPACE, executor=ProcessPoolExecutor(1))
    with pytest.raises(UsageError, match="nothing is limited"):
        nsga2.evolve(SPACE, [], Evaluations(Function(uneven)), FEW)
    with pytest.raises(UsageError, match="At least one"):
        find_architectures(SPACE, count=0)


@pytest.mark.parametrize(("package", "module"), [("pymoo", "hwbench.search.nsga2"), ("ray", "hwbench.search.cluster")])
def test_without_its_extra_it_says_what_to_install(package: str, module: str) -> None:
    program = f"""
import sys
sys.modules[{package!r}] = None
from hwbench.errors import UsageError
try:
    import {module}
except UsageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "pip install 'hwbench[" in done.stdout
