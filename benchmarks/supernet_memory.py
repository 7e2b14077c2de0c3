"""Bytes that a supernet's step holds for its backward pass, with 1 to 7 choices per position: one path, two, DARTS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tests.supernets import offering
from torch import Tensor
from torch.nn import functional

from benchmarks.common import parser, report
from hwbench import spaces
from hwbench.search.supernet import gates
from hwbench.search.supernet.memory import saved_bytes
from hwbench.search.supernet.network import Supernet, chain_of
from hwbench.search.supernet.routes import HeldGates, Mixture, OnePath, RecomputedGates, Route
from hwbench.search.training.batches import generator

SPACE = "proxylessnas-w0.5-r28-c10-i1-t1"
# The largest choice is always there, and on the path: the worst case of each number of choices.
CHOICES = ("k7e6", "k7e3", "k5e6", "k5e3", "k3e6", "k3e3", "zero")
COUNTS = (1, 2, 4, 7)
FLAT, SMALLEST_RATIO = 0.02, 4.0


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--space", default=SPACE)
    arguments.add_argument("--batch", type=int, default=32)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    held: dict[str, dict[int, int]] = {}
    parameters = {}
    for count in COUNTS:
        space = offering(chain_of(spaces.get(options.space)), CHOICES[:count])
        supernet = Supernet(space, seed=0)
        parameters[count] = sum(parameter.numel() for parameter in supernet.parameters())
        shape = space.network(space.sample(1, 0)[0])[0].block.in_shape
        images = torch.randn((options.batch, shape[2], *shape[:2]), generator=generator(0))
        images = images.contiguous(memory_format=torch.channels_last)
        for name, route in _routes(supernet, space.choice_counts).items():
            held.setdefault(name, {})[count] = saved_bytes(supernet, _step(supernet, images, route))
    growth = {name: bytes_of[COUNTS[-1]] / bytes_of[1] for name, bytes_of in held.items()}
    ratio = held["darts"][COUNTS[-1]] / held["one_path"][COUNTS[-1]]
    result: dict[str, Any] = {
        "space": options.space,
        "batch": options.batch,
        "saved_bytes": held,
        "growth_from_1_to_7": growth,
        "darts_over_one_path": ratio,
        "parameters": parameters,
    }
    report("supernet_memory", result, options.keep)
    flat = [growth[name] - 1 for name in ("one_path", "two_paths_recomputed", "all_paths")]
    if max(flat) > FLAT or ratio < SMALLEST_RATIO:
        raise SystemExit("the memory of a step is not what the documentation says")


def _routes(supernet: Supernet, choice_counts: Any) -> dict[str, Route]:
    alphas = gates.initial_alphas(choice_counts, 0.0, generator(0))
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


def _step(supernet: Supernet, images: Tensor, route: Route) -> Callable[[], Tensor]:
    return lambda: supernet(images, route)


if __name__ == "__main__":
    main()
