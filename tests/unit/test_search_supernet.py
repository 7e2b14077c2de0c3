"""`hwbench search --method supernet`: from a table and images to a trained network, and what stands in the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import hwbench
from hwbench import files, spaces
from hwbench.cli.main import app
from hwbench.errors import CorruptFile, DataError, Incomparable, LimitUnreachable, MissingRows, UsageError
from hwbench.models import weight_files
from hwbench.search import data
from hwbench.search.data import npz
from hwbench.search.evolution import Settings
from hwbench.search.supernet import outcome as outcomes
from hwbench.search.supernet import recipes
from hwbench.search.training.batches import Normalisation
from hwbench.search.training.network import accuracy
from hwbench.spaces import architecture_file
from hwbench.tables import lookup
from hwbench.tables.source import TableSource
from hwbench.workflows.extras import one_thread
from hwbench.workflows.searching import supernet_steps
from hwbench.workflows.searching.supernet import SupernetFolder, load_derived
from tests.conftest import ROOT
from tests.supernets import SMALL, images
from tests.unit.test_exchange import run, text
from tests.unit.test_tables import make_table

SETTINGS = {
    "search": {
        "warm_up": {"epochs": 1},
        "weights": {"epochs": 2, "batch": 16, "learning_rate": 0.05},
        "architecture": {"batch": 16, "every": 2, "learning_rate": 0.1, "first_epoch": 0},
        "augmentation": {"shift": 0},
        "seed": 3,
    },
    "training": {"weights": {"epochs": 2, "batch": 16}},
    "held_out": 0.25,
}
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "host"), str(ROOT)])}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, images and settings."""
    folder = tmp_path_factory.mktemp("inputs")
    lookup.save(make_table(1, spread=0.01, space=SMALL), folder / "phone.json")
    lookup.save(make_table(2, spread=0.01, space=SMALL), folder / "board.json")
    train, test = images(128, 1), images(64, 2)
    # Class by class, as folders of images are.
    train = train.take(np.argsort(train.labels, kind="stable"))
    arrays = (train.pixels, train.labels, test.pixels, test.labels)
    np.savez(folder / "images.npz", **dict(zip(npz.ARRAYS, arrays, strict=True)))
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    return folder


def limit_us(inputs: Path, name: str = "phone", quantile: float = 0.3) -> float:
    source = TableSource(lookup.load(inputs / f"{name}.json"), SMALL)
    return float(np.quantile(source.predict(SMALL.sample(500, 0)).mean_us, quantile))


