"""Architecture steps: a gradient by gates or by REINFORCE, Adam, and the shift that leaves other choices alone."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hwbench.search.supernet import gates
from hwbench.search.supernet.latency import ExpectedLatency
from hwbench.search.supernet.losses import combined
from hwbench.search.supernet.network import Supernet
from hwbench.search.supernet.routes import HeldGates, Mixture, OnePath, RecomputedGates, Route
from hwbench.search.supernet.settings import ArchitectureSettings, Gradient, HoldLimit, Reinforce
from hwbench.search.training.batches import Batch
from hwbench.search.training.ranks import Ranks
from hwbench.tables.source import LatencySource

_ADAM = ("exp_avg", "exp_avg_sq", "step")


class Direction(msgspec.Struct, frozen=True):
    """A gradient of the architecture's parameters and the choices it involves, both (positions, choices)."""

    gradient: Tensor
    involved: Tensor


def gate_direction(
    supernet: Supernet,
    alphas: Tensor,
    batch: Batch,
    expectation: ExpectedLatency,
    settings: Gradient,
    draws: torch.Generator,
    ranks: Ranks,
    multiplier: float = 0.0,
) -> Direction:
    """The gradient of the loss by two or all paths, its latency term included, reduced over the ranks.

    The latency's part reaches a position whatever its active choice is: the published code drops it where that is Zero.
    `multiplier` is what the weight of a loss that holds a limit has come to.
    """
    images, labels = batch
    pairs = settings.method.startswith("two_paths")
    involved = gates.sample_pairs(alphas, draws) if pairs else gates.offered(alphas)
    leaf = alphas.clone().requires_grad_()
    probability = gates.probabilities(leaf, involved)
    fixed = probability.detach()
    active = gates.sample_paths(fixed, draws)
    opened = functional.one_hot(torch.from_numpy(active.astype(np.int64)), alphas.shape[1])
    opened = opened.to(images.dtype).requires_grad_()
    route = _route(settings, active, involved, opened, probability.to(images.dtype))
    expected = expectation.expected_us(probability, draws)
    chosen = settings.loss.with_weight(multiplier) if isinstance(settings.loss, HoldLimit) else settings.loss
    loss = combined(chosen, functional.cross_entropy(supernet(images, route), labels), expected)
    of_alphas, of_gates = torch.autograd.grad(loss, [leaf, opened], allow_unused=True)
    gradient = torch.zeros_like(alphas) if of_alphas is None else of_alphas
    if of_gates is not None:
        gradient = gradient + gates.through_gates(fixed, of_gates.double())
    ranks.mean_([gradient])
    return Direction(gradient, involved)


def reinforce_direction(
    supernet: Supernet,
    alphas: Tensor,
    batch: Batch,
    source: LatencySource,
    settings: Reinforce,
    baseline: float | None,
    draws: torch.Generator,
    ranks: Ranks,
) -> tuple[Direction, float]:
    """The gradient of the negative expected reward, and the next baseline.

    What is subtracted is the baseline of the steps before (at the first step the mean reward of the other networks),
    never one that has seen the reward, as the published code's has: that one shrinks the gradient.
    """
    probability = alphas.softmax(1)
    architectures = np.stack([gates.sample_paths(probability, draws) for _ in range(settings.networks)])
    accuracy = torch.tensor([_accuracy(supernet, one, batch) for one in architectures], dtype=torch.float64)
    ranks.mean_([accuracy])
    latency_us = torch.from_numpy(np.asarray(source.predict(architectures).mean_us, np.float64))
    rewards = accuracy * (settings.known_reference_us / latency_us) ** settings.exponent
    mean = rewards.mean()
    if baseline is None:
        others = (rewards.sum() - rewards) / (len(rewards) - 1)
        advantages, following = rewards - others, float(mean)
    else:
        advantages, following = rewards - baseline, baseline + settings.decay * (float(mean) - baseline)
    gradient = gates.reinforce_gradient(alphas, architectures, advantages)
    return Direction(gradient, gates.offered(alphas)), following


class ArchitectureOptimiser:
    """Adam on `alphas`, float64 (positions, choices), -inf where a position has fewer choices."""

    def __init__(self, alphas: Tensor, settings: ArchitectureSettings) -> None:
        self.alphas = alphas.clone()
        self._adam = torch.optim.Adam([self.alphas], settings.learning_rate, settings.betas, settings.epsilon)

    def step(self, direction: Direction) -> None:
        """Moves the involved choices; the probabilities of the others stay what they are."""
        before = self.alphas.clone()
        self.alphas.grad = direction.gradient
        self._adam.step()
        self.alphas.grad = None
        self.alphas.copy_(gates.keep_uninvolved(before, self.alphas, direction.involved))

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and moments, for a checkpoint."""
        state = self._adam.state.get(self.alphas, {})
        return {"alphas": self.alphas, **{f"adam.{name}": state[name] for name in _ADAM if name in state}}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        self.alphas.copy_(tensors["alphas"])
        if "adam.step" in tensors:
            self._adam.state[self.alphas] = {name: tensors[f"adam.{name}"] for name in _ADAM}


def _route(
    settings: Gradient, active: NDArray[np.uint8], involved: Tensor, opened: Tensor, probability: Tensor
) -> Route:
    match settings.method:
        case "all_paths" | "two_paths_recomputed":
            return RecomputedGates(active, involved, opened)
        case "two_paths":
            return HeldGates(active, involved, opened)
        case "darts":
            return Mixture(probability)


def _accuracy(supernet: Supernet, architecture: NDArray[np.uint8], batch: Batch) -> float:
    """Share of right answers with the batch norms of the batch itself."""
    images, labels = batch
    with torch.no_grad():
        return float((supernet(images, OnePath(architecture)).argmax(1) == labels).double().mean())
