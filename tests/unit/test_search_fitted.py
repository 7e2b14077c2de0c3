"""Accuracies as sums of what each choice adds: the regression against sums that are known."""

from __future__ import annotations

import numpy as np
import pytest

from hwbench import spaces
from hwbench.errors import UsageError
from hwbench.search.fitted import drawn_near, fitted
from hwbench.search.quantities import ChoiceScores, Count, Function, Latency, Limit
from hwbench.tables.imported import ImportedSource
from tests.table_files import block_table

SPACE = spaces.get("proxylessnas-v8.8.8.16.32-r16-c4-d2.2-s2.2")
LATENCY = Latency(ImportedSource(block_table(SPACE.name), SPACE), "table")


def test_drawn_architectures_keep_all_limits_and_use_the_first() -> None:
    sample = SPACE.sample(1000, seed=1)
    limits = [Limit(LATENCY, float(np.quantile(LATENCY.of(sample), 0.4)))]
    limits.append(Limit(Count(SPACE, "macs"), float(np.quantile(Count(SPACE, "macs").of(sample), 0.8))))
    drawn = drawn_near(SPACE, limits, 50, seed=3)
    assert drawn.shape == (50, len(SPACE.choice_counts))
    assert (LATENCY.of(drawn) >= 0.9 * limits[0].most).all()
    assert all((limit.excess(drawn) == 0).all() for limit in limits)
    np.testing.assert_array_equal(drawn, drawn_near(SPACE, limits, 50, seed=3))
    assert (drawn != drawn_near(SPACE, limits, 50, seed=4)).any()


def test_a_limit_that_nothing_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwbench.search.fitted._MOST_DRAWS", 2)
    with pytest.raises(UsageError, match="0 take 90 to 100 % of the limit; 5 are needed"):
        drawn_near(SPACE, [Limit(LATENCY, 1e9)], 5, seed=0)


@pytest.mark.parametrize(("noise", "most_off"), [(0.0, 0.1), (0.5, 0.35)])
def test_what_choices_add_is_found_again(noise: float, most_off: float) -> None:
    rng = np.random.default_rng(0)
    own = ChoiceScores(SPACE, tuple(rng.standard_normal(count) for count in SPACE.choice_counts))
    drawn = SPACE.sample(2000, seed=5)
    noisy = own.of(drawn) + noise * rng.standard_normal(len(drawn))
    known = dict(zip(map(bytes, drawn), noisy, strict=True))
    found = fitted(SPACE, drawn, Function(lambda archs: np.array([known[bytes(arch)] for arch in archs]), "accuracy"))
    assert found.name == "fitted accuracy"
    for given, effects in zip(own.total().offered, found.total().offered, strict=True):
        np.testing.assert_allclose(effects - effects.mean(), given - given.mean(), atol=most_off)


def test_what_was_never_seen_adds_nothing() -> None:
    drawn = SPACE.sample(200, seed=5)
    drawn = drawn[drawn[:, 0] != 1]
    found = fitted(SPACE, drawn, LATENCY)
    assert found.total().offered[0][1] == pytest.approx(0)
