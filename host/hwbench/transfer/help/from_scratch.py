"""The encoder trained on one target alone, as BRP-NAS does (Dudziak et al., NeurIPS 2020, section 3.1): no pool."""

from __future__ import annotations

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.nn import functional

from hwbench.errors import DataError
from hwbench.transfer.help.encodings import encode
from hwbench.transfer.help.networks import LatencyNetwork, tensors
from hwbench.transfer.help.settings import Settings
from hwbench.transfer.help.tasks import Floats, Scale, scale_of
from hwbench.transfer.help.training import one_thread

FEWEST = 2


class ScratchSettings(msgspec.Struct, frozen=True):
    """The paper's (appendix, training details), but HELP's width: 600 units learn nothing more from few points."""

    network: Settings = Settings(embedding=False, modulator=False)
    rate: float = 8e-4
    weight_decay: float = 5e-4
    epochs: int = 250
    batch: int = 10


DEFAULT = ScratchSettings()


class ScratchPredictor(msgspec.Struct, frozen=True):
    """Mean latency of any architecture of the space."""

    space: str
    network: LatencyNetwork
    scale: Scale

    def mean(self, architectures: ArrayLike) -> Floats:
        """Shape (n,), in the unit of the measurements."""
        inputs = tensors(encode(self.space, architectures))
        with one_thread(), torch.no_grad():
            standard = self.network(inputs, torch.zeros(0))
        return self.scale.undo(standard.numpy().astype(float))


def fit(
    space: str, architectures: NDArray[np.uint8], latency_us: Floats, settings: ScratchSettings = DEFAULT, seed: int = 0
) -> ScratchPredictor:
    """From `latency_us` (n,) of `architectures` (n, positions). Raises DataError for fewer than two."""
    if len(latency_us) < FEWEST:
        raise DataError(f"{len(latency_us)} measurements are too few to train on: {FEWEST} are the least.")
    encoding, scale = encode(space, architectures), scale_of(latency_us)
    inputs, latency = tensors(encoding), torch.from_numpy(scale.apply(latency_us)).float()
    rng = np.random.default_rng(seed)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LatencyNetwork(encoding, 0, settings.network)
        optimiser = torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs)
        for _ in range(settings.epochs):
            order = torch.from_numpy(rng.permutation(len(latency)))
            for batch in order.split(settings.batch):
                optimiser.zero_grad()
                predicted = network(tuple(one[batch] for one in inputs), torch.zeros(0))
                functional.mse_loss(predicted, latency[batch]).backward()
                optimiser.step()
            schedule.step()
    return ScratchPredictor(space, network, scale)
