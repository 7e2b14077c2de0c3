"""`hwbench reproduce memory`, `search` and `specialization`, on networks that take seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hwbench.cli.main import app
from hwbench.errors import DataError, Incomparable, UsageError
from hwbench.search.data import npz
from hwbench.search.data.images import dataset
from hwbench.search.supernet import recipes
from hwbench.tables import lookup
from hwbench.tables.source import TableSource
from hwbench.workflows.reproducing import search_study
from hwbench.workflows.reproducing.memory import LARGEST_FIRST, memory, offering
from hwbench.workflows.reproducing.search import Question, reproduce_search
from hwbench.workflows.reproducing.search_study import Case, Study, StudyImages, run_case, study_images
from hwbench.workflows.reproducing.specialization import PUBLISHED, Seen, Specialised, checks_of
from tests.supernets import SMALL, Table, images
from tests.unit.test_search_supernet import SETTINGS
from tests.unit.test_tables import make_table


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    for seed, name in enumerate(("phone", "board", "tablet")):
        lookup.save(make_table(seed, spread=0.01, space=SMALL), folder / f"{name}.json")
    train, test = images(160, 1), images(64, 2)
    arrays = (train.pixels, train.labels, test.pixels, test.labels)
    np.savez(folder / "images.npz", **dict(zip(npz.ARRAYS, arrays, strict=True)))
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    return folder


def document(*words: object) -> tuple[int, Any]:
    """Exit code and JSON of a command that has an answer, yes or no."""
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(done.stdout)


def test_memory_is_flat_but_for_darts() -> None:
    code, found = document("reproduce", "memory", "--space", SMALL.name, "--batch", 16)
    verdicts = {check["name"]: check for check in found["checks"]}
    assert [one["choices"] for one in found["held"]] == [1, 2, 4, 7]
    for name in ("one path", "two paths recomputed", "all paths"):
        assert verdicts[f"{name}, 7 choices over 1"]["agrees"]
    darts = verdicts["DARTS over one path, 7 choices"]
    assert darts["computed"] > 2.5
    assert code == (0 if all(check["agrees"] for check in found["checks"]) else 1)
    one, two = (found["held"][-1]["saved_bytes"][name] for name in ("one_path", "two_paths"))
    assert one < two < 2 * one
    shown = CliRunner().invoke(app, ["reproduce", "memory", "--space", SMALL.name, "--batch", "2"]).stdout
    assert "7 choices" in shown
    with pytest.raises(UsageError, match="not a chain"):
        memory("nasbench201")
    with pytest.raises(UsageError, match=r"stage1\.0 .* has none of k9e9"):
        offering(SMALL, ("k9e9",))
    assert all(position.labels[0] == LARGEST_FIRST[0] for position in offering(SMALL, LARGEST_FIRST).positions)


def test_the_small_study(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["reproduce", "search", "--table", inputs / "phone.json", "--images", inputs / "images.npz", "--settings",
             inputs / "settings.json", "--sizes", 96, 32, 48, "--folder", tmp_path / "study"]  # fmt: skip
    _, found = document(*words)
    (case,) = found["cases"]
    assert case["derived"][0]["latency_us"] <= case["limit_us"]
    assert found["checks"][0]["agrees"]
    spent = case["searched"]["cpu_seconds"] + case["derived"][0]["cpu_seconds"]
    rivals = case["rivals"]
    assert sum(rival["cpu_seconds"] for rival in rivals[:-1]) <= spent
    assert all(0.9 * case["limit_us"] <= rival["latency_us"] <= case["limit_us"] for rival in rivals)
    assert len({tuple(rival["labels"]) for rival in rivals}) == len(rivals)
    # A second run finds every piece in the folder.
    monkeypatch.setattr(search_study, "train", None)
    monkeypatch.setattr(search_study, "SupernetSearch", None)
    assert document(*words)[1] == found
    shown = CliRunner().invoke(app, list(map(str, words))).stdout
    assert "rivals" in shown
    assert "found network over the mean random one" in shown
    with pytest.raises(Incomparable, match="a study with other settings"):
        document(*words, "--sizes", 64, 32, 48)


def small_study(folder: Path) -> Study:
    recipe = msgspec.convert(SETTINGS, recipes.Recipe)
    return Study(SMALL, StudyImages(images(64, 1), images(32, 2), images(32, 3)), recipe, 0.0, folder, derived=2)


def test_a_study_stops_between_pieces_and_goes_on(tmp_path: Path) -> None:
    study, case = small_study(tmp_path), Case("phone", Table(SMALL), 0.25, 0)
    pieces = iter([True, True, False])
    assert run_case(study, case, lambda: next(pieces)) is None
    assert {path.name for path in (tmp_path / "phone-q25-s0").iterdir()} == {"search.json", "derived-0.json"}
    found = run_case(study, case)
    assert found is not None
    assert run_case(study, case, lambda: False) == found
    assert found.chosen.validation == max(rival.validation for rival in found.rivals)
    assert len({one.labels for one in found.derived}) == len(found.searched.architectures) == 2
    assert found.found.validation == max(one.validation for one in found.derived)
    spent = found.searched.cpu_seconds + sum(one.cpu_seconds for one in found.derived)
    assert sum(rival.cpu_seconds for rival in found.rivals[:-1]) <= spent


def test_more_compute_buys_more_rivals(tmp_path: Path) -> None:
    study, case = small_study(tmp_path), Case("phone", Table(SMALL), 0.25, 0)
    few = run_case(study, case)
    assert few is not None
    tuned = msgspec.structs.replace(study, tuning_cpu_seconds=2.5 * max(rival.cpu_seconds for rival in few.rivals))
    many = run_case(tuned, case)
    assert many is not None
    assert len(many.rivals) > len(few.rivals)
    assert many.rivals[: len(few.rivals)] == few.rivals


def test_a_study_needs_its_images() -> None:
    one = images(40)
    found = dataset("d", (one.pixels, one.labels), (one.pixels, one.labels))
    parts = study_images(found, 24, 8, 16)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (24, 8, 16)
    with pytest.raises(DataError, match="d has 40 training and 40 test images"):
        study_images(found, 36, 8, 16)
    with pytest.raises(UsageError, match="quantile"):
        Question(quantile=1.0)


def test_the_study_without_published_data_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, inputs: Path) -> None:
    monkeypatch.delenv("HWBENCH_DATA", raising=False)
    small = Question(space="proxylessnas-v8.8.12.16.24-r8-c4-d2.2-s2.1", images=inputs / "images.npz")
    with pytest.raises(UsageError, match=r"mobile_trim\.yaml.*HWBENCH_DATA"):
        reproduce_search(small)


def test_specialisation_over_three_tables(inputs: Path, tmp_path: Path) -> None:
    names = ("phone", "board", "tablet")
    tables = [inputs / f"{name}.json" for name in names]
    words = ["reproduce", "specialization", *tables, "--images", inputs / "images.npz", "--settings",
             inputs / "settings.json", "--folder", tmp_path / "own", "--limit", "phone=20ms"]  # fmt: skip
    code, found = document(*words)
    assert [one["target"] for one in found["networks"]] == list(names)
    assert found["networks"][0]["limit_us"] == 20_000
    sources = {name: TableSource(lookup.load(path), SMALL) for name, path in zip(names, tables, strict=True)}
    for row, one in enumerate(found["networks"]):
        architecture = SMALL.parse(one["labels"])
        for name, seen in zip(names, one["seen"], strict=True):
            assert seen["latency_us"] == pytest.approx(float(sources[name].predict(architecture).mean_us[0]))
            assert not seen["measured"]
        assert one["seen"][row]["latency_us"] <= one["limit_us"]
        assert sum(one["kernels"].values()) == pytest.approx(1)
        assert sum(one["depth"].values()) == sum(label != "zero" for label in one["labels"])
    assert [row["latency_ms"][1] for row in found["published"]] == [204.9, 138.7, 164.1]
    assert code == (0 if found["agrees"] else 1)
    shown = CliRunner().invoke(app, list(map(str, words))).stdout
    assert "138.7 ms" in shown
    assert "predicted" in shown
    with pytest.raises(UsageError, match="names none of the tables"):
        document(*words, "--limit", "other=1ms")
    with pytest.raises(UsageError, match="two tables or more"):
        document("reproduce", "specialization", tables[0])


def test_a_column_agrees_when_its_own_network_is_fastest_or_the_interval_leaves_it_open() -> None:
    def network(target: str, accuracy: float, *latencies: float) -> Specialised:
        seen = tuple(Seen(value, 0.95 * value, 1.05 * value, (), True) for value in latencies)
        return Specialised(target, 100.0, (), accuracy, seen, {}, {}, {})

    best = checks_of([network("a", 0.9, 10.0, 30.0), network("b", 0.9, 20.0, 15.0)], 10_000)
    assert [check.computed for check in best] == [2.0, 2.0]
    assert all(check.agrees for check in best)
    close = checks_of([network("a", 0.9, 10.0, 14.5), network("b", 0.9, 20.0, 15.0)], 10_000)
    assert [check.agrees for check in close] == [True, True]
    for accuracy, agrees in ((0.95, False), (0.905, True), (0.8, True)):
        faster = checks_of([network("a", accuracy, 10.0, 10.0), network("b", 0.9, 20.0, 15.0)], 10_000)
        assert [check.agrees for check in faster] == [True, agrees]
        assert faster[1].unit == "points"
        assert faster[1].computed == pytest.approx(100 * (0.9 - accuracy))
    diagonal = [min(range(3), key=lambda row: PUBLISHED[row].latency_ms[column]) for column in range(3)]
    assert diagonal == [0, 1, 2]
