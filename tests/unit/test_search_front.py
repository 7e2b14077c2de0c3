"""The exact programmes equal brute force: fronts, the N best, one limit, several, and limits that must surely hold."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench import spaces
from hwbench.errors import DataError, HwbenchError, LimitUnreachable, MissingRows, UsageError
from hwbench.search.exact import best, every, smallest
from hwbench.search.front import Floats, TooManySums, front, suffixes
from hwbench.search.groups import Groups
from hwbench.search.quantities import ChoiceScores, Count, Function, Latency, Limit, Quantity
from hwbench.search.ranked import ranked
from hwbench.search.several import ranked_under
from hwbench.spaces.space import Architectures, Space
from hwbench.tables.imported import ImportedSource
from hwbench.tables.lookup import Additivity, Row
from hwbench.tables.source import TableSource
from hwbench.transfer import fronts
from tests.table_files import block_table
from tests.unit.test_tables import make_table

# 5 positions of 6 or 7 choices: brute force is possible.
SMALL = spaces.get("proxylessnas-v8.8.8.16.32-r16-c4-d2.3-s2.2")
ADDITIVITY = Additivity(20, 1, bias=0.02, mape=0.03, spread=0.03, spearman=1.0, spearman_ci=(1.0, 1.0), measured_at="")

# Whole numbers, so that sums are exact in any order and ties are many.
whole = st.integers(-6, 9)


@st.composite
def problems(draw: st.DrawFn, costs: int = 1) -> list[list[Floats]]:
    """Scores, then each cost: one array per group."""
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    return [
        [np.array(draw(st.lists(whole, min_size=count, max_size=count)), float) for count in counts]
        for _ in range(1 + costs)
    ]


def sums(offers: Sequence[Floats]) -> Floats:
    """Of all combinations, the last group fastest."""
    totals = np.zeros(1)
    for values in offers:
        totals = np.add.outer(totals, values).reshape(-1)
    return totals


def sums_of(offers: Sequence[Floats], picks: Sequence[Sequence[int]]) -> list[float]:
    return [float(sum(values[pick] for values, pick in zip(offers, row, strict=True))) for row in picks]


@settings(deadline=None)
@given(problems())
def test_the_front_is_that_of_all_combinations(problem: list[list[Floats]]) -> None:
    scores, costs = problem
    all_costs, all_scores = sums(costs), sums(scores)
    expected = fronts.front(all_costs, all_scores)
    found = front(costs, scores)
    assert found.cost.tolist() == all_costs[expected].tolist()
    assert found.score.tolist() == all_scores[expected].tolist()
    assert sums_of(costs, found.picks.tolist()) == found.cost.tolist()
    assert sums_of(scores, found.picks.tolist()) == found.score.tolist()


def test_the_front_of_seven_positions_of_seven_choices_is_that_of_all() -> None:
    rng = np.random.default_rng(0)
    costs = rng.uniform(0.1, 9, (7, 7))
    scores = np.log(costs + rng.uniform(0.1, 3, (7, 7)))
    all_costs, all_scores = sums(list(costs)), sums(list(scores))
    expected = fronts.front(all_costs, all_scores)
    found = front(list(costs), list(scores))
    assert len(found.cost) == len(expected) > 100
    np.testing.assert_allclose(found.cost, all_costs[expected])
    np.testing.assert_allclose(found.score, all_scores[expected])
    for budget in rng.uniform(all_costs.min() / 2, all_costs.max(), 20):
        place = found.within(budget)
        fitting = all_scores[all_costs <= budget]
        assert (place is None) == (len(fitting) == 0)
        assert place is None or found.score[place] == pytest.approx(fitting.max())


@settings(deadline=None)
@given(problems())
def test_a_suffix_has_the_front_of_its_groups(problem: list[list[Floats]]) -> None:
    scores, costs = problem
    found = suffixes(costs, scores)
    assert len(found) == len(costs) + 1
    for group, (cost, score) in enumerate(found):
        expected = front(costs[group:], scores[group:])
        assert (cost.tolist(), score.tolist()) == (expected.cost.tolist(), expected.score.tolist())


@settings(deadline=None)
@given(problems(), st.integers(-20, 40))
def test_all_that_keep_a_budget_come_best_first(problem: list[list[Floats]], budget: int) -> None:
    scores, costs = problem
    found = list(ranked(costs, scores, budget))
    assert len(set(found)) == len(found)
    assert sums_of(scores, found) == sorted(sums(scores)[sums(costs) <= budget].tolist(), reverse=True)
    assert max(sums_of(costs, found), default=budget) <= budget


@settings(deadline=None, max_examples=40)
@given(problems(costs=2), st.integers(-10, 30), st.integers(-10, 30))
def test_all_that_keep_two_budgets_come_best_first(problem: list[list[Floats]], first: int, second: int) -> None:
    scores, *costs = problem
    found = list(itertools.islice(ranked_under(costs, scores, [first, second]), 4))
    kept = (sums(costs[0]) <= first) & (sums(costs[1]) <= second)
    assert len(set(found)) == len(found)
    assert sums_of(scores, found) == sorted(sums(scores)[kept].tolist(), reverse=True)[:4]


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**31), st.floats(0.2, 0.7), st.floats(0.2, 0.7))
def test_two_budgets_of_fractions_are_kept_exactly(seed: int, first: float, second: float) -> None:
    rng = np.random.default_rng(seed)
    one, other, scores = (list(rng.uniform(0, 1, (7, 6))) for _ in range(3))
    budgets = [7 * first, 7 * second]
    found = list(itertools.islice(ranked_under([one, other], scores, budgets), 3))
    kept = np.sort(sums(scores)[(sums(one) <= budgets[0]) & (sums(other) <= budgets[1])])[::-1]
    assert sums_of(scores, found) == pytest.approx(kept[:3].tolist(), rel=1e-12)


def all_of(space: Space) -> Architectures:
    return np.concatenate(list(every(space)))


def check(space: Space, score: Quantity, limits: Sequence[Limit], count: int) -> None:
    """The found ones are the best of all, and keep the limits by what the sources say."""
    archs = all_of(space)
    kept = np.all([np.ones(len(archs), bool), *(limit.quantity.of(archs) <= limit.most for limit in limits)], axis=0)
    expected = np.sort(score.of(archs[kept]))[::-1][:count]
    if not len(expected):
        with pytest.raises(LimitUnreachable, match=space.name):
            best(space, score, limits, count)
        return
    found = best(space, score, limits, count)
    assert len(np.unique(found, axis=0)) == len(found)
    np.testing.assert_allclose(score.of(found), expected, rtol=1e-9)
    for limit in limits:
        assert (limit.excess(found) == 0).all()


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 99), st.floats(0.8, 1.3), st.sampled_from([None, 0.5, 0.8, 0.95, 0.999]), st.integers(1, 6))
def test_the_best_under_a_limit_that_surely_holds(
    seed: int, share: float, confidence: float | None, count: int
) -> None:
    source = TableSource(make_table(seed, spread=0.02, additivity=ADDITIVITY, space=SMALL), SMALL)
    latency = Latency(source, confidence=confidence)
    _, lowest = smallest(SMALL, latency)
    assert lowest == pytest.approx(latency.of(all_of(SMALL)).min())
    check(SMALL, Count(SMALL, "macs"), [Limit(latency, share * lowest)], count)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 99), st.floats(0.9, 1.5), st.floats(0.9, 1.5), st.floats(0.3, 1.2))
def test_the_best_under_limits_on_two_targets_and_parameters(seed: int, a: float, b: float, c: float) -> None:
    scores = np.random.default_rng(seed).uniform(size=(len(SMALL.choices), 7))
    offered = tuple(row[:count] for row, count in zip(scores, SMALL.choice_counts, strict=True))
    limits = []
    for number, (share, confidence) in enumerate([(a, None), (b, 0.9)]):
        latency = Latency(TableSource(make_table(seed + number, space=SMALL), SMALL), str(number), confidence)
        limits.append(Limit(latency, share * smallest(SMALL, latency)[1]))
    parameters = Count(SMALL, "parameters")
    limits.append(Limit(parameters, c * float(parameters.of(all_of(SMALL)).mean())))
    check(SMALL, ChoiceScores(SMALL, offered), limits, 3)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.floats(0, 3), st.booleans())
def test_the_bound_of_an_upper_end_is_below_it_and_close(seed: int, widening: float, verified: bool) -> None:
    table = make_table(seed % 5, spread=0.03 * (seed % 3), additivity=ADDITIVITY if verified else None)
    space = spaces.get(table.space)
    confidence = float(0.5 + 0.49 * widening / 3)
    for source in (TableSource(table, space), ImportedSource(block_table(table.space, seed % 7), space)):
        latency = Latency(source, confidence=confidence)
        total = latency.total()
        assert total is not None
        archs = space.sample(50, seed)
        bound = total.fixed + np.sum([v[archs[:, place]] for place, v in enumerate(total.offered)], axis=0)
        truth = latency.of(archs)
        assert (bound <= truth * (1 + 1e-12)).all()
        np.testing.assert_allclose(bound, truth, rtol=0.01)


def test_a_bound_without_any_uncertainty_is_the_mean() -> None:
    source = ImportedSource(block_table(SMALL.name), SMALL)
    exact = msgspec.structs.replace(
        source.table, rows=tuple(msgspec.structs.replace(row, spread=0.0) for row in source.table.rows)
    )
    total = Latency(ImportedSource(exact, SMALL), confidence=0.99).total()
    mean = Latency(source).total()
    assert total is not None
    assert mean is not None
    assert total.fixed == mean.fixed
    assert all((a == b).all() for a, b in zip(total.offered, mean.offered, strict=True))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.integers(1, 4))
def test_once_for_all_networks_are_counted_once_and_end_their_stages(seed: int, count: int) -> None:
    space = spaces.get("ofa-w0.5-r32-c4")
    groups = Groups.of(space)
    assert groups.size == space.size
    rng = np.random.default_rng(seed)
    scores = ChoiceScores(space, tuple(rng.uniform(-1, 1, n) for n in space.choice_counts))
    latency = Latency(TableSource(make_table(seed % 9, space=space), space))
    found = best(space, scores, [Limit(latency, 1.4 * smallest(space, latency)[1])], count)
    for arch in found:
        labels = space.describe(arch)
        assert all(labels[place + 1] == "zero" for place in (2, 6, 10, 14, 18) if labels[place] == "zero")
    # Leaving the rule out finds a score that is as high or higher, so the rule was what decided.
    total, cost = scores.total(), latency.total()
    assert total is not None
    assert cost is not None
    free = next(ranked(cost.offered, total.offered, 1.4 * smallest(space, latency)[1] - cost.fixed))
    assert scores.of([free])[0] >= scores.of(found)[0] - 1e-9


@pytest.mark.parametrize("name", ["nasbench201", "ofa-w0.5-r32.64-c4"])
def test_macs_and_parameters_are_those_of_the_networks(name: str) -> None:
    space = spaces.get(name)
    archs = space.sample(8, 1)
    assert Count(space, "macs").of(archs).tolist() == [space.macs(arch) for arch in archs]
    assert Count(space, "parameters").of(archs).tolist() == [space.parameters(arch) for arch in archs]


def test_a_small_space_is_enumerated_when_something_does_not_add_up() -> None:
    score = Function(lambda archs: -np.abs(archs.sum(axis=1) - 9.0) - archs[:, 0] / 10)
    source = TableSource(make_table(1, space=SMALL), SMALL)
    latency = Latency(source, confidence=0.9)
    check(SMALL, score, [Limit(latency, 1.3 * smallest(SMALL, latency)[1])], 5)
    check(SMALL, score, [], 2)
    check(SMALL, score, [Limit(latency, 0.5 * smallest(SMALL, latency)[1])], 1)
    cells = spaces.get("nasbench201")
    cell_latency = Latency(TableSource(make_table(2, space=cells), cells))
    check(cells, Count(cells, "macs"), [Limit(cell_latency, 1.5 * smallest(cells, cell_latency)[1])], 3)


def test_without_limits_the_best_choice_is_taken_everywhere() -> None:
    (found,) = best(SMALL, Count(SMALL, "macs"), [])
    assert Count(SMALL, "macs").of([found])[0] == Count(SMALL, "macs").of(all_of(SMALL)).max()


def test_a_limit_out_of_reach_says_what_can_be_reached() -> None:
    source = TableSource(make_table(0, space=SMALL), SMALL)
    latency = Latency(source, "my phone")
    _, lowest = smallest(SMALL, latency)
    assert len(best(SMALL, Count(SMALL, "macs"), [Limit(latency, lowest)])) == 1
    with pytest.raises(LimitUnreachable, match=r"has my phone <= 1 µs: the smallest reachable is [\d.]+ ms") as caught:
        best(SMALL, Count(SMALL, "macs"), [Limit(latency, 1.0)])
    assert caught.value.exit_code == 1


def test_a_score_that_says_what_the_limit_says_is_refused_before_memory_is_used_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sums of independent floats that rise together: none of 7^21 is dominated."""
    space = spaces.get("proxylessnas-w0.35-r28-c10-i1")
    rng = np.random.default_rng(0)
    same = ChoiceScores(space, tuple(rng.uniform(1, 2, count) for count in space.choice_counts))
    monkeypatch.setattr("hwbench.search.front.MOST_SUMS", 20_000)
    with pytest.raises(TooManySums, match="more than 20000 points"):
        best(space, same, [Limit(same, 30.0)])


