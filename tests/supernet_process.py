"""Searches that tests start as processes of their own: one to be killed, one rank of two, or a whole command.

python -m tests.supernet_process killed FOLDER BATCHES
torchrun --nproc-per-node 2 -m tests.supernet_process steps FOLDER
python -m tests.supernet_process command LINE WORDS...
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec
import torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file
from torch import Tensor, nn

from hwbench.cli import search_supernet
from hwbench.cli.main import main as main_of_hwbench
from hwbench.search.supernet import gates
from hwbench.search.supernet import outcome as outcomes
from hwbench.search.supernet.architecture import ArchitectureOptimiser, gate_direction, reinforce_direction
from hwbench.search.supernet.latency import expected_latency
from hwbench.search.supernet.routes import OnePath
from hwbench.search.supernet.search import Splits, SupernetSearch
from hwbench.search.supernet.settings import (
    AddLinear,
    ArchitectureSettings,
    Gradient,
    Reinforce,
    SearchSettings,
    WarmUp,
)
from hwbench.search.training.batches import Batches, Normalisation, generator
from hwbench.search.training.network import train
from hwbench.search.training.optimiser import WeightOptimiser
from hwbench.search.training.ranks import ALONE, Ranks, joined
from hwbench.search.training.settings import Augmentation, TrainingSettings, WeightSettings
from tests.supernets import SMALL, Table, double_supernet, images

SETTINGS = SearchSettings(
    ArchitectureSettings(Gradient(AddLinear(200.0), "two_paths"), learning_rate=0.05, batch=16, every=2, first_epoch=0),
    WarmUp(1),
    WeightSettings(epochs=2, batch=16),
    Augmentation(0.5, 1, True),
    checkpoint_steps=2,
    seed=5,
)

SHORT = msgspec.structs.replace(
    SETTINGS,
    warm_up=msgspec.structs.replace(SETTINGS.warm_up, epochs=0),
    weights=msgspec.structs.replace(SETTINGS.weights, epochs=1),
    checkpoint_steps=0,
)


def search(settings: SearchSettings = SETTINGS, ranks: Ranks = ALONE) -> SupernetSearch:
    return SupernetSearch(SMALL, Table(SMALL), Splits(images(128, 1), images(64, 2)), settings, ranks)


def steps(ranks: Ranks) -> dict[str, Tensor]:
    """Weights and architecture after three steps of each kind, in double precision, batch norms held still."""
    supernet = double_supernet()
    for module in supernet.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    train = images(64, 3)
    batches = Batches(train, 16, Normalisation(train), Augmentation(0.5, 1, True), (0, 0), ranks)
    optimiser = WeightOptimiser(supernet, WeightSettings(batch=16))
    alphas = gates.initial_alphas(SMALL.choice_counts, 0.5, generator(1))
    architecture = ArchitectureOptimiser(alphas, ArchitectureSettings(Gradient(AddLinear(200.0)), learning_rate=0.05))
    expectation, by, baseline = expected_latency(Table(SMALL), SMALL), Reinforce(200.0, networks=3), None
    for step in range(3):
        pixels, labels = batches.batch(step)
        active = gates.sample_paths(architecture.alphas.softmax(1), generator(2, step))
        optimiser.step(optimiser.loss(supernet(pixels.double(), OnePath(active)), labels), 0.1, ranks)
        batch = (pixels.double(), labels)
        draws = generator(3, step)
        gradient = Gradient(AddLinear(200.0), "two_paths_recomputed")
        architecture.step(gate_direction(supernet, architecture.alphas, batch, expectation, gradient, draws, ranks))
        direction, baseline = reinforce_direction(
            supernet, architecture.alphas, batch, Table(SMALL), by, baseline, draws, ranks
        )
        architecture.step(direction)
    return {name: tensor.contiguous() for name, tensor in (optimiser.tensors() | architecture.tensors()).items()}


def killed(folder: Path, batches: int) -> None:
    """Searches, and ends by SIGKILL before that batch."""
    real, count = Batches.batch, 0

    def batch(self: Batches, step: int) -> tuple[Tensor, Tensor]:
        nonlocal count
        count += 1
        if count >= batches:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, step)

    Batches.batch = batch  # type: ignore[method-assign]
    search().run(folder)


def command(line: str, words: list[str]) -> None:
    """Runs hwbench, and ends by SIGKILL when it would say that line."""
    real = search_supernet.say

    def say(text: str) -> None:
        if text.startswith(line):
            os.kill(os.getpid(), signal.SIGKILL)
        real(text)

    search_supernet.say = say  # type: ignore[attr-defined]
    sys.argv = ["hwbench", *words]
    main_of_hwbench()


def main() -> None:
    torch.set_num_threads(1)
    if sys.argv[1] == "command":
        command(sys.argv[2], sys.argv[3:])
        return
    kind, folder = sys.argv[1], Path(sys.argv[2])
    if kind == "killed":
        killed(folder, int(sys.argv[3]))
        return
    with joined() as ranks:
        save_file(steps(ranks), folder / f"steps-{ranks.rank}.safetensors")
        made = search(SHORT, ranks)
        outcome = made.run(folder / "search")
        weights = {name: tensor.contiguous() for name, tensor in made.supernet.named_parameters()}
        save_file({**weights, "alphas": made.alphas}, folder / f"search-{ranks.rank}.safetensors")
        network = SMALL.network(outcome.most_likely())
        training = TrainingSettings(WeightSettings(epochs=1, batch=32))
        trained = train(network, images(64, 4), training, folder=folder / "training", ranks=ranks)
        save_arrays(trained.weights, folder / f"trained-{ranks.rank}.safetensors")
        outcomes.save(outcome, folder / f"outcome-{ranks.rank}.json")


if __name__ == "__main__":
    main()
