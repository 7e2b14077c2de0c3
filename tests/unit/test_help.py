"""HELP and its relatives: the meta-gradient, encodings, training, files of trained predictors."""

from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load as tensors_of_file
from safetensors.torch import save as file_of_tensors
from torch import Tensor
from torch.nn import functional

from hwbench import spaces
from hwbench.errors import CorruptFile, DataError, SchemaTooNew, UsageError
from hwbench.measure.statistics import spearman
from hwbench.spaces.cells import CONV_3, NONE
from hwbench.transfer.help import checkpoints, from_scratch, predictor
from hwbench.transfer.help.encodings import INPUT_NODE, NODES, OUTPUT_NODE, READ_NODE, encode
from hwbench.transfer.help.learner import MetaLearner, Task
from hwbench.transfer.help.networks import GraphEncoder, Parameters, divergence
from hwbench.transfer.help.predictor import Trained, train
from hwbench.transfer.help.settings import HELP, MAML, META_SGD, PAPER, Settings
from hwbench.transfer.help.tasks import scale_of
from hwbench.transfer.help.training import Pool
from hwbench.workflows.adapting.few_shot import Stage
from hwbench.workflows.adapting.trained import pool_of
from tests.conftest import ROOT
from tests.few_shot_pools import simulated_matrix

CELLS, CHAIN = "nasbench201-w16-n5-r32-c10", "fbnet-cifar-r32-c100"
OFA = f"ofa-w1.2-r{'.'.join(str(side) for side in range(128, 228, 4))}-c1000"
TINY = msgspec.structs.replace(
    HELP, width=16, query=32, support=6, episodes=100, validate_every=20, modulator_draws=2, outer_rate=5e-3
)
REFERENCES = 5


def pool(space: str = CHAIN, rows: int = 260, first: int = 160) -> Pool:
    """Simulated devices: four sources, one for validation; a sixth plays the target."""
    matrix = simulated_matrix(space, rows, 6, 0.01)
    stage = Stage(matrix, ("d0", "d1", "d2", "d3"), ("d4",), np.arange(REFERENCES), first)
    return pool_of(stage)


def target_of(space: str = CHAIN) -> np.ndarray:
    return simulated_matrix(space, 260, 6, 0.01).column("d5")


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(pool(), TINY, seed=1)


def batch(space: str, settings: Settings, tasks: int = 3) -> tuple[MetaLearner, Parameters, Task, tuple[Tensor, ...]]:
    """A learner in double precision with random tasks and queries."""
    encoding = encode(space, spaces.get(space).sample(40, seed=3))
    learner = MetaLearner(encoding, REFERENCES, settings, seed=5)
    state = {name: value.detach().double().requires_grad_() for name, value in learner.initial().items()}
    generator = torch.Generator().manual_seed(2)
    rows = torch.randint(40, (tasks, settings.support), generator=generator)
    inputs = tuple(torch.from_numpy(array).double() for array in encoding.arrays)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    task = Task(
        tuple(one[rows] for one in inputs), random(tasks, settings.support), random(tasks, REFERENCES),
        random(tasks, learner.noise_size),
    )  # fmt: skip
    return learner, state, task, tuple(one[rows.flip(0)] for one in inputs)


SMALL = Settings(width=6, modulator_width=4, inner_rate=0.05, modulator_scale=0.3, support=7, graph_layers=2)


@pytest.mark.parametrize("space", [CELLS, CHAIN])
def test_the_meta_gradient_is_that_of_a_plain_loop(space: str) -> None:
    learner, state, task, query = batch(space, SMALL)
    latency = task.latency.flip(0)
    vectorised = learner.losses(state, task, query, latency).mean()
    looped = torch.stack(
        [plain_loss(state, one_of(task, n), tuple(q[n] for q in query), latency[n]) for n in range(3)]
    ).mean()
    torch.testing.assert_close(vectorised, looped, rtol=1e-12, atol=0)
    wanted = torch.autograd.grad(looped, list(state.values()), allow_unused=True)
    found = torch.autograd.grad(vectorised, list(state.values()), allow_unused=True)
    for name, left, right in zip(state, found, wanted, strict=True):
        assert left is not None, name
        assert right is not None, name
        torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("space", [CELLS, CHAIN])
