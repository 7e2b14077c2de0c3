"""Every number of training, with the value of the published ProxylessNAS search as its default.

Source: search/imagenet_arch_search.py of its repository, for ImageNet; what it does not set says so.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hwbench.errors import UsageError


def check(name: str, holds: bool, wanted: str) -> None:
    """Raises UsageError for a setting that makes no sense."""
    if not holds:
        raise UsageError(f"The setting {name} must be {wanted}.")


class Augmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Random crops and mirror images. The defaults are ours, for small images; (0.08, 0, True) is ImageNet's.

    `smallest_crop` is the least share of the image's area that a crop keeps (1: no scaling), `shift` how many pixels
    an image moves at most, `flip` whether half of the images are mirrored.
    """

    smallest_crop: float = 1.0
    shift: int = 2
    flip: bool = True

    def __post_init__(self) -> None:
        check("smallest_crop", 0 < self.smallest_crop <= 1, "above 0 and at most 1")
        check("shift", self.shift >= 0, "at least 0")


NO_AUGMENTATION = Augmentation(1.0, 0, False)


class WeightSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SGD with Nesterov momentum and a cosine learning rate over `epochs`; `batch` is that of all ranks together."""

    epochs: int = 120
    batch: int = 256
    learning_rate: float = 0.025
    momentum: float = 0.9
    weight_decay: float = 4e-5
    label_smoothing: float = 0.1

    def __post_init__(self) -> None:
        check("epochs", self.epochs >= 0, "at least 0")
        check("batch", self.batch >= 2, "at least 2, for the batch norms")
        check("learning_rate", self.learning_rate > 0, "above 0")
        check("momentum", 0 < self.momentum < 1, "between 0 and 1")
        check("weight_decay", self.weight_decay >= 0, "at least 0")
        check("label_smoothing", 0 <= self.label_smoothing < 1, "at least 0 and below 1")


# What a block with a shortcut adds at first: what its drawn weights compute, or nothing.
Residuals: TypeAlias = Literal["drawn", "zero"]


class TrainingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Training one network, from scratch or from given weights; `residuals` (ours) is about the former."""

    weights: WeightSettings = WeightSettings(learning_rate=0.05)
    augmentation: Augmentation = Augmentation()
    checkpoint_steps: int = 0
    seed: int = 0
    residuals: Residuals = "drawn"

    def __post_init__(self) -> None:
        check("checkpoint_steps", self.checkpoint_steps >= 0, "at least 0")
        check("seed", self.seed >= 0, "at least 0")