def words(inputs: Path, folder: Path, *more: object) -> list[object]:
    return [
        "search", "--method", "supernet", "--table", inputs / "phone.json", "--limit", f"{limit_us(inputs):.3f}us",
        "--data", inputs / "images.npz", "--settings", inputs / "settings.json", "-o", folder, *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def finished(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A search that was never interrupted: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("finished") / "found"
    return folder, run(*words(inputs, folder))


def lasting(folder: Path) -> dict[str, object]:
    """What a search leaves, without the times that it took."""
    place = SupernetFolder(folder)
    outcome = outcomes.load(place.outcome)
    progress = tuple(msgspec.structs.replace(one, seconds=0.0) for one in outcome.progress)
    return {
        "outcome": msgspec.structs.replace(outcome, progress=progress),
        "architecture": place.architecture.read_bytes(),
        "weights": place.weights.read_bytes(),
        "derived": load_derived(place.derived),
    }


def test_it_finds_trains_and_keeps_a_network_under_the_limit(
    finished: tuple[Path, dict[str, Any]], inputs: Path
) -> None:
    _, found = finished
    (kept,) = found["answer"]["kept"]
    assert kept["name"] == "phone"
    assert kept["value"] <= kept["most"] == pytest.approx(limit_us(inputs), abs=1e-3)
    assert [one["phase"] for one in found["progress"]] == ["warm_up", "search", "search"]
    assert found["progress"][-1]["architecture_steps"] == 6
    assert len(found["losses"]) == 2
    weights, record = weight_files.load(Path(found["weights"]))
    assert record.architecture == tuple(found["answer"]["architecture"])
    assert record.scaling is not None
    everything = data.load(inputs / "images.npz")
    network = SMALL.network(record.architecture)
    again = accuracy(network, weights, everything.test, Normalisation.of(record.scaling))
    assert again == pytest.approx(found["test_accuracy"], abs=1e-9)
    predicted = run("table", "predict", inputs / "phone.json", found["architecture"])
    assert predicted["prediction"]["value_us"] == pytest.approx(kept["mean_us"])
    assert architecture_file.load(Path(found["architecture"])).labels == tuple(found["answer"]["labels"])
    outcome = outcomes.load(Path(found["outcome"]))
    assert len(outcome.history) == 3
    np.testing.assert_allclose([sum(row) for epoch in outcome.history for row in epoch], 1, atol=5e-4)
    by = outcome.settings.architecture.by
    assert msgspec.to_builtins(by)["loss"]["reference_us"] == pytest.approx(limit_us(inputs), abs=1e-3)


def test_its_scores_answer_other_limits(finished: tuple[Path, dict[str, Any]], inputs: Path, tmp_path: Path) -> None:
    folder, found = finished
    looser = f"{2 * limit_us(inputs):.3f}us"
    asked = ["search", "--table", inputs / "phone.json", "--score", folder / "outcome.json"]
    same = run(*asked, "--limit", f"{limit_us(inputs):.3f}us", "-o", tmp_path / "same.json")
    assert same["answer"]["architecture"] == found["answer"]["architecture"]
    assert run(*asked, "--limit", looser, "-o", tmp_path / "l.json")["answer"]["score"] >= found["answer"]["score"]


def test_what_is_shown_and_reported(finished: tuple[Path, dict[str, Any]], inputs: Path, tmp_path: Path) -> None:
    folder, found = finished
    shown = text(*words(inputs, folder, "--resume"))
    assert "stage1.0" in shown
    assert "test images: " in shown
    assert "weights.safetensors" in shown
    for path in (folder, folder / "outcome.json"):
        run("report", path, inputs / "phone.json", "-o", tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text()
        assert page.count("<polygon") == sum(SMALL.choice_counts)
        assert page.count("<polyline") == 5
        assert f"{100 * found['test_accuracy']:.2f} %" in page
        assert "<script" not in page


def test_a_folder_is_not_overwritten_by_accident(
    finished: tuple[Path, dict[str, Any]], inputs: Path, tmp_path: Path
) -> None:
    folder, found = finished
    before = lasting(folder)
    with pytest.raises(UsageError, match="holds a search already"):
        run(*words(inputs, folder))
    again = run(*words(inputs, folder, "--resume"))
    assert lasting(folder) == before
    assert {**again, "seconds": 0} == {**found, "seconds": 0}
    with pytest.raises(Incomparable, match="belongs to a run with other settings"):
        run(*words(inputs, folder, "--resume", "--seed", 4))
    own = tmp_path / "own"
    run(*words(inputs, own, "--train", "none"))
    (own / "notes.txt").write_text("mine")
    other = run(*words(inputs, own, "--train", "none", "--seed", 4, "--overwrite"))
    assert other["progress"][-1]["loss"] != found["progress"][-1]["loss"]
    assert (own / "notes.txt").read_text() == "mine"


def test_weights_may_be_the_shared_ones_or_begin_with_them(
    finished: tuple[Path, dict[str, Any]], inputs: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shared = run(*words(inputs, own, "--train", "none"))
    untrained, _ = weight_files.load(Path(shared["weights"]))
    assert shared["losses"] == []
    assert shared["answer"] == finished[1]["answer"]
    tuned = run(*words(inputs, own, "--train", "finetune", "--resume"))
    scratch = run(*words(inputs, own, "--train", "scratch", "--resume"))
    assert tuned["losses"] != scratch["losses"]
    assert scratch["losses"] == finished[1]["losses"]
    trained, _ = weight_files.load(Path(scratch["weights"]))
    assert any((trained[name] != untrained[name]).any() for name in untrained)


def test_an_interrupted_search_ends_as_it_would_have(
    finished: tuple[Path, dict[str, Any]], inputs: Path, tmp_path: Path
) -> None:
    """SIGKILL once in the search and once in the training, each before the run says that an epoch is over."""
    own = tmp_path / "own"
    for line, more in (("search 1/2", []), ("training 1/2", ["--resume"])):
        module = ["-m", "tests.supernet_process", "command", line]
        command = [sys.executable, *module, *map(str, words(inputs, own, *more))]
        process = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=False, capture_output=True, timeout=150)
        assert process.returncode == -signal.SIGKILL, process.stderr
        assert not (own / "weights.safetensors").exists()
    run(*words(inputs, own, "--resume"))
    assert lasting(own) == lasting(finished[0])


def test_deriving_by_accuracy(inputs: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    few = ["--derive", "accuracy", "--population", 4, "--children", 6, "--train", "none"]
    found = run(*words(inputs, own, *few))
    assert found["answer"]["kept"][0]["value"] <= found["answer"]["kept"][0]["most"]
    assert found["shared_accuracy"] == pytest.approx(found["answer"]["score"])
    lines = (own / "evaluations.jsonl").read_text().splitlines()
    scores = [json.loads(line)["score"] for line in lines[1:]]
    assert max(scores) == pytest.approx(found["answer"]["score"])
    question = hwbench.SupernetQuestion(
        tables=(str(inputs / "phone.json"),), limits=(f"{limit_us(inputs):.3f}us",), data=inputs / "images.npz",
        recipe=recipes.read(str(inputs / "settings.json")), derive="accuracy", train="none",
        evolution=Settings(population=4, children=6, tournament=4, batch=4),
    )  # fmt: skip
    with ProcessPoolExecutor(1, get_context("spawn"), one_thread) as executor:
        again = hwbench.search_supernet(question, folder=tmp_path / "other", executor=executor)
    assert again.derived is not None
    assert list(again.derived.candidate.architecture) == found["answer"]["architecture"]


def test_deriving_what_uses_the_limit_up(finished: tuple[Path, dict[str, Any]], inputs: Path, tmp_path: Path) -> None:
    likeliest = finished[1]["answer"]
    found = run(*words(inputs, tmp_path / "own", "--derive", "filled", "--train", "none"))
    (kept,) = found["answer"]["kept"]
    assert likeliest["kept"][0]["value"] <= kept["value"] <= kept["most"]
    assert kept["value"] > 0.8 * kept["most"]
    assert found["answer"]["score"] <= likeliest["score"]
    assert found["derive"] == "filled"


def test_deriving_by_a_regression_of_shared_accuracies(inputs: Path, tmp_path: Path) -> None:
    found = run(*words(inputs, tmp_path / "own", "--derive", "fitted", "--train", "none"))
    (kept,) = found["answer"]["kept"]
    assert 0.8 * kept["most"] < kept["value"] <= kept["most"]
    assert found["derive"] == "fitted"
    assert (
        run(*words(inputs, tmp_path / "own", "--derive", "fitted", "--train", "none", "--resume"))["answer"]
        == (found["answer"])
    )


def test_several_limits_bind_what_is_derived(inputs: Path, tmp_path: Path) -> None:
    limits = ["--limit", f"phone={limit_us(inputs):.3f}us", "--limit", f"board={limit_us(inputs, 'board'):.3f}us"]
    found = run(
        "search", "--method", "supernet", "--table", inputs / "phone.json", "--table", inputs / "board.json", *limits,
        "--data", inputs / "images.npz", "--settings", inputs / "settings.json", "-o", tmp_path / "own",
        "--train", "none", "--count", 3,
    )  # fmt: skip
    assert len(found["candidates"]) == 3
    for candidate in found["candidates"]:
        assert [kept["name"] for kept in candidate["kept"]] == ["phone", "board"]
        assert all(kept["value"] <= kept["most"] for kept in candidate["kept"])


def test_what_cannot_be_reached_is_said_before_anything_is_trained(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supernet_steps, "SupernetSearch", None)
    done = CliRunner().invoke(app, [*map(str, words(inputs, tmp_path / "own")), "--limit", "macs=1"])
    assert isinstance(done.exception, LimitUnreachable)
    assert done.exception.exit_code == 1
    assert not (tmp_path / "own").exists()


def test_what_is_missing_or_wrong_is_named(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, table = tmp_path / "own", inputs / "phone.json"
    with monkeypatch.context() as patched:
        patched.delenv("HWBENCH_DATA", raising=False)
        patched.setattr(data, "_DEBIAN", tmp_path / "nowhere")
        with pytest.raises(DataError, match=r"Name an npz file, an IDX folder .*dataset-fashion-mnist.*HWBENCH_DATA"):
            run("search", "--method", "supernet", "--table", table, "--limit", "1s", "-o", own)
    with pytest.raises(UsageError, match="searched under a limit on latency"):
        run("search", "--method", "supernet", "--table", table, "-o", own)
    with pytest.raises(UsageError, match="--data belongs to a supernet"):
        run("search", "--table", table, "--limit", "1s", "--data", own)
    with pytest.raises(UsageError, match="finds its scores itself"):
        run(*words(inputs, own, "--score", "macs"))
    with pytest.raises(DataError, match="neither a file nor a folder"):
        run("search", "--method", "supernet", "--table", table, "--limit", "1s", "--data", own, "-o", own)
    large = images(8)
    wide = np.zeros((8, 9, 9, 3), np.uint8)
    np.savez(tmp_path / "wide.npz", x_train=wide, y_train=large.labels, x_test=wide, y_test=large.labels)
    with pytest.raises(DataError, match="images of 9 x 9 x 3; the networks take 8 x 8 x 3"):
        run(*words(inputs, own, "--data", tmp_path / "wide.npz"))
    whole = lookup.load(table)
    lookup.save(msgspec.structs.replace(whole, rows=whole.rows[:-4]), tmp_path / "part.json")
    with pytest.raises(MissingRows):
        run("search", "--method", "supernet", "--table", tmp_path / "part.json", "--limit", "1s", "-o", own)
    for package in ("torch", "safetensors"):
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, package, None)
            with pytest.raises(UsageError, match=rf"{package}.*pip install 'hwbench\[search\]'"):
                run(*words(inputs, own))
    assert not own.exists()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('{"search": {"warmup": {}}}', r"unknown field `warmup`"),
        ('{"search": {"weights": {"epochs": "many"}}}', r"\$\.search\.weights\.epochs"),
        ('{"training": {"weights": {"learning_rate": 0}}}', "learning_rate must be above 0"),
        ('{"search": {"architecture": {"by": {"type": "guess"}}}}', "Invalid value 'guess'"),
        ("[" * 100_000, "settings"),
        ('{"held_out": 1.5}', "held_out must be between 0 and 1"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, written: str, message: str) -> None:
    (tmp_path / "settings.json").write_text(written)
    with pytest.raises(DataError, match=message) as raised:
        recipes.read(str(tmp_path / "settings.json"))
    assert "settings.json" in str(raised.value)
    with pytest.raises(UsageError, match=r"no settings 'quick'.*published, small"):
        recipes.read("quick")


def test_a_file_of_settings_says_all_that_it_does_not_leave_out(tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("{}")
    assert recipes.read(str(tmp_path / "none.json")) == recipes.PUBLISHED == recipes.read("published")
    for recipe in (recipes.SMALL, recipes.PUBLISHED):
        (tmp_path / "all.json").write_bytes(msgspec.json.encode(recipe))
        assert recipes.read(str(tmp_path / "all.json")) == recipe
    (documented,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "supernet.md").read_text(), re.DOTALL)
    (tmp_path / "docs.json").write_text(documented)
    assert recipes.read(str(tmp_path / "docs.json")) == recipes.SMALL


def test_a_search_without_a_reference_is_refused_before_it_begins(inputs: Path) -> None:
    from hwbench.search.supernet.search import Splits, SupernetSearch
    from tests.supernets import Table

    with pytest.raises(UsageError, match="nothing to be compared with"):
        SupernetSearch(SMALL, Table(SMALL), Splits(images(32), images(32)), recipes.SMALL.search)


def test_hostile_files_are_escaped_or_refused_in_a_report(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    outcome = outcomes.load(finished[0] / "outcome.json")
    derived = load_derived(finished[0] / "derived.json")
    evil = "<script>alert(1)</script>"
    (kept,) = derived.candidate.kept
    labels = (evil, *derived.candidate.labels[1:])
    candidate = msgspec.structs.replace(
        derived.candidate, labels=labels, kept=(msgspec.structs.replace(kept, name=evil),)
    )
    folder = tmp_path / "own"
    outcomes.save(outcome, folder / "outcome.json")
    files.save(folder / "derived.json", "derived", 1, msgspec.structs.replace(derived, candidate=candidate))
    run("report", folder, "-o", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 2
    outcomes.save(msgspec.structs.replace(outcome, space=evil), folder / "outcome.json")
    with pytest.raises(UsageError, match="There is no space"):
        run("report", folder, "-o", tmp_path / "r.html")
    outcomes.save(msgspec.structs.replace(outcome, history=outcome.history[:-1]), folder / "outcome.json")
    with pytest.raises(CorruptFile, match="contradicts itself"):
        run("report", folder, "-o", tmp_path / "r.html")
    other = spaces.get("proxylessnas-w0.25-r32-c10").name
    outcomes.save(msgspec.structs.replace(outcome, space=other), folder / "outcome.json")
    with pytest.raises(DataError, match="needs a finite score for each choice"):
        run("report", folder, "-o", tmp_path / "r.html")
    with pytest.raises(DataError, match=r"outcome\.json cannot be read"):
        run("report", tmp_path, "-o", tmp_path / "r.html")