def test_the_meta_gradient_is_the_slope_of_the_loss(space: str) -> None:
    learner, state, task, query = batch(space, SMALL)
    latency = task.latency.flip(0)

    def loss(step: float, direction: Parameters) -> Tensor:
        moved = {name: value + step * direction[name] for name, value in state.items()}
        return learner.losses(moved, task, query, latency).mean()

    slopes = dict(zip(state, torch.autograd.grad(loss(0, state), list(state.values())), strict=True))
    generator = torch.Generator().manual_seed(4)
    for _ in range(4):
        direction = {
            name: torch.randn(value.shape, generator=generator, dtype=torch.float64) for name, value in state.items()
        }
        difference = (loss(1e-6, direction) - loss(-1e-6, direction)) / 2e-6
        along = sum((slopes[name] * direction[name]).sum().item() for name in state)
        assert difference.item() == pytest.approx(along, rel=1e-5)


def one_of(task: Task, number: int) -> Task:
    return Task(tuple(s[number] for s in task.support), *(part[number] for part in task[1:]))


def plain_loss(state: Parameters, task: Task, query: tuple[Tensor, ...], latency: Tensor) -> Tensor:
    """The loss of one task, written out."""
    hidden = functional.relu(task.embedding @ state["modulator.first.weight"].T + state["modulator.first.bias"])
    raw = hidden @ state["modulator.second.weight"].T + state["modulator.second.bias"]
    mean, deviation = raw[: len(raw) // 2], functional.softplus(raw[len(raw) // 2 :])
    z = mean + deviation * task.noise
    own = {name[len("network.") :]: value for name, value in state.items() if name.startswith("network.")}
    width = 2 * SMALL.width
    for number, layer in enumerate(("head1", "head2", "head3")):
        scale = 1 + SMALL.modulator_scale * z[number * width : (number + 1) * width]
        own[f"{layer}.weight"] = own[f"{layer}.weight"] * scale
        own[f"{layer}.bias"] = own[f"{layer}.bias"] + SMALL.modulator_scale * z[3 * width + number]
    for _ in range(SMALL.inner_steps):
        error = ((plain_network(own, task.support, task.embedding) - task.latency) ** 2).mean()
        slopes = torch.autograd.grad(error, list(own.values()), create_graph=True)
        own = {
            name: value - state[f"rates.{name}"] * slope
            for (name, value), slope in zip(own.items(), slopes, strict=True)
        }
    error = ((plain_network(own, query, task.embedding) - latency) ** 2).mean()
    return error + SMALL.divergence_weight * divergence(mean, deviation)


def plain_network(own: Parameters, inputs: tuple[Tensor, ...], embedding: Tensor) -> Tensor:
    def layer(name: str, held: Tensor) -> Tensor:
        return held @ own[f"{name}.weight"].T + own[f"{name}.bias"]

    held = inputs[0]
    if len(inputs) == 2:
        for number in range(SMALL.graph_layers):
            held = functional.relu(layer(f"encoder.layers.{number}", inputs[1] @ held))
        held = held[:, READ_NODE]
    else:
        held = functional.relu(layer("encoder.second", functional.relu(layer("encoder.first", held))))
    device = functional.relu(layer("device2", functional.relu(layer("device1", embedding))))
    held = torch.cat([held, device.repeat(len(held), 1)], dim=1)
    return layer("head3", functional.relu(layer("head2", functional.relu(layer("head1", held))))).squeeze(1)


def test_the_divergence_is_that_of_torch() -> None:
    mean, deviation = torch.tensor([0.3, -1.0]), torch.tensor([0.5, 2.0])
    normal = torch.distributions.Normal
    wanted = torch.distributions.kl_divergence(normal(mean, deviation), normal(0.0, 1.0)).sum()
    assert float(divergence(mean, deviation)) == pytest.approx(float(wanted), rel=1e-6)


def test_a_graph_is_the_same_whatever_the_order_of_its_nodes() -> None:
    nodes, adjacency = (torch.from_numpy(one) for one in encode(CELLS, spaces.get(CELLS).sample(20, seed=1)).arrays)
    torch.manual_seed(0)
    encoder = GraphEncoder(nodes.shape[2], 12, 4)
    order = torch.cat([torch.randperm(NODES - 1), torch.tensor([READ_NODE])])
    moved = encoder(nodes[:, order], adjacency[:, order][:, :, order])
    torch.testing.assert_close(moved, encoder(nodes, adjacency))
    assert moved.std(dim=0).max() > 0


def test_nothing_passes_an_edge_without_operator() -> None:
    """Two convolutions in a row, 0>1>3, all else `none`; then the second one goes as well."""
    through, cut = ([CONV_3, NONE, NONE, NONE, last, NONE] for last in (CONV_3, NONE))
    for cell, reaches in ((through, True), (cut, False)):
        adjacency = encode(CELLS, [cell]).arrays[1][0]
        assert np.diagonal(adjacency).all()
        assert adjacency[READ_NODE].all()
        reached = np.linalg.matrix_power(adjacency[:READ_NODE, :READ_NODE], NODES)
        assert bool(reached[OUTPUT_NODE, INPUT_NODE]) == reaches


@pytest.mark.parametrize(("space", "columns"), [("fbnet", 132), (OFA, 145)])
def test_chains_have_the_published_number_of_factors(space: str, columns: int) -> None:
    archs = spaces.get(space).sample(300, seed=0)
    factors = encode(space, archs).arrays[0]
    assert factors.shape == (300, columns)
    assert len(np.unique(factors, axis=0)) == len(np.unique(archs, axis=0))


def test_totals_stand_beside_the_factors_on_one_scale() -> None:
    archs = spaces.get(CHAIN).sample(500, seed=9)
    factors, both = (encode(CHAIN, archs, totals).arrays[0] for totals in (False, True))
    totals = both[:, factors.shape[1] :]
    assert (both[:, : factors.shape[1]] == factors).all()
    assert totals.shape[1] > 0
    assert np.abs(totals.mean(axis=0)).max() < 0.3
    assert (np.abs(totals.std(axis=0) - 1) < 0.3).all()
    assert (encode(CHAIN, archs[:3], True).arrays[0] == both[:3]).all()


@pytest.mark.parametrize("space", [CELLS, CHAIN])
def test_training_teaches_more_than_its_start(space: str) -> None:
    """On architectures that no task had, of all devices, the one that no task had among them."""
    here, measured = pool(space), np.arange(10, 16)
    devices = simulated_matrix(space, 260, 6, 0.01).values
    untrained = msgspec.structs.replace(TINY, episodes=1, outer_rate=1e-12)
    means = []
    for settings in (untrained, TINY):
        found, agreement = train(here, settings, seed=1), []
        for truth in devices.T:
            fitted = found.adapt(truth[:REFERENCES], here.architectures[measured], truth[measured])
            agreement.append(spearman(fitted.predict(here.architectures[160:]).mean_us, truth[160:]))
        means.append(np.mean(agreement))
    assert means[1] > max(means[0], 0) + 0.2


def test_a_seed_gives_one_result() -> None:
    short = msgspec.structs.replace(TINY, episodes=15)
    first, again, other = (train(pool(), short, seed=seed) for seed in (1, 1, 2))
    assert again.recipe == first.recipe
    assert all(torch.equal(value, again.state[name]) for name, value in first.state.items())
    assert not all(torch.equal(value, other.state[name]) for name, value in first.state.items())


def test_training_leaves_torch_as_it_was() -> None:
    threads, generator = torch.get_num_threads(), torch.random.get_rng_state()
    train(pool(), msgspec.structs.replace(TINY, episodes=1))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), generator)


