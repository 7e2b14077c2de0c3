"""The mathematics of binarized paths (ProxylessNAS, section 3.2): sampling, gradients, and what they leave alone.

Architecture parameters are float64 (positions, choices); a position with fewer choices has -inf in the places it
lacks, which makes their probability and every gradient there 0.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TWO = 2


def initial_alphas(choice_counts: NDArray[np.int64], deviation: float, generator: torch.Generator) -> Tensor:
    """Normal with mean 0, as the published code draws them; shape (positions, most choices)."""
    most = int(choice_counts.max())
    alphas = deviation * torch.randn((len(choice_counts), most), generator=generator, dtype=torch.float64)
    absent = torch.arange(most) >= torch.from_numpy(choice_counts)[:, None]
    return alphas.masked_fill(absent, -torch.inf)


def offered(alphas: Tensor) -> Tensor:
    """Which places hold a choice; bool of the same shape."""
    return alphas != -torch.inf


def probabilities(alphas: Tensor, involved: Tensor) -> Tensor:
    """Softmax over the involved choices of each position, 0 elsewhere."""
    return alphas.masked_fill(~involved, -torch.inf).softmax(1)


def sample_pairs(alphas: Tensor, generator: torch.Generator) -> Tensor:
    """Two choices of each position without replacement (one where there is but one); bool, as `alphas`."""
    # The largest of log-probability plus Gumbel noise are draws without replacement.
    noise = -torch.empty_like(alphas).exponential_(generator=generator).log()
    places = (alphas + noise).topk(min(TWO, alphas.shape[1]), dim=1).indices
    return torch.zeros_like(alphas, dtype=torch.bool).scatter_(1, places, True) & offered(alphas)


def sample_paths(probability: Tensor, generator: torch.Generator) -> NDArray[np.uint8]:
    """One choice per position, shape (positions,)."""
    drawn: NDArray[np.uint8] = torch.multinomial(probability, 1, generator=generator)[:, 0].numpy().astype(np.uint8)
    return drawn


def through_gates(probability: Tensor, gate_gradients: Tensor) -> Tensor:
    """dL/dalpha_i = sum_j dL/dg_j p_j (delta_ij - p_i), per position (equation 4)."""
    return probability * (gate_gradients - (probability * gate_gradients).sum(1, keepdim=True))


def keep_uninvolved(before: Tensor, after: Tensor, involved: Tensor) -> Tensor:
    """`after` for the involved choices, `before` for the others, whose probabilities stay what they were.

    The involved parameters of a position move together until the sum of their exponentials is the old one. The others
    are put back: with a first beta above 0 Adam moves them too.
    """
    grown = _log_sum(after, involved) - _log_sum(before, involved)
    return torch.where(involved, after - grown, before)


def entropy(alphas: Tensor) -> float:
    """Mean over the positions, in nats."""
    probability = alphas.softmax(1)
    return float(-torch.xlogy(probability, probability).sum(1).mean())


def reinforce_gradient(alphas: Tensor, architectures: NDArray[np.uint8], advantages: Tensor) -> Tensor:
    """Mean over architectures (n, positions) of advantage times d(-log p) / dalpha; advantages have shape (n,).

    Unbiased for the gradient of the negative expected reward if what was subtracted does not depend on the draw.
    """
    chosen = torch.nn.functional.one_hot(torch.from_numpy(architectures.astype(np.int64)), alphas.shape[1])
    scores = alphas.softmax(1) - chosen
    return (advantages[:, None, None] * scores).mean(0)


def _log_sum(alphas: Tensor, involved: Tensor) -> Tensor:
    return alphas.masked_fill(~involved, -torch.inf).logsumexp(1, keepdim=True)
