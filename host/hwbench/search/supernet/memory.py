"""How much a step holds for its backward pass, counted in bytes and not by looking at the process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbench.search.supernet import gates
from hwbench.search.supernet.network import Supernet
from hwbench.search.supernet.routes import HeldGates, Mixture, OnePath, RecomputedGates, Route
from hwbench.search.training.batches import generator
from hwbench.spaces.space import ChainSpace


def saved_bytes(module: nn.Module, forward: Callable[[], Tensor]) -> int:
    """Bytes of the tensors that `forward` saves for backward, each piece of memory once, the module's own left out."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
    held: dict[int, int] = {}
    # Storages stay alive while they are counted: freed memory would be given out, and counted, again.
    alive: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        alive.append(forward())
    return sum(held.values())


def bytes_by_route(space: ChainSpace, batch: int) -> dict[str, int]:
    """What a step of each kind holds, with the first choice of every position active, on noise."""
    supernet = Supernet(space, seed=0)
    height, width, channels = space.network(space.sample(1, 0)[0])[0].block.in_shape
    images = torch.randn((batch, channels, height, width), generator=generator(0))
    images = images.contiguous(memory_format=torch.channels_last)

    def step(route: Route) -> int:
        return saved_bytes(supernet, lambda: supernet(images, route))

    return {name: step(route) for name, route in _routes(space).items()}


def _routes(space: ChainSpace) -> dict[str, Route]:
    alphas = gates.initial_alphas(space.choice_counts, 0.0, generator(0))
    involved = gates.offered(alphas)
    pair = involved & (torch.arange(alphas.shape[1]) < 2)
    active = np.zeros(len(alphas), np.uint8)
    opened = functional.one_hot(torch.zeros(len(alphas), dtype=torch.int64), alphas.shape[1]).float()
    opened.requires_grad_()
    return {
        "one_path": OnePath(active),
        "two_paths": HeldGates(active, pair, opened),
        "two_paths_recomputed": RecomputedGates(active, pair, opened),
        "all_paths": RecomputedGates(active, involved, opened),
        "darts": Mixture(alphas.softmax(1).float().requires_grad_()),
    }