def test_the_best_state_on_validation_is_kept_and_training_ends_when_nothing_gets_better() -> None:
    settings = msgspec.structs.replace(TINY, episodes=60, validate_every=5, outer_rate=0.3, patience=2)
    found = train(pool(), settings)
    assert found.recipe.spearman is not None
    assert found.recipe.episodes <= 45
    without = msgspec.structs.replace(pool(), validation=(), validation_us=np.zeros((260, 0)))
    assert train(without, msgspec.structs.replace(TINY, episodes=1)).recipe.spearman is None


def test_another_unit_of_time_scales_the_predictions(trained: Trained) -> None:
    truth, archs = target_of(), pool().architectures
    predicted = [
        trained.adapt(unit * truth[:REFERENCES], archs[20:27], unit * truth[20:27]).predict(archs[100:140]).mean_us
        for unit in (1.0, 1000.0)
    ]
    assert predicted[1] == pytest.approx(1000 * predicted[0], rel=1e-4)


def test_spikes_do_not_set_the_scale() -> None:
    bulk = np.linspace(9.0, 11.0, 18)
    assert scale_of(np.append(bulk, [300.0, 500.0])).spread < 3
    assert scale_of(np.full(5, 7.0)).spread == 1.0


@pytest.mark.parametrize("settings", [META_SGD, MAML])
def test_without_embedding_no_reference_is_measured(settings: Settings) -> None:
    small = msgspec.structs.replace(settings, width=16, query=16, support=6, episodes=5)
    found, archs = train(pool(), small), pool().architectures
    assert ("rates.head1.weight" in found.state) == (settings == META_SGD)
    fitted = found.adapt([], archs[:6], target_of()[:6])
    assert np.isfinite(fitted.predict(archs).mean_us).all()
    with pytest.raises(DataError, match="0 reference"):
        found.adapt([1.0], archs[:6], target_of()[:6])
    with pytest.raises(DataError, match="fine-tuned"):
        found.adapt([], archs[:0], [])


