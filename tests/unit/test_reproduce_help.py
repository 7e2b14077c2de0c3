"""HELP's evaluation: splits, test sets, both methods on published data, refusals."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from hwbench.cli.main import app
from hwbench.errors import DataError, Incomparable, UsageError
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.help.settings import HELP, MAML, META_SGD
from hwbench.workflows.adapting.few_shot import Floats, GaussianProcess, Guess, Places, Predictor, Stage
from hwbench.workflows.adapting.trained import MetaLearned
from hwbench.workflows.reproducing import help as reproduce_help
from hwbench.workflows.reproducing.help import Options, evaluate
from hwbench.workflows.reproducing.help_study import SPLITS, Study, open_study
from tests.few_shot_pools import simulated_matrix

KEYS = {"space", "method", "samples", "measurements", "picks", "seeds", "test", "spearman", "interval_coverage_90",
        "median_ape", "seconds", "published"}  # fmt: skip


@pytest.fixture(scope="module")
def made_up() -> Study:
    matrix: LatencyMatrix = simulated_matrix("nasbench201-w16-n5-r32-c10", 1500, 4, 0.01)
    return Study(matrix, tuple(range(10)), 300)


def small(**changes: object) -> Options:
    return Options(**{"sources": ("d0", "d1", "d2"), "targets": ("d3",), "seeds": 2, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("picks", ["active", "random", "reference"])
@pytest.mark.parametrize("test", ["trimmed", "next1000", "all"])
def test_every_protocol_runs(made_up: Study, picks: reproduce_help.Picks, test: reproduce_help.Test) -> None:
    found = evaluate(made_up, small(picks=picks, test=test))
    assert found.spearman.mean > 0.8
    assert found.spearman.per_target.keys() == {"d3"}
    assert found.interval_coverage_90 is not None
    assert 0.5 < found.interval_coverage_90 <= 1
    assert 0 < found.median_ape < 0.3


def test_picks_never_see_the_test_set(made_up: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    original = GaussianProcess.adapt

    def spy(self: object, measured: np.ndarray, latency_us: np.ndarray, wanted: np.ndarray) -> object:
        seen.append(measured)
        assert not set(measured.tolist()) & set(wanted.tolist())
        return original(self, measured, latency_us, wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(GaussianProcess, "adapt", spy)
    for picks in ("active", "random"):
        evaluate(made_up, small(picks=picks, test="trimmed"))
    assert all(((one < 300) | (one >= 1300)).all() for one in seen)


def test_the_trimmed_test_is_the_middle_of_the_next_thousand() -> None:
    latency = np.random.default_rng(0).permutation(2000).astype(float) + 1
    trimmed = reproduce_help.test_places(latency, "trimmed", 900)
    whole = reproduce_help.test_places(latency, "next1000", 900)
    assert (len(trimmed), len(whole), whole.min(), whole.max()) == (800, 1000, 900, 1899)
    low, high = np.quantile(latency[whole], [0.1, 0.9])
    assert ((latency[trimmed] >= low) & (latency[trimmed] <= high)).all()
    latency[5] = np.nan
    assert len(reproduce_help.test_places(latency, "all", 900)) == 1999


def test_flops_have_no_intervals_and_follow_the_macs(made_up: Study) -> None:
    found = evaluate(made_up, small(method="flops", picks="random"))
    assert found.interval_coverage_90 is None
    assert found.spearman.mean > 0.3
    with pytest.raises(UsageError, match="flops chooses no"):
        evaluate(made_up, small(method="flops", picks="active"))


QUICK: dict[str, Any] = {"width": 16, "query": 16, "episodes": 10}


@pytest.fixture
def _quick_training(monkeypatch: pytest.MonkeyPatch) -> None:
    for method, settings in (("help", HELP), ("metasgd", META_SGD), ("maml", MAML)):
        quick = partial(MetaLearned, settings=msgspec.structs.replace(settings, **QUICK))
        monkeypatch.setitem(reproduce_help.METHODS, method, quick)


@pytest.mark.usefixtures("_quick_training")
@pytest.mark.parametrize(
    ("method", "measurements"),
    [("help", 20), ("metasgd", 10), ("maml", 10), ("brpnas", 10), ("adaproxy", 10), ("table", 10), ("flops", 10)],
)
def test_every_method_sees_the_same_picks_and_all_it_measures_is_counted(
    made_up: Study, method: reproduce_help.Method, measurements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = msgspec.structs.replace(made_up, references=tuple(range(1400, 1410)))
    seen: list[list[int]] = []

    def watched(stage: Stage) -> Predictor:
        predictor = made(stage)
        adapt = predictor.adapt

        def spy(measured: Places, latency_us: Floats, wanted: Places) -> Guess:
            assert not np.isin(measured, wanted).any()
            seen.append([int(place) for place in measured if place < 300])
            return adapt(measured, latency_us, wanted)

        predictor.adapt = spy  # type: ignore[method-assign]
        return predictor

    made = reproduce_help.METHODS[method]
    monkeypatch.setitem(reproduce_help.METHODS, method, watched)
    found = evaluate(far, small(method=method))
    assert (found.picks, found.samples, found.measurements) == ("random", 10, measurements)
    assert seen == [np.random.default_rng(seed).choice(300, 10, replace=False).tolist() for seed in (0, 1)]
    assert found.interval_coverage_90 is None
    assert -1 <= found.spearman.mean <= 1


@pytest.mark.usefixtures("_quick_training")
def test_a_checkpoint_is_written_then_used_and_never_for_another_split(
    made_up: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "help.safetensors"
    asked = small(method="help", checkpoint=path)
    first = evaluate(made_up, asked)
    monkeypatch.setattr("hwbench.transfer.help.predictor.train", None)
    assert evaluate(made_up, asked).spearman == first.spearman
    with pytest.raises(Incomparable, match="other sources"):
        evaluate(made_up, small(method="help", checkpoint=path, sources=("d0", "d1")))
    with pytest.raises(UsageError, match="not trained"):
        evaluate(made_up, small(checkpoint=path))
    with pytest.raises(UsageError, match="reference architectures"):
        evaluate(msgspec.structs.replace(made_up, references=()), small(method="help"))


def test_the_learned_methods_need_their_extra(made_up: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for method in ("help", "metasgd", "maml", "brpnas"):
        with pytest.raises(UsageError, match=r"hwbench\[search\]"):
            evaluate(made_up, small(method=method))


def test_contradictions_are_refused(made_up: Study, tmp_path: Path) -> None:
    for changes, words in (
        ({"targets": ("d0",)}, "a source and a target"),
        ({"picks": "reference", "samples": 11}, "10 reference"),
        ({"seeds": 0}, "seed"),
    ):
        with pytest.raises(UsageError, match=words):
            evaluate(made_up, small(**changes))
    with pytest.raises(DataError, match="no target"):
        evaluate(made_up, small(targets=("d7",)))
    with pytest.raises(UsageError, match="no space"):
        open_study("hat", tmp_path)
    with pytest.raises(DataError, match="HayeonLee/HELP"):
        open_study("fbnet", tmp_path)


def test_without_data_the_command_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HWBENCH_DATA", raising=False)
    with pytest.raises(UsageError, match="HWBENCH_DATA"):
        open_study("fbnet")


def test_help_s_split_is_beaten(published: Path) -> None:
    """Published: .932 and .910; three seeds here, ten in benchmarks/few_shot.py."""
    for space, least in (("nasbench201", 0.945), ("fbnet", 0.945)):
        found = reproduce_help.reproduce_help(Options(space, seeds=3), published)
        assert set(found.spearman.per_target) == set(SPLITS[space].targets)
        assert found.spearman.mean > least
        assert found.published["mean"] < found.spearman.mean


def test_the_command_prints_what_scripts_rely_on(published: Path) -> None:
    words = ["reproduce", "help", "--space", "fbnet", "--seeds", "1", "--picks", "random", "--data", str(published)]
    shown = CliRunner().invoke(app, words)
    assert "HELP, 10 + 10" in shown.output
    document = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert set(document) >= KEYS
    assert set(document["spearman"]) == {"mean", "sd", "per_target"}
    assert set(document["seconds"]) == {"meta", "adapt"}


def test_other_splits_and_csv_matrices(published: Path) -> None:
    """A CSV of other targets, one of which lacks values."""
    options = Options(
        sources=("eagle_cpu_855", "rice_raspi4", "eagle_tpu"), targets=("rice_edgetpu",), test="all", seeds=1
    )
    found = evaluate(open_study("nasbench201", published / "oneproxy" / "latency.csv"), options)
    assert found.spearman.mean > 0.3
