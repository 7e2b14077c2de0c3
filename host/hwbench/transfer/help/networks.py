"""The predictor's network and the modulator, as modules that `torch.func` calls with a task's own parameters.

Linear layers and graph convolutions hold their weights as torch does, (out, in).
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbench.transfer.help.encodings import READ_NODE, Encoding
from hwbench.transfer.help.settings import Settings

Parameters: TypeAlias = dict[str, Tensor]
Inputs: TypeAlias = tuple[Tensor, ...]

# The layers that z modulates, in the order of its parts (section 3.2).
HEAD = ("head1", "head2", "head3")
_SMALL = 0.05


class GraphEncoder(nn.Module):
    """Graph convolutions (Kipf, Welling, ICLR 2017, without normalisation); (n, width) is what the read node holds."""

    def __init__(self, features: int, width: int, layers: int) -> None:
        super().__init__()
        sizes = [features, *[width] * (layers - 1)]
        self.layers = nn.ModuleList(nn.Linear(size, width) for size in sizes)
        for layer in self.layers:
            nn.init.uniform_(layer.weight, -_SMALL, _SMALL)

    def forward(self, nodes: Tensor, adjacency: Tensor) -> Tensor:
        held = nodes
        *inner, last = self.layers
        for layer in inner:
            held = functional.relu(layer(adjacency @ held))
        heard = adjacency[:, READ_NODE : READ_NODE + 1] @ held
        return functional.relu(last(heard)).squeeze(1)


class ChainEncoder(nn.Module):
    """Two hidden layers over the factors of a chain; (n, width)."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, width)
        self.second = nn.Linear(width, width)

    def forward(self, factors: Tensor) -> Tensor:
        return functional.relu(self.second(functional.relu(self.first(factors))))


class LatencyNetwork(nn.Module):
    """Standardised latency (n,) of encoded architectures on the device that an embedding (references,) stands for."""

    def __init__(self, encoding: Encoding, references: int, settings: Settings) -> None:
        super().__init__()
        width = settings.width
        if encoding.kind == "graph":
            self.encoder: nn.Module = GraphEncoder(encoding.features, width, settings.graph_layers)
        else:
            self.encoder = ChainEncoder(encoding.features, width)
        self.embedding = settings.embedding
        if self.embedding:
            self.device1 = nn.Linear(references, width)
            self.device2 = nn.Linear(width, width)
        joint = 2 * width if self.embedding else width
        self.head1 = nn.Linear(joint, joint)
        self.head2 = nn.Linear(joint, joint)
        self.head3 = nn.Linear(joint, 1)

    def forward(self, inputs: Inputs, embedding: Tensor) -> Tensor:
        joint = self.encoder(*inputs)
        if self.embedding:
            device = functional.relu(self.device2(functional.relu(self.device1(embedding))))
            joint = torch.cat([joint, device.expand(len(joint), -1)], dim=-1)
        hidden = functional.relu(self.head2(functional.relu(self.head1(joint))))
        return self.head3(hidden).squeeze(-1)


class Modulator(nn.Module):
    """z of an embedding: mean and deviation of a scale per input of each head layer and a shift of its bias."""

    def __init__(self, references: int, settings: Settings) -> None:
        super().__init__()
        self.inputs = 2 * settings.width
        self.scale = settings.modulator_scale
        self.first = nn.Linear(references, settings.modulator_width)
        self.second = nn.Linear(settings.modulator_width, 2 * self.size)

    @property
    def size(self) -> int:
        return len(HEAD) * (self.inputs + 1)

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of z, shape (size,) each."""
        mean, raw = self.second(functional.relu(self.first(embedding))).split(self.size)
        return mean, functional.softplus(raw)

    def modulated(self, parameters: Parameters, z: Tensor) -> Parameters:
        """The parameters with their head scaled by 1 + scale z and shifted by scale z."""
        found = dict(parameters)
        scales, shifts = z.split([len(HEAD) * self.inputs, len(HEAD)])
        for number, (name, own) in enumerate(zip(HEAD, scales.split(self.inputs), strict=True)):
            found[f"{name}.weight"] = parameters[f"{name}.weight"] * (1 + self.scale * own)
            found[f"{name}.bias"] = parameters[f"{name}.bias"] + self.scale * shifts[number]
        return found


def divergence(mean: Tensor, deviation: Tensor) -> Tensor:
    """Of a diagonal normal from the standard one, summed."""
    return 0.5 * (mean**2 + deviation**2 - 1 - 2 * torch.log(deviation)).sum()


def tensors(encoding: Encoding) -> Inputs:
    """The arrays of an encoding, sharing their memory."""
    return tuple(torch.from_numpy(array) for array in encoding.arrays)
