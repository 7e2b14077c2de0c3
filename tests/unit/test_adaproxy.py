"""AdaProxy: the limits of its penalty, the one-hot's lacking rank, and when the proxy is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwbench import spaces
from hwbench.errors import DataError
from hwbench.measure.statistics import spearman
from hwbench.spaces.encodings import choice_labels, one_hot
from hwbench.tables import formats
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer import adaproxy
from hwbench.transfer.adaproxy import Penalty
from hwbench.transfer.ranks import Floats
from hwbench.transfer.telling import telling

SPACE = spaces.get("nasbench201")
ARCHS = SPACE.sample(400, seed=0)
ENCODED = one_hot(SPACE, ARCHS)
LABELS = choice_labels(SPACE)
SETTINGS = adaproxy.DEFAULT


def proxy(seed: int = 0) -> tuple[Floats, Floats]:
    """Weights of a random proxy, and its latencies."""
    true = np.random.default_rng(seed).uniform(1e3, 9e3, ENCODED.shape[1])
    latencies = ENCODED @ true
    return adaproxy.proxy_weights(ENCODED, SPACE.choice_counts, latencies), latencies


def test_weights_fit_the_proxy_and_stay_its_size() -> None:
    weights, latencies = proxy()
    assert np.abs(weights).max() < 9e3
    assert np.ptp(ENCODED @ weights - latencies) < 1e-6
    assert np.abs(weights.reshape(6, 5).sum(axis=1)).max() < 1e-6


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_the_largest_lambda_is_the_proxy_itself(penalty: Penalty) -> None:
    weights, _ = proxy()
    _, target = proxy(1)
    for penalty_weight in (float("inf"), 1e9):
        found = adaproxy.fit(
            weights, ENCODED[:30], target[:30] + 0.7 * (ENCODED @ weights)[:30], penalty_weight, penalty
        )
        predicted = ENCODED @ found[:-1] + found[-1]
        assert spearman(predicted, target) == pytest.approx(spearman(ENCODED @ weights, target), abs=1e-12)


def test_ridge_leave_one_out_is_what_refitting_gives() -> None:
    weights, _ = proxy()
    _, target = proxy(1)
    chosen = slice(0, 25)
    y = (target[chosen] - target[chosen].mean()) / target[chosen].std()
    scaled = weights / (ENCODED[chosen] @ weights).std()
    bends = adaproxy._bends(scaled, LABELS, SETTINGS)
    problem = adaproxy._problem(scaled, bends, ENCODED[chosen], y)
    (quick,) = adaproxy._leave_one_out(problem, np.array([0.1]), "l2")
    for left in (0, 7):
        others = [number for number in range(25) if number != left]
        # One row less: n lambda has to stay what it was.
        own, offset = adaproxy._solution(scaled, bends, ENCODED[others], y[others], 0.1 * 25 / 24, "l2")
        assert y[left] - (ENCODED[left] @ own + offset) == pytest.approx(quick[left], rel=1e-6)


def test_lasso_meets_its_conditions() -> None:
    weights, _ = proxy()
    _, target = proxy(1)
    y = (target[:60] - target[:60].mean()) / target[:60].std()
    scaled = weights / (ENCODED[:60] @ weights).std()
    problem = adaproxy._problem(scaled, adaproxy._bends(scaled, LABELS, SETTINGS), ENCODED[:60], y)
    b = adaproxy._lasso(problem, 0.05)
    pull = 2 / 60 * problem.corrections.T @ (problem.rest - problem.corrections @ b)
    assert (np.abs(pull) <= 0.05 + 1e-4).all()
    assert pull[b != 0] == pytest.approx(0.05 * np.sign(b[b != 0]), abs=1e-4)
    assert 0 < (b != 0).sum() < len(b)


def test_a_target_that_differs_is_learnt_and_one_that_does_not_keeps_the_proxy() -> None:
    weights, latencies = proxy()
    _, other = proxy(1)
    target = 0.3 * latencies + 0.2 * other
    found = adaproxy.adapt(weights, ENCODED[:60], target[:60])
    assert found.accepted
    assert found.loo_us < found.raw_loo_us
    assert spearman(found.predict(ENCODED), target) > 0.99 > spearman(latencies, target)
    noisy = 3 * latencies * np.exp(0.1 * np.random.default_rng(0).standard_normal(400))
    kept = adaproxy.adapt(weights, ENCODED[:12], noisy[:12])
    assert not kept.accepted
    assert "kept" in kept.reason
    assert spearman(kept.predict(ENCODED), latencies) == pytest.approx(1.0)


def test_units_of_proxy_and_target_change_nothing() -> None:
    weights, latencies = proxy()
    target = 0.3 * latencies + 0.2 * proxy(1)[1]
    found, milliseconds = (adaproxy.adapt(weights * unit, ENCODED[:40], target[:40] * unit) for unit in (1.0, 1e-3))
    assert milliseconds.predict(ENCODED) * 1e3 == pytest.approx(found.predict(ENCODED))
    seconds = adaproxy.adapt(weights * 1e-6, ENCODED[:40], target[:40])
    assert seconds.predict(ENCODED) == pytest.approx(found.predict(ENCODED))


def test_what_cannot_be_adapted_is_refused() -> None:
    weights, latencies = proxy()
    with pytest.raises(DataError, match="4 measurements are too few"):
        adaproxy.adapt(weights, ENCODED[:4], latencies[:4])
    with pytest.raises(DataError, match="all the same"):
        adaproxy.adapt(weights, ENCODED[:9], np.full(9, 5.0))
    with pytest.raises(DataError, match="one latency for all"):
        adaproxy.adapt(weights, ENCODED[:1].repeat(9, axis=0), latencies[:9])


def test_telling_architectures_beat_random_ones() -> None:
    target = proxy(1)[1] * np.exp(0.05 * np.random.default_rng(0).standard_normal(400))
    chosen = telling(ENCODED, 30, seed=0)
    assert len(set(chosen.tolist())) == 30

    def error(rows: np.ndarray) -> float:
        weights = np.linalg.lstsq(np.hstack([ENCODED[rows], np.ones((30, 1))]), target[rows], rcond=1e-8)[0]
        return float(np.std(ENCODED @ weights[:-1] - target))

    random = [error(np.random.default_rng(seed).choice(400, 30, replace=False)) for seed in range(20)]
    assert error(chosen) < np.median(random)


@pytest.mark.parametrize(
    ("proxy_name", "target_name", "raw", "with_70"),
    [("true_vpu", "eagle_gtx", 0.694, 0.881), ("rice_pixel3", "rice_raspi4", 0.951, 0.951)],
)
def test_published_pairs(published: Path, proxy_name: str, target_name: str, raw: float, with_70: float) -> None:
    matrix = formats.read(published / "oneproxy" / "latency.csv")
    assert isinstance(matrix, LatencyMatrix)
    space = spaces.get(matrix.space)
    encoded = one_hot(space, np.array(matrix.architectures))
    target = matrix.column(target_name)
    weights = adaproxy.proxy_weights(encoded, space.choice_counts, matrix.column(proxy_name))
    assert spearman(encoded @ weights, target) == pytest.approx(raw, abs=0.005)
    found = []
    for seed in range(5):
        rows = np.random.default_rng(seed).choice(len(target), 70, replace=False)
        adapted = adaproxy.adapt(weights, encoded[rows], target[rows])
        rest = np.setdiff1d(np.arange(len(target)), rows)
        found.append(spearman(adapted.predict(encoded[rest]), target[rest]))
    assert np.mean(found) > with_70 - 0.015


def test_an_operator_that_is_dear_everywhere_is_learnt_from_few_measurements() -> None:
    weights, latencies = proxy()
    dear = np.array([0.0, 900.0, -800.0, 500.0, -600.0])[LABELS]
    target = latencies + ENCODED @ dear * 4
    together, apart = [], []
    for seed in range(8):
        rows = np.random.default_rng(seed).choice(400, 15, replace=False)
        for found, labels in ((together, LABELS), (apart, None)):
            adapted = adaproxy.adapt(weights, ENCODED[rows], target[rows], labels=labels)
            found.append(spearman(adapted.predict(ENCODED), target))
    assert np.mean(together) > np.mean(apart) + 0.02
    assert np.mean(together) > spearman(latencies, target)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_the_largest_lambda_keeps_every_rank_of_the_proxy(penalty: Penalty) -> None:
    weights, _ = proxy()
    for seed in range(5):
        target = np.random.default_rng(seed).uniform(1e3, 9e3, 30)
        found = adaproxy.fit(weights, ENCODED[:30], target, float("inf"), penalty, labels=LABELS)
        predicted = ENCODED @ found[:-1] + found[-1]
        assert spearman(predicted, ENCODED @ weights) == pytest.approx(1.0, abs=1e-12)
