"""The meta-learner: an inner loop of gradient steps from learned initial parameters, and the loss it is learned by.

    theta' = theta_z - alpha * grad of the support's loss, repeated          (Meta-SGD, Li et al. 2017, equation 3)

theta_z is theta under the modulator's z, alpha a rate per parameter. What is of one task is mapped over tasks by
`torch.func.vmap`; gradients of the outer loss pass through the inner steps (second order).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from hwbench.transfer.help.encodings import Encoding
from hwbench.transfer.help.networks import Inputs, LatencyNetwork, Modulator, Parameters, divergence
from hwbench.transfer.help.settings import Settings
from hwbench.transfer.help.tasks import Floats, Measured

NETWORK, RATES, MODULATOR = "network.", "rates.", "modulator."


class Task(NamedTuple):
    """A device's measurements, latencies standardised; `noise` draws z. A batch of tasks has a leading dimension."""

    support: Inputs
    latency: Tensor
    embedding: Tensor
    noise: Tensor


class MetaLearner:
    """What is learned is one flat dictionary, the state: initial parameters, rates, the modulator's parameters."""

    def __init__(self, encoding: Encoding, references: int, settings: Settings, seed: int = 0) -> None:
        self.settings = settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._network = LatencyNetwork(encoding, references, settings)
            self._modulator = Modulator(references, settings) if settings.modulator else None

    @property
    def noise_size(self) -> int:
        return self._modulator.size if self._modulator else 0

    def initial(self) -> Parameters:
        """The state before training, as leaves that require gradients."""
        network = dict(self._network.named_parameters())
        found = {NETWORK + name: value for name, value in network.items()}
        if self.settings.learned_rates:
            rate = self.settings.inner_rate
            found |= {RATES + name: torch.full_like(value, rate) for name, value in network.items()}
        if self._modulator:
            found |= {MODULATOR + name: value for name, value in self._modulator.named_parameters()}
        return {name: value.detach().clone().requires_grad_() for name, value in found.items()}

    def losses(self, state: Parameters, tasks: Task, query: Inputs, latency: Tensor) -> Tensor:
        """The outer loss of each task, shape (tasks,)."""
        found: Tensor = vmap(self.loss, in_dims=(None, 0, 0, 0))(state, tasks, query, latency)
        return found

    def loss(self, state: Parameters, task: Task, query: Inputs, latency: Tensor) -> Tensor:
        """Of one task: the adapted parameters' loss over the query, and z's divergence."""
        own, far = self._adapted(state, task, self.settings.inner_steps)
        error = self._error(own, query, latency, task.embedding)
        return error + self.settings.divergence_weight * far

    def predict(self, state: Parameters, tasks: Task, query: Inputs) -> Tensor:
        """Standardised latencies of one query under each task, shape (tasks, n), without gradients."""

        def predicted(task: Task) -> Tensor:
            own, _ = self._adapted(state, task, self.settings.adaptation_steps)
            return self._called(own, query, task.embedding)

        with torch.no_grad():
            found: Tensor = vmap(predicted)(tasks)
        return found

    def _adapted(self, state: Parameters, task: Task, steps: int) -> tuple[Parameters, Tensor]:
        """The network's parameters after the inner loop, and z's divergence."""
        own, far = self._modulated(state, task)
        rates = _part(state, RATES) if self.settings.learned_rates else None
        for _ in range(steps):
            slopes = grad(self._error)(own, task.support, task.latency, task.embedding)
            own = {
                name: value - (rates[name] if rates else self.settings.inner_rate) * slopes[name]
                for name, value in own.items()
            }
        return own, far

    def _modulated(self, state: Parameters, task: Task) -> tuple[Parameters, Tensor]:
        own = _part(state, NETWORK)
        if self._modulator is None:
            return own, torch.zeros(())
        mean, deviation = functional_call(self._modulator, _part(state, MODULATOR), (task.embedding,))
        return self._modulator.modulated(own, mean + deviation * task.noise), divergence(mean, deviation)

    def _error(self, own: Parameters, inputs: Inputs, latency: Tensor, embedding: Tensor) -> Tensor:
        predicted = self._called(own, inputs, embedding)
        if self.settings.loss == "huber":
            return functional.huber_loss(predicted, latency)
        return functional.mse_loss(predicted, latency)

    def _called(self, own: Parameters, inputs: Inputs, embedding: Tensor) -> Tensor:
        found: Tensor = functional_call(self._network, own, (inputs, embedding))
        return found


def task_of(measured: Sequence[Measured], support: Inputs, noise: Tensor) -> Task:
    """A batch of tasks; `support` are the encoded architectures that each measured, with a leading dimension."""
    latency = np.stack([one.latency for one in measured])
    embedding = np.stack([one.embedding for one in measured])
    return Task(support, tensor_of(latency), tensor_of(embedding), noise)


def tensor_of(values: Floats) -> Tensor:
    return torch.from_numpy(values).float()


def _part(state: Parameters, prefix: str) -> Parameters:
    """The entries of a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