def test_limits_that_only_break_together_are_told_apart() -> None:
    offered = tuple(np.arange(float(count)) for count in SMALL.choice_counts)
    up = ChoiceScores(SMALL, offered, "up")
    down = ChoiceScores(SMALL, tuple(values[-1] - values for values in offered), "down")
    middle = float(sum(values[-1] for values in offered)) / 2
    assert len(best(SMALL, up, [Limit(up, middle + 1), Limit(down, middle + 1)])) == 1
    # Their sum is twice the middle everywhere.
    reachable = re.escape(f"the smallest reachable up is {middle + 1:.6g}")
    with pytest.raises(LimitUnreachable, match=f"all limits at once .*{reachable}"):
        best(SMALL, up, [Limit(up, middle - 1), Limit(down, middle - 1)])
    with pytest.raises(LimitUnreachable, match=f"all limits at once .*{reachable}"):
        best(SMALL, up, [Limit(up, middle - 1), Limit(down, middle - 1), Limit(Count(SMALL, "macs"), 1e9)])
    mixed = Function(down.of, "down")
    with pytest.raises(LimitUnreachable, match="all limits at once"):
        best(SMALL, up, [Limit(up, middle - 1), Limit(mixed, middle - 1)])


def test_missing_rows_are_named_and_never_guessed() -> None:
    table = make_table(0, space=SMALL)
    lacking = msgspec.structs.replace(table, rows=(*table.rows[:-1], Row(table.rows[-1].key, failure="load: no")))
    for bad in (lacking, msgspec.structs.replace(table, rows=table.rows[:-1])):
        with pytest.raises(MissingRows) as caught:
            best(SMALL, Count(SMALL, "macs"), [Limit(Latency(TableSource(bad, SMALL)), 1e9)])
        assert caught.value.keys == (table.rows[-1].key,)


