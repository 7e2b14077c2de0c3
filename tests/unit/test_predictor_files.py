"""Predictors as files and as latency sources: the same predictions, nothing damaged or contradictory is believed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from hwbench import files, spaces
from hwbench.cli.main import app
from hwbench.errors import CorruptFile, DataError, Incomparable, SchemaTooNew, UsageError
from hwbench.search.quantities import Latency
from hwbench.spaces.space import ChainSpace
from hwbench.tables import imported, matrix, opening
from hwbench.tables.opening import PREDICTOR
from hwbench.tables.source import LatencySource
from hwbench.transfer import predictor_file
from hwbench.transfer.help.settings import HELP
from hwbench.transfer.predictor_file import AdaptedProxy, GaussianProcess, MetaLearned, Network, Predictor
from hwbench.transfer.predictor_source import half_width_of, source_of
from hwbench.workflows.adapting import methods as adapt_methods
from hwbench.workflows.adapting.adapt import adapt
from hwbench.workflows.adapting.methods import ByMetaLearning, Method
from hwbench.workflows.comparing.compare import compare
from hwbench.workflows.sources import latency_source
from tests.few_shot_pools import simulated_matrix
from tests.table_files import block_table
from tests.unit.test_exchange import run, text

CHAIN, CELLS = "fbnet-cifar-r32-c100", "nasbench201-w16-n5-r32-c10"
SPACE = spaces.get(CHAIN)
METHODS: tuple[Method, ...] = ("gp", "help", "adaproxy")

Predictors = dict[str, Path]


@pytest.fixture(scope="module")
def predictors(tmp_path_factory: pytest.TempPathFactory) -> Predictors:
    """Of one simulated device, by each method."""
    folder = tmp_path_factory.mktemp("predictors")
    matrix.save(simulated_matrix(CHAIN, 300, 6, 0.01), folder / "m.json")
    quick = msgspec.structs.replace(HELP, width=16, query=16, episodes=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setitem(adapt_methods.METHODS, "help", partial(ByMetaLearning, settings=quick))
        return {
            method: adapt(target=f"{folder / 'm.json'}:d5", method=method, output=folder / f"{method}.json").path
            for method in METHODS
        }


@pytest.fixture(scope="module")
def sources(predictors: Predictors) -> dict[str, tuple[LatencySource, LatencySource]]:
    """Each opened twice."""
    return {method: (source_of(predictor_file.load(path)), latency_source(path)) for method, path in predictors.items()}


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.sampled_from(METHODS))
def test_a_file_predicts_the_same_each_time(
    sources: dict[str, tuple[LatencySource, LatencySource]], seed: int, method: str
) -> None:
    archs = SPACE.sample(7, seed)
    first, second = (source.predict(archs) for source in sources[method])
    for one, other in zip(msgspec.structs.astuple(first), msgspec.structs.astuple(second), strict=True):
        assert one.tolist() == other.tolist()
    assert (first.lower_us <= first.mean_us).all()
    assert (first.mean_us <= first.upper_us).all()
    single = [float(sources[method][0].predict(arch).mean_us[0]) for arch in archs]
    assert single == pytest.approx(first.mean_us.tolist(), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_what_was_said_of_held_out_networks_is_what_the_file_predicts(predictors: Predictors, method: str) -> None:
    found = predictor_file.load(predictors[method])
    spans = latency_source(predictors[method]).predict([one.network.architecture for one in found.held_out])
    assert [one.predicted_us for one in found.held_out] == spans.mean_us.tolist()
    assert [one.upper_us for one in found.held_out] == spans.upper_us.tolist()


def test_intervals_come_from_errors_that_were_left_out() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(4000):
        error = 0.05 * rng.standard_normal(11)
        half = half_width_of(np.full(10, 100.0), 100 * (1 + error[:10]))
        held.append(abs(error[10]) <= half)
    assert np.mean(held) == pytest.approx(0.95, abs=0.012)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**7), st.integers(0, 7), st.sampled_from(METHODS))
def test_a_flipped_bit_is_found(
    predictors: Predictors, tmp_path_factory: pytest.TempPathFactory, place: int, bit: int, method: str
) -> None:
    data = bytearray(predictors[method].read_bytes())
    data[place % len(data)] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "flipped.json"
    path.write_bytes(data)
    # A flipped version says that it is a later one.
    with pytest.raises((CorruptFile, SchemaTooNew), match=r"flipped\.json"):
        predictor_file.load(path)


def test_a_later_version_and_another_kind_are_refused(predictors: Predictors, tmp_path: Path) -> None:
    found = predictor_file.load(predictors["adaproxy"])
    files.save(tmp_path / "p.json", PREDICTOR, predictor_file.VERSION + 1, found)
    with pytest.raises(SchemaTooNew, match="predictor/2"):
        latency_source(tmp_path / "p.json")
    files.save(tmp_path / "p.json", "table", 1, found)
    with pytest.raises(CorruptFile):
        latency_source(tmp_path / "p.json")
    with pytest.raises(DataError, match=r"is a predictor, not a table.*search"):
        opening.load(predictors["gp"])


Change = Callable[[Predictor], Predictor]


def replaced(**changes: object) -> Change:
    return lambda found: msgspec.structs.replace(found, **changes)


def model_replaced(**changes: object) -> Change:
    return lambda found: msgspec.structs.replace(found, model=msgspec.structs.replace(found.model, **changes))


def pool_replaced(**changes: object) -> Change:
    def change(found: Predictor) -> Predictor:
        assert isinstance(found.model, GaussianProcess)
        pool = msgspec.structs.replace(found.model.pool, **changes)
        return msgspec.structs.replace(found, model=GaussianProcess(pool))

    return change


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("adaproxy", replaced(space="fbnet")),
        ("adaproxy", replaced(space="no-such-space")),
        ("adaproxy", replaced(space="hat")),
        ("adaproxy", replaced(measured=())),
        ("adaproxy", replaced(measured=(Network((0, 0), 1.0),))),
        ("adaproxy", replaced(measured=(Network((200,) * 22, 1.0),))),
        ("adaproxy", replaced(measured=(Network((0,) * 22, -1.0),))),
        ("adaproxy", model_replaced(offered_us=((1.0,),) * 22)),
        ("adaproxy", model_replaced(fixed_us=1e13)),
        ("adaproxy", model_replaced(half_width=-0.1)),
        ("help", model_replaced(references=1000)),
        ("gp", pool_replaced(space=CELLS)),
        ("gp", pool_replaced(columns=())),
        ("gp", pool_replaced(metric="energy_mj")),
        ("gp", pool_replaced(architectures=((1e300,) * 22,) * 300)),
        ("gp", pool_replaced(architectures=((0.5,) * 22,) * 300)),
        ("gp", pool_replaced(architectures=((9,) * 22,) * 300)),
    ],
)
def test_what_contradicts_itself_is_corrupt(
    predictors: Predictors, tmp_path: Path, method: str, change: Change
) -> None:
    predictor_file.save(change(predictor_file.load(predictors[method])), tmp_path / "p.json")
    with pytest.raises(CorruptFile, match=r"p\.json"):
        predictor_file.load(tmp_path / "p.json")


def test_a_trained_state_that_does_not_fit_is_corrupt(predictors: Predictors, tmp_path: Path) -> None:
    found = predictor_file.load(predictors["help"])
    assert isinstance(found.model, MetaLearned)
    swapped = (found.measured[1], found.measured[0], *found.measured[2:])
    for change in (
        model_replaced(trained=b"no tensors"),
        model_replaced(trained=found.model.trained[:-4]),
        model_replaced(references=9),
        replaced(measured=swapped),
    ):
        predictor_file.save(change(found), tmp_path / "p.json")
        with pytest.raises(CorruptFile):
            latency_source(tmp_path / "p.json")


def test_a_pool_that_says_nothing_is_refused(predictors: Predictors, tmp_path: Path) -> None:
    found = predictor_file.load(predictors["gp"])
    assert isinstance(found.model, GaussianProcess)
    column = found.model.pool.columns[0]
    constant = msgspec.structs.replace(column, values=(5.0,) * len(column.values))
    predictor_file.save(pool_replaced(columns=(constant,))(found), tmp_path / "p.json")
    with pytest.raises(DataError, match="Source d0"):
        latency_source(tmp_path / "p.json")


def test_help_needs_torch_and_the_others_do_not(predictors: Predictors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"hwbench\[search\]"):
        latency_source(predictors["help"])
    for method in ("gp", "adaproxy"):
        assert latency_source(predictors[method]).predict(SPACE.sample(1, 0)).mean_us[0] > 0


@pytest.mark.parametrize("method", METHODS)
def test_table_predict_takes_a_predictor(predictors: Predictors, method: str) -> None:
    path = predictors[method]
    found = run("table", "predict", path, "--random", 3)
    expected = latency_source(path).predict(SPACE.sample(1, 3))
    prediction = found["prediction"]
    assert prediction["value_us"] == expected.mean_us[0]
    assert prediction["lower_us"] == expected.lower_us[0]
    assert prediction["upper_us"] == expected.upper_us[0]
    assert found["labels"] == list(SPACE.describe(SPACE.sample(1, 3)))
    if method == "adaproxy":
        assert sum(term["value_us"] for term in prediction["terms"]) == pytest.approx(prediction["value_us"])
    shown = text("table", "predict", path, "--random", 3)
    assert "measured on d5" in shown
    assert f"({method})" in shown
    with pytest.raises(Incomparable, match="not of fbnet"):
        run("table", "predict", path, "--random", 3, "--space", "fbnet")


def middle_us(path: Path) -> float:
    return round(float(np.median(latency_source(path).predict(SPACE.sample(300, 0)).mean_us)), 3)


@pytest.mark.parametrize("confidence", [None, 95])
def test_an_exact_search_takes_a_predictor_that_is_a_sum(
    predictors: Predictors, tmp_path: Path, confidence: int | None
) -> None:
    path, limit = predictors["adaproxy"], middle_us(predictors["adaproxy"])
    sure = [] if confidence is None else ["--confidence", confidence]
    found = run("search", "--predictor", path, "--limit", f"{limit}us", "-o", tmp_path / "a.json", *sure)
    (kept,) = found["answer"]["kept"]
    assert found["method"] == "exact"
    assert kept["value"] <= limit
    assert kept["mean_us"] == pytest.approx(latency_source(path).predict([found["answer"]["architecture"]]).mean_us[0])
    archs = SPACE.sample(2000, 1)
    values = Latency(latency_source(path), confidence=None if confidence is None else confidence / 100).of(archs)
    assert found["answer"]["score"] >= max(SPACE.macs(arch) for arch in archs[values <= limit][:50])
    assert run("search", "--predictor", path)["front"]


@pytest.mark.parametrize("method", ["gp", "help"])
def test_other_predictors_are_searched_by_evolution(predictors: Predictors, tmp_path: Path, method: str) -> None:
    path, limit = predictors[method], middle_us(predictors[method])
    words = ["search", "--predictor", path, "--limit", f"{limit}us", "-o", tmp_path / "a.json"]
    with pytest.raises(UsageError, match=r"no sum over positions.*evolution"):
        run(*words)
    found = run(*words, "--method", "evolution", "--children", 40, "--population", 20)
    assert found["answer"]["kept"][0]["value"] <= limit


def test_a_small_space_is_looked_through_with_any_predictor(tmp_path: Path) -> None:
    matrix.save(simulated_matrix(CELLS, 400, 3, 0.01), tmp_path / "m.json")
    path = adapt(target=f"{tmp_path / 'm.json'}:d2", output=tmp_path / "p.json").path
    space = spaces.get(CELLS)
    limit = round(float(np.median(latency_source(path).predict(space.sample(300, 0)).mean_us)), 3)
    found = run("search", "--predictor", path, "--limit", f"{limit}us", "-o", tmp_path / "a.json")
    archs = space.sample(3000, 5)
    below = archs[latency_source(path).predict(archs).mean_us <= limit]
    assert found["answer"]["score"] >= max(space.macs(arch) for arch in below[:100])


def test_a_search_needs_a_table_or_a_predictor() -> None:
    done = CliRunner().invoke(app, ["search", "--limit", "60ms"])
    assert isinstance(done.exception, UsageError)
    assert "--predictor" in str(done.exception)


def test_compare_takes_predictors_beside_tables(predictors: Predictors, tmp_path: Path) -> None:
    assert isinstance(SPACE, ChainSpace)
    imported.save(block_table(CHAIN), tmp_path / "t.json")
    found = compare([predictors["gp"], predictors["adaproxy"], tmp_path / "t.json"], networks=200)
    agreements = {(pair.agreement.a, pair.agreement.b): pair.agreement for pair in found.pairs}
    assert agreements["d5 (gp)", "d5 (adaproxy)"].estimate > 0.8
    assert found.ceilings["d5 (gp)"] is None
    assert {one.target: one.files for one in found.sources}["d5 (gp)"] == ("gp.json",)
    again = compare([predictors["gp"], predictors["gp"].parent / "m.json"], networks=200)
    pair = next(pair for pair in again.pairs if {pair.agreement.a, pair.agreement.b} == {"d5", "d5 (gp)"})
    assert pair.agreement.estimate > 0.9


def test_an_adapted_proxy_offers_what_its_sums_are_made_of(predictors: Predictors) -> None:
    found = predictor_file.load(predictors["adaproxy"])
    assert isinstance(found.model, AdaptedProxy)
    source = source_of(found)
    total = Latency(source, "p").total()
    assert total is not None
    archs = SPACE.sample(50, 4)
    sums = total.fixed + sum(values[archs[:, place]] for place, values in enumerate(total.offered))
    assert sums == pytest.approx(source.predict(archs).mean_us)
    sure = Latency(source, "p", confidence=0.9)
    bound = sure.total()
    assert bound is not None
    below = bound.fixed + sum(values[archs[:, place]] for place, values in enumerate(bound.offered))
    assert (below <= sure.of(archs) * (1 + 1e-9)).all()
