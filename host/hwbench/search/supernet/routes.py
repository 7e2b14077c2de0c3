"""How an image passes a position: through one choice, through gates, or through all choices at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Route(Protocol):
    def through(self, position: int, choices: Sequence[nn.Module], image: Tensor) -> Tensor:
        """The output of a position that offers `choices`."""


class OnePath:
    """The active choices alone: weight steps and validation. `active` is an architecture, shape (positions,)."""

    def __init__(self, active: NDArray[np.uint8]) -> None:
        self._active = active.tolist()

    def through(self, position: int, choices: Sequence[nn.Module], image: Tensor) -> Tensor:
        return choices[self._active[position]](image)


class _Gates:
    """Binary gates, 1 for the active choice; `gates` and the bool tensor `involved` are (positions, choices)."""

    def __init__(self, active: NDArray[np.uint8], involved: Tensor, gates: Tensor) -> None:
        self._active = active.tolist()
        self._involved = involved.tolist()
        self._gates = gates

    def _others(self, position: int, choices: Sequence[nn.Module]) -> dict[int, nn.Module]:
        """The involved choices that are not active, by number."""
        involved = self._involved[position]
        return {k: choice for k, choice in enumerate(choices) if involved[k] and k != self._active[position]}


class HeldGates(_Gates):
    """The output is sum_k g_k o_k over the involved choices; those outputs are held for the gates' gradient.

    Gradients of the image and the weights go through the active choice alone.
    """

    def through(self, position: int, choices: Sequence[nn.Module], image: Tensor) -> Tensor:
        active = self._active[position]
        total = self._gates[position, active] * choices[active](image)
        for number, choice in self._others(position, choices).items():
            with torch.no_grad():
                output = choice(image)
            total = total + self._gates[position, number] * output
        return total


class RecomputedGates(_Gates):
    """As HeldGates, but an inactive choice runs in the backward pass alone, so that one path is held."""

    def through(self, position: int, choices: Sequence[nn.Module], image: Tensor) -> Tensor:
        active, others = self._active[position], self._others(position, choices)
        output: Tensor = _GateGradients.apply(choices[active](image), self._gates[position], image, active, others)
        return output


class Mixture:
    """DARTS: every choice, weighted by its probability (positions, choices), all of them in memory."""

    def __init__(self, probability: Tensor) -> None:
        self._probability = probability

    def through(self, position: int, choices: Sequence[nn.Module], image: Tensor) -> Tensor:
        weights = self._probability[position]
        total = weights[0] * choices[0](image)
        for number, choice in enumerate(choices[1:], start=1):
            total = total + weights[number] * choice(image)
        return total


class _GateGradients(torch.autograd.Function):
    """The active output as it is; backward, dL/dg_k = <dL/d output, o_k(image)> for each involved choice k."""

    @staticmethod
    def forward(
        ctx: Any, output: Tensor, gates: Tensor, image: Tensor, active: int, others: dict[int, nn.Module]
    ) -> Tensor:
        ctx.save_for_backward(output, image)
        ctx.active, ctx.others, ctx.choices = active, others, len(gates)
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        output, image = ctx.saved_tensors
        of_gates = gradient.new_zeros(ctx.choices)
        of_gates[ctx.active] = (gradient * output).sum()
        with torch.no_grad():
            for number, choice in ctx.others.items():
                of_gates[number] = (gradient * choice(image)).sum()
        return gradient, of_gates, None, None, None