def test_what_a_target_lacks_is_said(trained: Trained) -> None:
    archs, truth = pool().architectures, target_of()
    with pytest.raises(DataError, match="5 reference"):
        trained.adapt(truth[:4], archs[10:16], truth[10:16])
    empty = archs[:0]
    assert np.isfinite(trained.adapt(truth[:REFERENCES], empty, []).predict(archs).mean_us).all()
    for wrong in (0.0, float("nan")):
        with pytest.raises(DataError, match="positive"):
            trained.adapt(truth[:REFERENCES], archs[10:16], np.append(truth[10:15], wrong))


def test_pools_without_enough_are_refused() -> None:
    full = pool()
    lacking = full.latency_us.copy()
    lacking[0, 2] = np.nan
    with pytest.raises(DataError, match="d2 lacks"):
        train(msgspec.structs.replace(full, latency_us=lacking), TINY)
    with pytest.raises(DataError, match="too few latencies to draw"):
        train(msgspec.structs.replace(full, first=6), TINY)
    with pytest.raises(DataError, match="source"):
        train(msgspec.structs.replace(full, sources=("d0",), latency_us=full.latency_us[:, :1]), TINY)


def test_a_network_of_one_target_learns_it() -> None:
    archs, truth = pool().architectures, target_of()
    fitted = from_scratch.fit(CHAIN, archs[:160], truth[:160], from_scratch.ScratchSettings(epochs=50))
    assert spearman(fitted.mean(archs[160:]), truth[160:]) > 0.6
    with pytest.raises(DataError, match="too few"):
        from_scratch.fit(CHAIN, archs[:1], truth[:1])


