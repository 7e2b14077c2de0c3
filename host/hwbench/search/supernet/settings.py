"""Every number of a search, with the published code's value as its default.

Source: the ImageNet search of the ProxylessNAS repository (search/imagenet_arch_search.py and search/nas_manager.py);
what it does not set says so.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hwbench.search.training.settings import Augmentation, WeightSettings, check


class WarmUp(msgspec.Struct, frozen=True):
    """Epochs of weight steps alone, paths drawn from the first, nearly equal, probabilities."""

    epochs: int = 40
    learning_rate: float = 0.05

    def __post_init__(self) -> None:
        check("warm-up epochs", self.epochs >= 0, "at least 0")
        check("warm-up learning_rate", self.learning_rate > 0, "above 0")


class AddLinear(msgspec.Struct, frozen=True, tag="add#linear"):
    """L = CE + weight (E - reference) / reference."""

    reference_us: float
    weight: float = 0.1

    def __post_init__(self) -> None:
        check("reference_us", self.reference_us > 0, "above 0")
        check("weight", self.weight >= 0, "at least 0")


class MulLog(msgspec.Struct, frozen=True, tag="mul#log"):
    """L = scale CE (ln(80 E / reference) / ln 80)^power: the published loss at its 80 ms, in any unit."""

    reference_us: float
    scale: float = 0.2
    power: float = 0.3

    def __post_init__(self) -> None:
        check("reference_us", self.reference_us > 0, "above 0")
        check("scale", self.scale > 0, "above 0")
        check("power", self.power >= 0, "at least 0")


class NoLatency(msgspec.Struct, frozen=True, tag="none"):
    """L = CE; a limit is then held by the derivation alone."""


LatencyLoss: TypeAlias = AddLinear | MulLog | NoLatency


class Reinforce(msgspec.Struct, frozen=True, tag="reinforce"):
    """REINFORCE: reward = accuracy (reference / latency)^exponent, `networks` drawn for each step.

    The baseline moves by `decay` of its distance to each step's mean reward.
    """

    reference_us: float
    networks: int = 10
    exponent: float = 0.1
    decay: float = 0.99

    def __post_init__(self) -> None:
        check("reference_us", self.reference_us > 0, "above 0")
        check("networks", self.networks >= 2, "at least 2")
        check("exponent", self.exponent >= 0, "at least 0")
        check("decay", 0 < self.decay <= 1, "above 0 and at most 1")


GateMethod: TypeAlias = Literal["all_paths", "two_paths", "two_paths_recomputed", "darts"]


class Gradient(msgspec.Struct, frozen=True, tag="gradient"):
    """Architecture steps by gates.

    `all_paths` computes the inactive choices again in the backward pass (`full_v2`, the published default),
    `two_paths` holds the output of one inactive choice (the paper, section 3.2.1), `two_paths_recomputed` does not even
    hold that, and `darts` mixes all choices, in weight steps as well: for comparison only.
    """

    loss: LatencyLoss
    method: GateMethod = "all_paths"


class ArchitectureSettings(msgspec.Struct, frozen=True):
    """Adam on the architecture's parameters: `steps` after every `every` weight steps, from epoch `first_epoch` on."""

    by: Gradient | Reinforce
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.999)
    epsilon: float = 1e-8
    initial_deviation: float = 1e-3
    batch: int = 256
    every: int = 5
    steps: int = 1
    first_epoch: int = 1

    def __post_init__(self) -> None:
        check("architecture learning_rate", self.learning_rate > 0, "above 0")
        check("betas", all(0 <= beta < 1 for beta in self.betas), "at least 0 and below 1")
        check("epsilon", self.epsilon > 0, "above 0")
        check("initial_deviation", self.initial_deviation >= 0, "at least 0")
        check("architecture batch", self.batch >= 2, "at least 2, for the batch norms")
        check("every", self.every >= 1, "at least 1")
        check("steps", self.steps >= 1, "at least 1")
        check("first_epoch", self.first_epoch >= 0, "at least 0")


class SearchSettings(msgspec.Struct, frozen=True):
    """A whole search. `validation_images` of the architecture's split are looked at after each epoch (ours).

    A checkpoint is written after each epoch and, if `checkpoint_steps` is above 0, after so many weight steps.
    """

    architecture: ArchitectureSettings
    warm_up: WarmUp = WarmUp()
    weights: WeightSettings = WeightSettings()
    augmentation: Augmentation = Augmentation()
    validation_images: int = 2000
    checkpoint_steps: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check("validation_images", self.validation_images >= 2, "at least 2")
        check("checkpoint_steps", self.checkpoint_steps >= 0, "at least 0")
        check("seed", self.seed >= 0, "at least 0")
