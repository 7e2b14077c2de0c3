"""Front regret: against brute force, in every kind of score, and what is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench import spaces
from hwbench.errors import DataError, HwbenchError, UsageError
from hwbench.search import accuracies
from hwbench.spaces import nasbench201
from hwbench.tables import formats, imported, matrix, opening
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.fronts import SHARES, front, front_regret, regret
from hwbench.workflows.comparing.compare import compare
from hwbench.workflows.comparing.comparison import Regret
from tests.conftest import TINY, Hwbench
from tests.table_files import block_table
from tests.unit.test_compare import cells, scaled, write

sides = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), min_size=1, max_size=20)


@given(sides, st.integers(1, 4))
def test_regret_is_the_best_less_the_best_of_those_kept(best: list[tuple[int, int]], step: int) -> None:
    kept = best[::step]
    budgets = [cost for cost, _ in best]
    costs, scores = np.array(best, float).T
    kept_costs, kept_scores = np.array(kept, float).T
    found = regret(np.array(budgets, float), (costs, scores), (kept_costs, kept_scores))
    for one, budget in zip(found.budgets, budgets, strict=True):
        top = max(score for cost, score in best if cost <= budget)
        fitting = [score for cost, score in kept if cost <= budget]
        assert one.best == top
        assert one.kept == (max(fitting) if fitting else None)
    known = [one.regret for one in found.budgets if one.regret is not None]
    assert found.unmet == len(budgets) - len(known)
    if known:
        assert found.mean == pytest.approx(sum(known) / len(known))
    assert found.worst == max(known, default=None)


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    """Two tables of a space small enough to look at every architecture."""
    first = block_table(TINY)
    return [write(tmp_path / "a.json", first), write(tmp_path / "b.json", scaled(block_table(TINY, 1), "other"))]


def every() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    counts = spaces.get(TINY).choice_counts
    return np.array(list(itertools.product(*(range(count) for count in counts))), np.uint8)


def regrets_of(found: object) -> dict[tuple[str, str], Regret]:
    return {(one.proxy, one.target): one for pair in found.pairs for one in pair.regrets}  # type: ignore[attr-defined]


@pytest.mark.parametrize("score", ["macs", "file"])
def test_regret_over_exact_fronts_is_that_of_brute_force(tmp_path: Path, pair: list[Path], score: str) -> None:
    space, archs = spaces.get(TINY), every()
    if score == "macs":
        named, scores = "macs", np.array([space.macs(arch) for arch in archs], float)
    else:
        rng = np.random.default_rng(0)
        by_choice = {c.name: {label: float(rng.normal()) for label in c.labels} for c in space.choices}
        (tmp_path / "scores.json").write_text(json.dumps(by_choice))
        named = str(tmp_path / "scores.json")
        described = [zip(space.choices, space.describe(arch), strict=True) for arch in archs]
        scores = np.array([sum(by_choice[c.name][label] for c, label in labels) for labels in described])
    found = compare(pair, networks=100, score=named)
    latencies = {
        target: opening.source_of(imported.load(path), space).predict(archs).mean_us
        for target, path in zip(found.targets, pair, strict=True)
    }
    assert len(found.pairs[0].regrets) == 2
    for (proxy, target), one in regrets_of(found).items():
        own, chosen = (front(latencies[side], scores) for side in (target, proxy))
        budgets = np.quantile(latencies[target][own], SHARES)
        expected = regret(budgets, (latencies[target], scores), (latencies[target][chosen], scores[chosen]))
        assert [budget.budget_us for budget in one.budgets] == pytest.approx(budgets)
        assert one.mean == pytest.approx(expected.mean)
        assert one.worst == pytest.approx(expected.worst)
        assert one.unmet == expected.unmet
    assert found.score is not None
    assert (found.score.name, found.score.architectures) == (Path(named).name, None)


def test_a_target_that_is_only_faster_costs_nothing(tmp_path: Path, pair: list[Path]) -> None:
    twin = write(tmp_path / "twin.json", scaled(imported.load(pair[0]), "twin"))
    found = compare([pair[0], twin], networks=100, score="parameters")
    assert [one.worst for one in regrets_of(found).values()] == [0.0, 0.0]
    assert compare([pair[0], twin], networks=100).pairs[0].regrets == ()


def accuracy_file(path: Path, text: bool = False) -> Path:
    """Random accuracies of the first 300 cells."""
    rng = np.random.default_rng(5)
    archs = nasbench201.in_index_order()[:300]
    lines = [
        f"{nasbench201.describe(arch) if text else ' '.join(map(str, arch))},{rng.uniform(40, 70)}" for arch in archs
    ]
    path.write_text("\n".join([f"{'arch_str' if text else 'architecture'},accuracy", *lines]) + "\n")
    return path


@pytest.mark.parametrize("text", [False, True])
def test_accuracies_of_a_matrix(tmp_path: Path, text: bool) -> None:
    path = cells(tmp_path / "m.json", {"a": 1.0, "b": 0.5, "c": -1.0})
    found = compare([path], accuracy=str(accuracy_file(tmp_path / "accuracy.csv", text)))
    known = accuracies.read(str(tmp_path / "accuracy.csv"), spaces.get("nasbench201"))
    content = opening.load(path)
    scores = known.of(content.encoded.astype(int))  # type: ignore[union-attr]
    for (proxy, target), one in regrets_of(found).items():
        expected = front_regret(content.column(target), content.column(proxy), scores)  # type: ignore[union-attr]
        assert (one.mean, one.worst, one.unmet) == (expected.mean, expected.worst, expected.unmet)
    assert regrets_of(found)["a", "b"].worst == 0.0
    other = regrets_of(found)["c", "a"]
    assert other.unmet > 0 or (other.mean or 0.0) > 0
    assert found.score is not None
    assert (found.score.name, found.score.architectures) == ("accuracy.csv", 300)


def test_accuracies_of_some_architectures_of_tables(tmp_path: Path, pair: list[Path]) -> None:
    space, archs = spaces.get(TINY), every()[::3]
    rng = np.random.default_rng(1)
    lines = [f"{' '.join(space.describe(arch))},x,{rng.uniform(0, 1)}" for arch in archs]
    (tmp_path / "own.csv").write_text("\n".join(["architecture,note,top1", *lines]))
    found = compare(pair, networks=100, accuracy=f"{tmp_path / 'own.csv'}:top1")
    known = accuracies.read(f"{tmp_path / 'own.csv'}:top1", space)
    a, b = (opening.source_of(imported.load(path), space).predict(archs).mean_us for path in pair)
    one = regrets_of(found)["phone", "other"]
    assert one.mean == pytest.approx(front_regret(b, a, known.of(archs)).mean)
    assert found.score is not None
    assert (found.score.name, found.score.architectures) == ("own.csv:top1", len(archs))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("architecture\n0 0 0\n", "lacks the column accuracy"),
        ("accuracy\n1\n", "lacks the column architecture"),
        ("architecture,accuracy\n", "has no row"),
        ("architecture,accuracy\n9 9 9,1\n", "Line 2 of"),
        ("architecture,accuracy\n0 0 0,much\n", "does not hold accuracies"),
        ("architecture,accuracy\n0 0 0,nan\n", "has nan as an accuracy"),
        ("architecture,accuracy\n0 0 0,1\n0 0 0,2\n", "repeats an architecture"),
        ("architecture,accuracy\n0 0 0\n", "does not hold accuracies"),
        ('architecture,accuracy\n"0 0 0,1\n', "does not hold accuracies"),
        ("\x00\xff", "lacks the column"),
    ],
)
def test_accuracy_files_that_are_not_ones(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=wrong):
        accuracies.read(str(path), spaces.get(TINY))


def test_scores_that_cannot_be_counted_in_are_refused(tmp_path: Path, pair: list[Path]) -> None:
    with pytest.raises(UsageError, match="one score"):
        compare(pair, networks=50, score="macs", accuracy="a.csv")
    with pytest.raises(HwbenchError, match=r"missing\.csv cannot be read"):
        compare(pair, networks=50, accuracy=str(tmp_path / "missing.csv"))
    path = cells(tmp_path / "m.json", {"a": 1.0, "b": 0.5})
    (tmp_path / "one.csv").write_text("architecture,accuracy\n4 4 4 4 4 4,1\n")
    stranger = opening.load(path)
    assert (4, 4, 4, 4, 4, 4) not in stranger.architectures  # type: ignore[union-attr]
    with pytest.raises(DataError, match="none of the architectures"):
        compare([path], accuracy=str(tmp_path / "one.csv"))


def test_the_command_prints_regret_beside_the_verdict(hwbench: Hwbench, pair: list[Path]) -> None:
    shown = hwbench("compare", *pair, "--networks", "100", "--score", "macs").stdout
    assert "front regret: macs lost, in % of the most" in shown
    assert "1st for 2nd" in shown
    assert " % / " in shown
    assert "not counted, since no score is given" in hwbench("compare", *pair, "--networks", "100").stdout


def test_published_regrets_are_found_by_compare_too(published: Path, tmp_path: Path) -> None:
    whole = formats.read(published / "help" / "data" / "nasbench201")
    assert isinstance(whole, LatencyMatrix)
    columns = tuple(column for column in whole.columns if column.target in ("pixel3", "raspi4", "pixel2"))
    matrix.save(msgspec.structs.replace(whole, columns=columns), tmp_path / "m.json")
    accuracy = f"{published / 'nb201' / 'accuracy.csv'}:e200_cifar100_test"
    lost = regrets_of(compare([tmp_path / "m.json"], networks=50, accuracy=accuracy))
    for proxy, target, mean in (("pixel3", "raspi4", 0.11), ("pixel3", "pixel2", 0.47), ("raspi4", "pixel2", 1.33)):
        assert lost[proxy, target].mean == pytest.approx(mean, abs=0.0051)


def test_a_matrix_and_a_table_are_compared_over_the_matrix(tmp_path: Path) -> None:
    """The table's target has a name that the matrix has too."""
    path = cells(tmp_path / "m.json", {"a": 1.0, "b": 0.5})
    table = write(tmp_path / "blocks.json", msgspec.structs.replace(block_table(nasbench201.DEFAULT), target="a"))
    found = compare([path, table], score="macs")
    assert found.targets == ("a", "b", "blocks")
    assert (found.architectures, found.score.architectures if found.score else None) == (300, 300)
    space, archs = spaces.get(nasbench201.DEFAULT), nasbench201.in_index_order()[:300]
    summed = opening.source_of(imported.load(table), space).predict(archs).mean_us
    scores = np.array([space.macs(arch) for arch in archs], float)
    expected = front_regret(opening.load(path).column("b"), summed, scores)  # type: ignore[union-attr]
    assert regrets_of(found)["blocks", "b"].mean == pytest.approx(expected.mean)
