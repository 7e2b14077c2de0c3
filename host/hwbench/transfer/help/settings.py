"""Hyper-parameters of the meta-learned predictors. The defaults are the paper's.

Section numbers are HELP's (Lee et al., NeurIPS 2021); "code" are the values of its published code where the paper
gives none. What hwbench trains with, HELP below, differs where a comment there says so.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

Loss = Literal["squared", "huber"]
# Bounds keep a file from asking for more memory than a predictor needs.
Count = Annotated[int, Meta(ge=1, le=100_000)]
CountOrNone = Annotated[int, Meta(ge=0, le=100_000)]
Units = Annotated[int, Meta(ge=1, le=1024)]
Few = Annotated[int, Meta(ge=1, le=64)]
FewOrNone = Annotated[int, Meta(ge=0, le=64)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(gt=0, le=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is trained, and how. Without modulator and embedding it is Meta-SGD (Li et al. 2017), without learned
    rates as well MAML (Finn et al., ICML 2017)."""

    # The hardware embedding from reference architectures (section 3.2).
    embedding: bool = True
    # z scales weights and shifts biases of the head by a function of the embedding (section 3.2).
    modulator: bool = True
    # An inner rate per parameter, learned (section 3.2, from Meta-SGD).
    learned_rates: bool = True
    # Units of every hidden layer; the head has twice as many with an embedding (code).
    width: Units = 100
    # Graph convolutions of a cell's encoder (code).
    graph_layers: Few = 4
    # What the hardware has to do in sum is read beside the factors of a chain (code: no).
    totals: bool = False
    # Hidden units of the modulator (code).
    modulator_width: Units = 10
    # z acts by so much (code).
    modulator_scale: NotNegative = 0.01
    # Weight of the divergence of z from a standard normal (code).
    divergence_weight: NotNegative = 0.1
    # Draws of z that a prediction averages (code).
    modulator_draws: Few = 10
    # Inner rate, and where learned ones start (code).
    inner_rate: Positive = 1e-3
    # Inner steps in meta-training (code).
    inner_steps: Few = 2
    # Inner steps on a new target (code).
    adaptation_steps: FewOrNone = 2
    # Adam's rate of the outer loop (code).
    outer_rate: Positive = 1e-4
    # The outer rate falls to this share of itself along a half cosine (code: 1, constant).
    last_rate: Share = 1.0
    # Length that the meta-gradient is clipped to (code: not clipped).
    gradient_norm: Positive | None = None
    # Devices of an episode (code); fewer where there are not so many.
    tasks: Few = 8
    # Architectures that are fine-tuned on (section 4.1).
    support: Few = 10
    # The references are fine-tuned on as well: they are measured anyway (code: no).
    references_fine_tune: bool = False
    # Architectures of a task that the outer loss is taken over (code).
    query: Count = 200
    # Share of a device's architectures, by its latency, that support and query are drawn from (code).
    central: Share = 0.8
    # Standardised latencies are clipped at this (code: not clipped).
    most_standard: Positive | None = None
    # Of prediction against standardised latency, in both loops (code).
    loss: Loss = "squared"
    # Episodes (code: 2000 for NAS-Bench-201, 4000 for FBNet).
    episodes: Count = 2000
    # Episodes between validations (code).
    validate_every: Count = 50
    # Validations without a better one after which training ends; 0: never (code).
    patience: CountOrNone = 0

    def __post_init__(self) -> None:
        if self.modulator and not self.embedding:
            raise ValueError("the modulator needs the embedding")

    def clipped(self, standard: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standardised latencies within the bound."""
        bound = self.most_standard
        return standard if bound is None else np.clip(standard, -bound, bound)


PAPER = Settings()
# benchmarks/help_settings.py compares alternatives on HELP's meta-valid targets.
HELP = Settings(
    width=64,
    outer_rate=2e-3,
    last_rate=0.01,
    gradient_norm=1.0,
    query=64,
    references_fine_tune=True,
    totals=True,
    divergence_weight=1e-4,
    episodes=600,
    patience=6,
)
META_SGD = msgspec.structs.replace(HELP, embedding=False, modulator=False, references_fine_tune=False)
MAML = msgspec.structs.replace(META_SGD, learned_rates=False)