def test_what_cannot_be_answered_is_refused() -> None:
    big = spaces.get("proxylessnas")
    with pytest.raises(UsageError, match="no sum over positions"):
        best(big, Function(lambda archs: archs.sum(axis=1)), [])
    with pytest.raises(UsageError, match="not between"):
        Latency(TableSource(make_table(), big), confidence=95.0)
    with pytest.raises(UsageError, match="not a positive number"):
        Limit(Count(big, "macs"), 0.0)
    unsure = block_table(SMALL.name)
    unsure = msgspec.structs.replace(
        unsure, rows=tuple(msgspec.structs.replace(row, spread=None) for row in unsure.rows)
    )
    latency = Latency(ImportedSource(unsure, SMALL), confidence=0.95)
    for ask in (latency.total, lambda: latency.of(SMALL.sample(2, 0))):
        with pytest.raises(DataError, match="without a confidence"):
            ask()
    assert issubclass(LimitUnreachable, HwbenchError)


def test_scores_by_label_name_what_is_missing_or_unknown() -> None:
    scores = {choice.name: dict.fromkeys(choice.labels, 0.5) for choice in SMALL.choices}
    assert ChoiceScores.of_labels(SMALL, scores).of(SMALL.sample(1, 0))[0] == pytest.approx(0.5 * len(SMALL.choices))
    name, label = SMALL.choices[0].name, SMALL.choices[0].labels[0]
    with pytest.raises(DataError, match=f"lacks 1 scores: {name} {label}"):
        ChoiceScores.of_labels(SMALL, scores | {name: {k: v for k, v in scores[name].items() if k != label}})
    with pytest.raises(DataError, match="has 1 scores: elsewhere k3e3"):
        ChoiceScores.of_labels(SMALL, scores | {"elsewhere": {"k3e3": 1.0}})
    with pytest.raises(DataError, match="finite"):
        ChoiceScores.of_labels(SMALL, scores | {name: scores[name] | {label: float("nan")}})
