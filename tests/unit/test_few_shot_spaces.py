"""The default predictor on every space: descriptions, a new target, picks, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from hwbench import spaces
from hwbench.errors import DataError, UsageError
from hwbench.measure.statistics import spearman
from hwbench.spaces import nasbench201
from hwbench.spaces.cells import NONE, SKIP, alive
from hwbench.spaces.encodings import physical
from hwbench.tables.source import LatencySource
from hwbench.transfer.few_shot import cells, fit, next_picks, prior_of
from hwbench.transfer.few_shot.chains import ChainDescription
from hwbench.transfer.few_shot.describe import describe
from hwbench.transfer.few_shot.prior import Prior
from tests.few_shot_pools import simulated_matrix

NAMES = ["proxylessnas", "fbnet-cifar-r32-c100", "nasbench201", "ofa-w1.0-r160.192-c1000", "hat"]


@pytest.fixture(scope="module", params=NAMES)
def pool(request: pytest.FixtureRequest) -> tuple[Prior, np.ndarray, np.ndarray]:
    """A prior of five sources; architectures and the latencies of a target that is not among them."""
    name = request.param if request.param == "hat" else spaces.get(request.param).name
    matrix = simulated_matrix(name, 400, 6, 0.005)
    prior = prior_of(matrix, matrix.targets[:5])
    archs = matrix.encoded if name == "hat" else matrix.encoded.astype(np.uint8)
    return prior, archs, matrix.column("d5")


def test_ten_measurements_order_a_new_target(pool: tuple[Prior, np.ndarray, np.ndarray]) -> None:
    prior, archs, latency = pool
    chosen = next_picks(prior, archs, 10)
    assert len(set(chosen.tolist())) == 10
    predictor: LatencySource = fit(prior, archs[chosen], latency[chosen])
    found = predictor.predict(archs)
    assert spearman(found.mean_us, latency) > 0.85
    assert (found.lower_us <= found.mean_us).all()
    assert (found.mean_us <= found.upper_us).all()
    assert predictor.missing(archs) == ()


def test_intervals_nest_and_a_spike_is_named(pool: tuple[Prior, np.ndarray, np.ndarray]) -> None:
    prior, archs, latency = pool
    chosen = np.random.default_rng(3).permutation(len(archs))[:14]
    values = latency[chosen].copy()
    clean = fit(prior, archs[chosen], values)
    values[4] *= 5
    spiked = fit(prior, archs[chosen], values)
    assert 4 in spiked.spiked()
    assert spearman(spiked.predict(archs).mean_us, clean.predict(archs).mean_us) > 0.9
    narrow, wide = clean.predict_within(archs, 0.5), clean.predict_within(archs, 0.99)
    assert (wide.lower_us <= narrow.lower_us).all()
    assert (narrow.upper_us <= wide.upper_us).all()


def test_further_picks_are_new_and_an_outlook_is_given(pool: tuple[Prior, np.ndarray, np.ndarray]) -> None:
    prior, archs, latency = pool
    first = next_picks(prior, archs, 5)
    predictor = fit(prior, archs[first], latency[first])
    second = predictor.next_picks(archs, 5)
    assert not set(first.tolist()) & set(second.tolist())
    expected = predictor.outlook()
    assert 0 <= expected.agreement_now <= expected.agreement_then <= 1
    assert first.tolist() + second.tolist() == next_picks(prior, archs, 10).tolist()


def test_bad_measurements_are_refused(pool: tuple[Prior, np.ndarray, np.ndarray]) -> None:
    prior, archs, latency = pool
    with pytest.raises(DataError, match="too few"):
        fit(prior, archs[:2], latency[:2])
    with pytest.raises(DataError, match="positive"):
        fit(prior, archs[:4], [1.0, 2.0, 0.0, 3.0])
    with pytest.raises(DataError, match="3 latencies for 4"):
        fit(prior, archs[:4], latency[:3])


def test_a_pool_of_one_poor_source_serves() -> None:
    matrix = simulated_matrix(spaces.get("nasbench201").name, 40, 2)
    prior = prior_of(matrix, ["d0"])
    archs = matrix.encoded.astype(np.uint8)
    found = fit(prior, archs[:10], matrix.column("d1")[:10]).predict(archs)
    assert np.isfinite(found.upper_us).all()
    with pytest.raises(DataError, match="at least one source"):
        prior_of(matrix, [])
    with pytest.raises(DataError, match="no target"):
        prior_of(matrix, ["d9"])


def test_regimes_are_those_of_the_cells() -> None:
    space = spaces.get("nasbench201")
    archs = nasbench201.in_index_order()[:500]
    eager, eliminated, pruned = describe(space.name).views(archs)
    fed, used = cells.reachable(archs)
    living = np.array([alive(tuple(arch.tolist())) for arch in archs])
    assert ((fed & used & (archs != NONE)) == living).all()
    assert (eager.counts.sum(axis=1) == 6).all()
    assert (pruned.counts.sum(axis=1) == living.sum(axis=1)).all()
    assert (eliminated.counts >= pruned.counts).all()
    adds = describe(space.name).sums(np.eye(6), archs)[2][:, 5]
    parts = space.total(np.eye(len(space.distinct_blocks)), archs)
    add = next(row for row, block in enumerate(space.distinct_blocks) if block.key.startswith("nb201add"))
    assert (adds * 5 == parts[:, add]).all()


def test_serial_depth_is_the_longest_path() -> None:
    chain = np.array([[3, 0, 3, 0, 0, 3]], np.uint8)
    beside = np.array([[3, 3, 0, 3, 0, 0]], np.uint8)
    identity = np.full((1, 6), SKIP, np.uint8)
    everything = np.ones((1, 6), bool)
    assert [cells.serial_depth(one, everything)[0] for one in (chain, beside, identity)] == [3, 1, 0]
    assert cells.serial_depth(np.zeros((1, 6), np.uint8), everything)[0] == 0


def test_chain_totals_are_the_encodings() -> None:
    for name in ("fbnet", "ofa-w1.0-r160.192-c1000"):
        space = spaces.get(name)
        archs = space.sample(20, 0)
        description = describe(space.name)
        assert isinstance(description, ChainDescription)
        (view,) = description.views(archs)
        expected = physical(space, archs)
        assert view.totals[:, : expected.shape[1]] == pytest.approx(expected)


def test_unknown_spaces_are_refused() -> None:
    with pytest.raises(UsageError, match="no space"):
        describe("mystery")
    with pytest.raises(NotImplementedError):
        describe("hat").sums(np.zeros((1, 1)), np.ones((1, 10)))


def test_many_architectures_are_predicted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = simulated_matrix(spaces.get("nasbench201").name, 60, 3)
    archs = matrix.encoded.astype(np.uint8)
    predictor = fit(prior_of(matrix, ["d0", "d1"]), archs[:10], matrix.column("d2")[:10])
    whole = predictor.predict(archs)
    monkeypatch.setattr("hwbench.transfer.few_shot.predictor._AT_ONCE", 7)
    assert predictor.predict(archs).upper_us == pytest.approx(whole.upper_us)
