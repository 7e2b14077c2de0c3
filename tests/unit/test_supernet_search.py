"""A search as a whole: what it learns, that it goes on where it was, and that two processes equal one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from hwbench import files, spaces
from hwbench.errors import CorruptFile, DataError, Incomparable, UsageError
from hwbench.models.torch_nets import build
from hwbench.search.data import Images
from hwbench.search.supernet import outcome as outcomes
from hwbench.search.supernet.outcome import Outcome, Progress
from hwbench.search.supernet.routes import OnePath
from hwbench.search.supernet.search import Splits, SupernetSearch
from hwbench.search.supernet.settings import (
    AddLinear,
    ArchitectureSettings,
    Gradient,
    HoldLimit,
    MulLog,
    NoLatency,
    Reinforce,
    SearchSettings,
)
from hwbench.search.training.batches import in_order
from hwbench.search.training.ranks import ALONE, Ranks
from tests.conftest import ROOT
from tests.supernet_process import SHORT, search, steps
from tests.supernets import SMALL, Table, images

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "host"), str(ROOT)])}

KILL_SEED = 20


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def finished() -> tuple[SupernetSearch, Outcome]:
    """The search of `SETTINGS`, never interrupted."""
    made = search()
    return made, made.run()


def without_seconds(progress: tuple[Progress, ...]) -> tuple[Progress, ...]:
    return tuple(msgspec.structs.replace(one, seconds=0.0) for one in progress)


def assert_same(found: tuple[SupernetSearch, Outcome], wanted: tuple[SupernetSearch, Outcome]) -> None:
    """Bit for bit: architecture, weights, batch norms, progress."""
    assert torch.equal(found[0].alphas, wanted[0].alphas)
    left, right = found[0].supernet.state_dict(), wanted[0].supernet.state_dict()
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert without_seconds(found[1].progress) == without_seconds(wanted[1].progress)
    assert found[1].log_probabilities == wanted[1].log_probabilities


def test_progress_says_what_happened(finished: tuple[SupernetSearch, Outcome]) -> None:
    _, outcome = finished
    assert [(one.phase, one.epoch) for one in outcome.progress] == [("warm_up", 0), ("search", 0), ("search", 1)]
    assert [one.architecture_steps for one in outcome.progress] == [0, 4, 8]
    warm, _, last = outcome.progress
    assert last.loss < warm.loss
    assert last.entropy < warm.entropy < np.log(7)
    predicted = Table(SMALL).predict(SMALL.sample(200, 0)).mean_us
    assert all(predicted.min() < one.expected_latency_us < predicted.max() for one in outcome.progress)


def test_scores_are_log_probabilities_for_the_exact_programme(finished: tuple[SupernetSearch, Outcome]) -> None:
    made, outcome = finished
    offered = outcome.offered()
    assert [len(row) for row in offered] == SMALL.choice_counts.tolist()
    for row, alphas in zip(offered, made.alphas, strict=True):
        assert np.exp(row).sum() == pytest.approx(1)
        np.testing.assert_allclose(row, alphas.log_softmax(0).numpy()[: len(row)], rtol=1e-12)
    assert outcome.most_likely().tolist() == [made.alphas.argmax(1).tolist()]


def test_an_outcome_is_kept(finished: tuple[SupernetSearch, Outcome], tmp_path: Path) -> None:
    outcomes.save(finished[1], tmp_path / "outcome.json")
    assert outcomes.load(tmp_path / "outcome.json") == finished[1]


@pytest.mark.parametrize(
    "by",
    [
        Gradient(AddLinear(200.0, 100.0)),
        Gradient(AddLinear(200.0, 100.0), "two_paths"),
        Gradient(MulLog(200.0, 100.0, 10.0), "two_paths_recomputed"),
        Reinforce(200.0, exponent=5.0),
    ],
    ids=["all_paths", "two_paths", "two_paths_recomputed", "reinforce"],
)
def test_a_strong_latency_term_leads_to_the_fastest_choices(by: Gradient | Reinforce) -> None:
    architecture = ArchitectureSettings(by, learning_rate=0.3, batch=8, every=1, steps=3, first_epoch=0)
    outcome = search(msgspec.structs.replace(SHORT, architecture=architecture)).run()
    _, offers = Table(SMALL).offered_us()
    middle = sum(float(offer.mean()) for offer in offers)
    fixed = outcome.progress[-1].expected_latency_us - sum(
        float(np.exp(row) @ offer) for row, offer in zip(outcome.offered(), offers, strict=True)
    )
    assert fixed == pytest.approx(Table(SMALL).offered_us()[0])
    fastest = sum(float(offer.min()) for offer in offers)
    assert outcome.progress[-1].expected_latency_us - fixed < (middle + fastest) / 2


def test_a_limit_that_is_held_is_neither_missed_nor_undercut() -> None:
    fixed, offers = Table(SMALL).offered_us()
    limit_us = fixed + sum(float(0.7 * offer.min() + 0.3 * offer.mean()) for offer in offers)
    by = Gradient(HoldLimit(limit_us, rate=0.3))
    architecture = ArchitectureSettings(by, learning_rate=0.1, batch=8, every=1, steps=24, first_epoch=0)
    outcome = search(msgspec.structs.replace(SHORT, architecture=architecture)).run()
    at_first_us = fixed + sum(float(offer.mean()) for offer in offers)
    assert at_first_us > 1.1 * limit_us
    assert outcome.progress[-1].expected_latency_us == pytest.approx(limit_us, rel=0.1)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 10), st.floats(1, 1000), st.floats(0.001, 1))
def test_a_multiplier_rises_above_the_limit_and_falls_below_it(weight: float, expected_us: float, rate: float) -> None:
    moved = HoldLimit(100.0, rate).moved(weight, expected_us)
    assert moved >= 0
    assert (moved - weight) * (expected_us - 100) >= 0 or moved == 0


@pytest.mark.parametrize(
    "by",
    [
        Gradient(NoLatency()),
        Gradient(NoLatency(), "two_paths_recomputed"),
        Gradient(NoLatency(), "darts"),
        Gradient(HoldLimit(200.0, rate=1.0)),
        Reinforce(200.0),
    ],
    ids=["all_paths", "two_paths_recomputed", "darts", "hold_limit", "reinforce"],
)
def test_every_method_goes_on_after_a_stop(by: Gradient | Reinforce, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(
        SHORT, architecture=msgspec.structs.replace(SHORT.architecture, by=by), checkpoint_steps=3
    )
    wanted = search(settings)
    result = wanted.run()
    interrupted = search(settings)
    stop_after(interrupted, tmp_path, 5)
    again = search(settings)
    assert_same((again, again.run(tmp_path)), (wanted, result))


def stop_after(made: SupernetSearch, folder: Path, count: int) -> None:
    """Runs until a weight step fails, as it might for want of memory."""
    whole = made.supernet.forward
    calls = 0

    def failing(*arguments: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > count:
            raise MemoryError
        found: torch.Tensor = whole(*arguments)
        return found

    made.supernet.forward = failing
    with pytest.raises(MemoryError):
        made.run(folder)


def test_killed_it_ends_as_it_would_have(finished: tuple[SupernetSearch, Outcome], tmp_path: Path) -> None:
    calls = random.Random(KILL_SEED).randint(3, 31)  # Of 32 batches.
    command = [sys.executable, "-m", "tests.supernet_process", "killed", str(tmp_path), str(calls)]
    process = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=False, timeout=150)
    assert process.returncode == -signal.SIGKILL, f"seed {KILL_SEED}, before batch {calls}"
    made = search()
    assert_same((made, made.run(tmp_path)), finished)


@pytest.mark.parametrize("write", range(1, 7))
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_stop_around_any_write_leaves_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: int, done: bool
) -> None:
    """Three checkpoints of two files each; what a stop leaves is an older or newer one, never half of one."""
    settings = msgspec.structs.replace(SHORT, checkpoint_steps=3)
    writes = 0
    real = files.write_atomically

    def stopping(path: Path, data: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == write and not done:
            raise KeyboardInterrupt
        real(path, data)
        if writes == write:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(files, "write_atomically", stopping)
        with pytest.raises(KeyboardInterrupt):
            search(settings).run(tmp_path)
    wanted, again = search(settings), search(settings)
    result = wanted.run()
    assert_same((again, again.run(tmp_path)), (wanted, result))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    settings = SHORT
    search(settings).run(tmp_path)
    other = msgspec.structs.replace(settings, seed=6)
    with pytest.raises(Incomparable, match="belongs to a run with other settings"):
        search(other).run(tmp_path)
    slower = SupernetSearch(SMALL, Table(SMALL, seed=1), Splits(images(128, 1), images(64, 2)), settings)
    with pytest.raises(Incomparable):
        slower.run(tmp_path)
    (arrays,) = tmp_path.glob("checkpoint-*.safetensors")
    content = bytearray(arrays.read_bytes())
    content[-1] ^= 1
    arrays.write_bytes(bytes(content))
    with pytest.raises(CorruptFile, match="does not match its hash"):
        search(settings).run(tmp_path)
    arrays.unlink()
    with pytest.raises(DataError, match=arrays.name):
        search(settings).run(tmp_path)


def test_derived_weights_are_those_of_the_path(finished: tuple[SupernetSearch, Outcome]) -> None:
    made, _ = finished
    (architecture,) = SMALL.sample(1, seed=8)
    network = build(SMALL.network(architecture), made.supernet.derived_weights(architecture)).eval()
    made.supernet.eval()
    pixels, _ = next(iter(in_order(images(8), made.normalisation)))
    with torch.no_grad():
        torch.testing.assert_close(
            network(pixels).flatten(1), made.supernet(pixels, OnePath(architecture)), atol=1e-5, rtol=1e-4
        )
    made.supernet.train()


def test_two_processes_equal_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
               "tests.supernet_process", "steps", str(tmp_path)]  # fmt: skip
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True, timeout=150)
    wanted = steps(ALONE)
    for rank in range(2):
        found = load_file(tmp_path / f"steps-{rank}.safetensors")
        assert found.keys() == wanted.keys()
        for name, tensor in wanted.items():
            torch.testing.assert_close(found[name], tensor, atol=1e-11, rtol=1e-9, msg=name)
    left, right = (load_file(tmp_path / f"search-{rank}.safetensors") for rank in range(2))
    assert all(torch.equal(left[name], right[name]) for name in left)
    left, right = (load_file(tmp_path / f"trained-{rank}.safetensors") for rank in range(2))
    assert all(torch.equal(left[name], right[name]) for name in left)
    first, second = (outcomes.load(tmp_path / f"outcome-{rank}.json") for rank in range(2))
    assert without_seconds(first.progress) == without_seconds(second.progress)
    assert first.log_probabilities == second.log_probabilities


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(UsageError, match="batch of 16 images cannot be shared by 3 processes"):
        search(ranks=Ranks(0, 3))


def test_images_that_do_not_fit_are_refused() -> None:
    large = Images(np.zeros((32, 9, 9, 3), np.uint8), np.zeros(32, np.int64))
    with pytest.raises(DataError, match="images of 9 x 9 x 3; the networks take 8 x 8 x 3"):
        SupernetSearch(SMALL, Table(SMALL), Splits(images(32), large), SHORT)
    many = Images(images(32).pixels, np.arange(32))
    with pytest.raises(DataError, match="32 classes; the networks know 4"):
        SupernetSearch(SMALL, Table(SMALL), Splits(many, images(32)), SHORT)


def test_a_loss_that_is_no_number_ends_the_search() -> None:
    weights = msgspec.structs.replace(SHORT.weights, learning_rate=1e30)
    with pytest.raises(DataError, match=r"loss of weight step \d is (nan|inf)\. Lower the learning rate"):
        search(msgspec.structs.replace(SHORT, weights=weights)).run()


def test_a_space_that_is_no_chain_is_refused() -> None:
    space = spaces.get("nasbench201")
    settings = SearchSettings(ArchitectureSettings(Gradient(NoLatency())))
    with pytest.raises(UsageError, match="not a chain of independent positions"):
        SupernetSearch(space, Table(SMALL), Splits(images(8), images(8)), settings)
