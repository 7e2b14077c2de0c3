"""Every number of a search, with the published code's value as its default.

Source: the ImageNet search of the ProxylessNAS repository (search/imagenet_arch_search.py and search/nas_manager.py);
what it does not set says so. A reference that is None is the latency limit of whoever searches under one.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypeVar

import msgspec

from hwbench.errors import UsageError
from hwbench.search.training.settings import Augmentation, WeightSettings, check


class WarmUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Epochs of weight steps alone, paths drawn from the first, nearly equal, probabilities."""

    epochs: int = 40
    learning_rate: float = 0.05

    def __post_init__(self) -> None:
        check("warm-up epochs", self.epochs >= 0, "at least 0")
        check("warm-up learning_rate", self.learning_rate > 0, "above 0")


class _Referred(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What compares a latency with a reference, in microseconds."""

    reference_us: float | None = None

    @property
    def known_reference_us(self) -> float:
        """The reference. Raises UsageError where there is none."""
        if self.reference_us is None:
            raise UsageError("The latency has nothing to be compared with.", hint="Set reference_us.")
        return self.reference_us

    def _check_reference(self) -> None:
        check("reference_us", self.reference_us is None or self.reference_us > 0, "above 0")


class AddLinear(_Referred, frozen=True, tag="add#linear"):
    """L = CE + weight (E - reference) / reference."""

    weight: float = 0.1

    def __post_init__(self) -> None:
        self._check_reference()
        check("weight", self.weight >= 0, "at least 0")


class MulLog(_Referred, frozen=True, tag="mul#log"):
    """L = scale CE (ln(80 E / reference) / ln 80)^power: the published loss at its 80 ms, in any unit."""

    scale: float = 0.2
    power: float = 0.3

    def __post_init__(self) -> None:
        self._check_reference()
        check("scale", self.scale > 0, "above 0")
        check("power", self.power >= 0, "at least 0")


class NoLatency(msgspec.Struct, frozen=True, tag="none", forbid_unknown_fields=True):
    """L = CE; a limit is then held by the derivation alone."""


class HoldLimit(_Referred, frozen=True, tag="hold#limit"):
    """L = CE + weight (E - reference) / reference with a weight that is found: the multiplier of E <= reference (ours).

    It begins at 0 and moves by `rate` (E - reference) / reference after each architecture step, never below 0.
    """

    rate: float = 0.01

    def __post_init__(self) -> None:
        self._check_reference()
        check("rate", self.rate > 0, "above 0")

    def with_weight(self, weight: float) -> AddLinear:
        """The loss while the multiplier has this value."""
        return AddLinear(self.reference_us, weight)

    def moved(self, weight: float, expected_us: float) -> float:
        """The multiplier after a step at this expected latency."""
        return max(0.0, weight + self.rate * (expected_us / self.known_reference_us - 1))


LatencyLoss: TypeAlias = AddLinear | MulLog | HoldLimit | NoLatency


class Reinforce(_Referred, frozen=True, tag="reinforce"):
    """REINFORCE: reward = accuracy (reference / latency)^exponent, `networks` drawn for each step.

    The baseline moves by `decay` of its distance to each step's mean reward.
    """

    networks: int = 10
    exponent: float = 0.1
    decay: float = 0.99

    def __post_init__(self) -> None:
        self._check_reference()
        check("networks", self.networks >= 2, "at least 2")
        check("exponent", self.exponent >= 0, "at least 0")
        check("decay", 0 < self.decay <= 1, "above 0 and at most 1")


GateMethod: TypeAlias = Literal["all_paths", "two_paths", "two_paths_recomputed", "darts"]


class Gradient(msgspec.Struct, frozen=True, tag="gradient", forbid_unknown_fields=True):
    """Architecture steps by gates.

    `all_paths` computes the inactive choices again in the backward pass (`full_v2`, the published default),
    `two_paths` holds the output of one inactive choice (the paper, section 3.2.1), `two_paths_recomputed` does not even
    hold that, and `darts` mixes all choices, in weight steps as well: for comparison only.
    """

    loss: LatencyLoss = MulLog()
    method: GateMethod = "all_paths"


class ArchitectureSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Adam on the architecture's parameters: `steps` after every `every` weight steps, from epoch `first_epoch` on."""

    by: Gradient | Reinforce = Gradient()
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


# How the choices of a position begin: `search/supernet/beginnings.py`.
Beginning: TypeAlias = Literal["independent", "alike"]


class SearchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole search. `validation_images` of the architecture's split are looked at after each epoch (ours).

    `beginning` is how the choices' first weights are drawn; `alike` is ours.

    A checkpoint is written after each epoch and, if `checkpoint_steps` is above 0, after so many weight steps.
    """

    architecture: ArchitectureSettings = ArchitectureSettings()
    warm_up: WarmUp = WarmUp()
    weights: WeightSettings = WeightSettings()
    augmentation: Augmentation = Augmentation()
    beginning: Beginning = "independent"
    validation_images: int = 2000
    checkpoint_steps: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check("validation_images", self.validation_images >= 2, "at least 2")
        check("checkpoint_steps", self.checkpoint_steps >= 0, "at least 0")
        check("seed", self.seed >= 0, "at least 0")

    @property
    def epochs(self) -> int:
        """Of warm-up and search together."""
        return self.warm_up.epochs + self.weights.epochs

    def check_reference(self) -> None:
        """Raises UsageError when something is compared with a reference that is None."""
        by = self.architecture.by
        compared = by.loss if isinstance(by, Gradient) else by
        if not isinstance(compared, NoLatency):
            _ = compared.known_reference_us

    def referred_to(self, limit_us: float) -> SearchSettings:
        """The settings with a limit in the place of a reference that is None."""
        by = self.architecture.by
        if isinstance(by, Gradient):
            by = msgspec.structs.replace(by, loss=_referred_to(by.loss, limit_us))
        else:
            by = _referred_to(by, limit_us)
        return msgspec.structs.replace(self, architecture=msgspec.structs.replace(self.architecture, by=by))


_T = TypeVar("_T", bound=AddLinear | MulLog | HoldLimit | NoLatency | Reinforce)


def _referred_to(one: _T, limit_us: float) -> _T:
    if isinstance(one, NoLatency) or one.reference_us is not None:
        return one
    return msgspec.structs.replace(one, reference_us=limit_us)