def test_a_file_gives_back_what_was_trained(trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "help.safetensors"
    trained.save(path)
    again = predictor.load(path)
    archs, truth = pool().architectures, target_of()
    assert again.recipe == trained.recipe
    assert again.recipe.versions.keys() == {"hwbench", "torch"}
    both = [one.adapt(truth[:REFERENCES], archs[10:16], truth[10:16]).predict(archs) for one in (trained, again)]
    assert (both[0].mean_us == both[1].mean_us).all()
    assert not both[0].lower_us.any()
    assert again.differs(pool(), TINY) is None
    assert again.differs(pool(), PAPER) == "settings"


def test_hostile_files_are_refused(trained: Trained, tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    trained.save(good)
    data, state = good.read_bytes(), {name: value.clone() for name, value in trained.state.items()}
    recipe = msgspec.to_builtins(trained.recipe)

    def with_recipe(**changes: object) -> bytes:
        return written(state, msgspec.json.encode({**recipe, **changes}).decode())

    wide = {**recipe["settings"], "width": 10**9}
    flipped = bytearray(data)
    flipped[-3] ^= 1
    head = next(iter(state))
    hostile = {
        "truncated": data[:-8],
        "empty": b"",
        "flipped": bytes(flipped),
        "pickle": pickle.dumps({"state": 1}),
        "header of terabytes": (2**40).to_bytes(8, "little") + data[8:],
        "another schema": data.replace(b"hwbench.help/1", b"hwbench.tabl/1"),
        "no header": file_of_tensors(state),
        "a tensor too many": rewritten(tmp_path, trained.recipe, {**state, "more": torch.zeros(3)}),
        "a tensor too few": rewritten(tmp_path, trained.recipe, {k: v for k, v in state.items() if k != head}),
        "another shape": rewritten(tmp_path, trained.recipe, {**state, head: torch.zeros(2, 2)}),
        "another type": rewritten(tmp_path, trained.recipe, {**state, head: state[head].double()}),
        "not a number": rewritten(tmp_path, trained.recipe, {**state, head: state[head] * float("nan")}),
        "an unknown space": with_recipe(space="../../etc"),
        "absurd settings": with_recipe(settings=wide),
        "unknown settings": with_recipe(settings={**recipe["settings"], "hook": "rm"}),
        "modulator alone": with_recipe(settings={**recipe["settings"], "embedding": False}),
        "references of another space": with_recipe(references=[[3] * 6] * REFERENCES),
        "references beyond the choices": with_recipe(references=[[250] * 22] * REFERENCES),
    }  # fmt: skip
    for name, content in hostile.items():
        path = tmp_path / "hostile.safetensors"
        path.write_bytes(content)
        print(name)
        with pytest.raises(CorruptFile, match=r"hostile\.safetensors"):
            predictor.load(path)
    newer = tmp_path / "newer.safetensors"
    newer.write_bytes(data.replace(b"hwbench.help/1", b"hwbench.help/7"))
    with pytest.raises(SchemaTooNew, match="newer"):
        predictor.load(newer)
    for missing in (tmp_path / "missing.safetensors", tmp_path):
        with pytest.raises(DataError):
            predictor.load(missing)


def rewritten(folder: Path, recipe: checkpoints.Recipe, state: Parameters) -> bytes:
    """A file whose hash is right and whose tensors are not."""
    path = folder / "rewritten.safetensors"
    checkpoints.save(path, recipe, state)
    return path.read_bytes()


def written(state: Parameters, recipe: str) -> bytes:
    header = {"hwbench.schema": "hwbench.help/1", "hwbench.recipe": recipe}
    return file_of_tensors(state, header | {"hwbench.sha256": checkpoints.state_hash(state)})


def test_a_file_is_plain_safetensors(trained: Trained, tmp_path: Path) -> None:
    trained.save(tmp_path / "help.safetensors")
    found = tensors_of_file((tmp_path / "help.safetensors").read_bytes())
    assert found.keys() == trained.state.keys()


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from hwbench.workflows.extras import need_torch

    for package in ("torch", "safetensors"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(UsageError, match=rf"{package}.*hwbench\[search\]"):
                need_torch()


def test_the_example_of_the_docs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "few-shot-predictors.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(block, names)
    assert (tmp_path / "trained.safetensors").exists()
