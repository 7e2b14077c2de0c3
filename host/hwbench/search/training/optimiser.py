"""The weight optimiser of searches and trainings: SGD as published, its state under the names of the parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbench.errors import DataError
from hwbench.search.training.ranks import Ranks
from hwbench.search.training.settings import WeightSettings

_MOMENTUM = "momentum."
_WEIGHTS = "weights."


def cosine(start: float, step: int, steps: int) -> float:
    """The learning rate of a step under a cosine from `start` to 0 over `steps`."""
    return start * (1 + math.cos(math.pi * step / steps)) / 2


def check_finite(loss: float, step: int) -> None:
    """Raises DataError for a loss that is infinite or no number."""
    if not math.isfinite(loss):
        raise DataError(f"The loss of weight step {step} is {loss}.", hint="Lower the learning rate.")


class WeightOptimiser:
    """SGD with Nesterov momentum on the parameters that a step used.

    A parameter without a gradient is left alone: no momentum and no decay moves a choice that was not on the path.
    """

    def __init__(self, module: nn.Module, settings: WeightSettings) -> None:
        self._module = module
        self._smoothing = settings.label_smoothing
        self._sgd = torch.optim.SGD(
            module.parameters(), settings.learning_rate, settings.momentum, weight_decay=settings.weight_decay,
            nesterov=True,
        )  # fmt: skip

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(scores, labels, label_smoothing=self._smoothing)

    def step(self, loss: Tensor, learning_rate: float, ranks: Ranks) -> None:
        """One step down the mean of the ranks' losses."""
        self._sgd.zero_grad(set_to_none=True)
        loss.backward()
        ranks.mean_([parameter.grad for parameter in self._module.parameters() if parameter.grad is not None])
        self._sgd.param_groups[0]["lr"] = learning_rate
        self._sgd.step()
        self._sgd.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """Weights, buffers and momenta, for a checkpoint."""
        weights = {f"{_WEIGHTS}{name}": tensor for name, tensor in self._module.state_dict().items()}
        momenta = {
            f"{_MOMENTUM}{name}": self._sgd.state[parameter]["momentum_buffer"]
            for name, parameter in self._module.named_parameters()
            if "momentum_buffer" in self._sgd.state[parameter]
        }
        return weights | momenta

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        named = dict(self._module.named_parameters())
        self._module.load_state_dict(
            {name.removeprefix(_WEIGHTS): tensor for name, tensor in tensors.items() if name.startswith(_WEIGHTS)}
        )
        for name, tensor in tensors.items():
            if name.startswith(_MOMENTUM):
                self._sgd.state[named[name.removeprefix(_MOMENTUM)]]["momentum_buffer"] = tensor
