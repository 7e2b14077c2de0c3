"""Measuring a few candidates under a limit: what holds is found, never more is measured, the plan is the best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwbench.errors import DataError, UsageError
from hwbench.search.trials import Belief, Found, best_by_trials, next_trial
from hwbench.tables.source import Latencies

Floats: TypeAlias = NDArray[np.float64]

# Score and latency of each candidate.
offers = st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 12)), min_size=1, max_size=12)
# Chances as they are told apart.
chances = st.integers(1, 99).map(lambda percent: percent / 100)


def columns(rows: list[tuple[int, int]]) -> tuple[Floats, Floats]:
    scores, latency = np.array(rows, float).T
    return scores, latency


@given(offers, st.integers(1, 12), st.integers(1, 4))
@settings(deadline=None)
def test_a_perfect_predictor_needs_one_measurement(rows: list[tuple[int, int]], limit: int, most: int) -> None:
    scores, latency = columns(rows)
    found = best_by_trials(scores, limit, lambda _: Belief(latency, 0 * latency), lambda n: float(latency[n]), most)
    fitting = scores[latency <= limit]
    if len(fitting):
        assert found.place is not None
        assert scores[found.place] == fitting.max()
        assert [trial.place for trial in found.trials] == [found.place]
    else:
        assert found == Found(None, ())


@given(
    offers,
    st.integers(1, 12),
    st.integers(1, 5),
    st.lists(st.floats(0, 14), min_size=12, max_size=12),
    st.lists(st.floats(0, 4), min_size=12, max_size=12),
    st.sets(st.integers(0, 11)),
)
@settings(deadline=None)
def test_whatever_is_predicted_the_answer_was_measured_and_holds(
    rows: list[tuple[int, int]],
    limit: int,
    most: int,
    means: list[float],
    deviations: list[float],
    before: set[int],
) -> None:
    scores, latency = columns(rows)
    n = len(scores)
    known = {place: float(latency[place]) for place in before if place < n}
    belief = Belief(np.array(means[:n]), np.array(deviations[:n]))
    told: list[dict[int, float]] = []

    def believe(measured: Mapping[int, float]) -> Belief:
        told.append(dict(measured))
        return belief

    found = best_by_trials(scores, limit, believe, lambda place: float(latency[place]), most, known)
    tried = [trial.place for trial in found.trials]
    assert len(tried) <= most
    assert len({*tried, *known}) == len(tried) + len(known)
    everything = known | {place: float(latency[place]) for place in tried}
    assert all(one.items() <= everything.items() for one in told)
    held = [place for place in everything if latency[place] <= limit]
    if held:
        assert found.place in held
        assert scores[found.place] == max(scores[held])
    else:
        assert found.place is None


def value(items: list[tuple[float, int]], fails: float, holding: tuple[float, float] | None, left: int) -> float:
    """The largest expected score over u in (fails, holding], by trying everything.

    Where nothing holds yet, the last measurement is of the likeliest, and of these the best.
    """
    top, top_score = max(items)
    if holding is None and left == 1:
        return max(top - fails, 0.0) * top_score
    upper, score = (top, None) if holding is None else holding
    found = [] if score is None else [(upper - fails) * score]
    for chance, own in items:
        if fails < chance <= upper and (holding is None or chance < upper):
            above = value(items, chance, holding, left - 1) if left > 1 else (upper - chance) * (score or 0.0)
            below = value(items, fails, (chance, own), left - 1) if left > 1 else (chance - fails) * own
            found.append(above + below)
    return max(found, default=0.0)


def first_value(items: list[tuple[float, int]], first: int, best: int | None, left: int) -> float:
    chance, own = items[first]
    holding = None if best is None else (1.0, float(best))
    above = value(items, chance, holding, left - 1) if left > 1 else (1.0 - chance) * (best or 0)
    below = value(items, 0.0, (chance, own), left - 1) if left > 1 else chance * own
    return above + below


@given(
    st.lists(st.tuples(chances, st.integers(-4, 9)), min_size=1, max_size=6),
    st.integers(1, 3),
    st.none() | st.integers(-4, 9),
)
@settings(max_examples=200, deadline=None)
def test_the_first_measurement_is_that_of_the_best_plan(
    items: list[tuple[float, int]], left: int, best: int | None
) -> None:
    likely, scores = (np.array(column, float) for column in zip(*items, strict=True))
    chosen = next_trial(scores, likely, left, best)
    useful = [n for n in range(len(items)) if best is None or items[n][1] > best]
    if not useful:
        assert chosen is None
        return
    assert chosen in useful
    if best is None and left == 1:
        assert items[chosen] == max(items)
        return
    plans = [first_value(items, n, best, left) for n in useful]
    assert first_value(items, chosen, best, left) == pytest.approx(max(plans))


@given(
    st.lists(st.tuples(chances, st.integers(-50, 50)), min_size=1, max_size=30),
    st.integers(1, 6),
    st.integers(-3, 9),
    st.integers(-1000, 1000),
)
@settings(deadline=None)
def test_the_unit_of_scores_changes_nothing(items: list[tuple[float, int]], left: int, power: int, shift: int) -> None:
    likely, scores = (np.array(column, float) for column in zip(*items, strict=True))
    chosen, other = next_trial(scores, likely, left), next_trial(2.0**power * scores + shift, likely, left)
    assert chosen is not None
    assert other is not None
    assert items[chosen][1] == items[other][1]


def test_the_last_measurement_is_of_the_best_that_surely_holds() -> None:
    scores, likely = np.array([9.0, 5.0, 4.0, 1.0]), np.array([0.6, 0.992, 0.99, 0.9999])
    assert next_trial(scores, likely, 1) == 1
    assert next_trial(scores, likely, 1, best=3.0) == 0
    assert next_trial(scores, likely, 2) == 0
    assert next_trial(scores, likely, 3, best=9.0) is None
    assert next_trial(scores, np.array([0.6, 0.7, 0.9, 0.9]), 1) == 2


def test_when_nothing_is_likely_the_likeliest_is_tried() -> None:
    scores = np.array([3.0, 2.0, 1.0])
    assert next_trial(scores, np.array([1e-9, 1e-4, 1e-5]), 3) == 1
    assert next_trial(scores, np.zeros(3), 3) is None
    assert next_trial(scores, np.array([1e-9, 1e-4, 1e-5]), 3, best=0.0) is None


def test_a_predictor_that_errs_everywhere_is_set_right_by_the_first_measurement() -> None:
    rng = np.random.default_rng(3)
    latency = rng.uniform(5, 20, 400)
    scores = latency + rng.normal(0, 0.5, 400)
    truth = 1.25 * latency

    def believe(measured: Mapping[int, float]) -> Belief:
        places = list(measured)
        factor = float(np.mean(truth[places] / latency[places])) if places else 1.0
        return Belief(factor * latency, (0.01 if places else 0.1) * latency)

    found = best_by_trials(scores, 15.0, believe, lambda place: float(truth[place]), 3)
    assert found.place is not None
    assert scores[found.place] > scores[truth <= 15.0].max() - 0.3
    assert not found.trials[0].holds


def test_what_gives_no_latency_is_counted_and_not_tried_again() -> None:
    scores = np.array([3.0, 2.0, 1.0])
    broken = best_by_trials(scores, 10.0, lambda _: Belief(np.full(3, 5.0), np.ones(3)), lambda n: np.nan, 5)
    assert [trial.place for trial in broken.trials] == [0, 1, 2]
    assert broken.place is None
    assert not any(trial.holds for trial in broken.trials)


def test_the_intervals_of_a_source_are_the_belief() -> None:
    mean = np.array([100.0, 100.0, 100.0])
    belief = Belief.of(Latencies(mean, mean - 1, mean + np.array([19.59964, 0.0, 0.0])))
    assert belief.chances(110.0) == pytest.approx([0.841345, 1.0, 1.0], abs=1e-6)
    assert belief.chances(100.0)[1] == 1.0
    assert belief.chances(99.0)[1] == 0.0


def test_what_cannot_be_answered_is_refused() -> None:
    unknown = Belief.of(Latencies(np.ones(2), np.zeros(2), np.full(2, np.inf)))
    with pytest.raises(DataError, match="no intervals"):
        best_by_trials(np.ones(2), 3.0, lambda _: unknown, lambda _: 1.0)
    with pytest.raises(UsageError, match="At least one"):
        best_by_trials(np.ones(2), 3.0, lambda _: unknown, lambda _: 1.0, most=0)
