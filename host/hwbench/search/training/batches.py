"""Batches of images: their order, this rank's share, augmentation, normalisation. A step's numbers decide all draws.

Nothing here keeps a state, so a run that goes on after a crash sees the images that it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hwbench.models.torch_nets import image_tensor
from hwbench.models.weight_files import Scaling
from hwbench.models.weights import Array
from hwbench.search.data import Images
from hwbench.search.training.ranks import ALONE, Ranks
from hwbench.search.training.settings import NO_AUGMENTATION, Augmentation

_ORDER, _AUGMENTATION = 0, 1
_EVALUATION_BATCH = 500
Batch = tuple[Tensor, Tensor]


def generator(seed: int, *names: int) -> torch.Generator:
    """A generator of its own for each combination of numbers."""
    (state,) = np.random.SeedSequence([seed, *names]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


class Normalisation:
    """Mean and standard deviation of each channel over the training images, as fractions of 255."""

    def __init__(self, images: Images) -> None:
        # Sums of whole numbers: exact, and without a float copy of the set.
        counts = np.stack([np.bincount(images.pixels[..., c].ravel(), minlength=256) for c in _channels(images)])
        share = counts / counts.sum(1, keepdims=True)
        values = np.arange(256) / 255
        self.mean = (share * values).sum(1).astype(np.float32)
        variance = (share * (values - self.mean[:, None]) ** 2).sum(1)
        self.deviation = np.maximum(np.sqrt(variance), 1e-3).astype(np.float32)

    @classmethod
    def of(cls, scaling: Scaling) -> Normalisation:
        """The one that weights were trained with."""
        made = cls.__new__(cls)
        made.mean = np.array(scaling.mean, np.float32)
        made.deviation = np.array(scaling.deviation, np.float32)
        return made

    @property
    def scaling(self) -> Scaling:
        """For the record beside the weights."""
        return Scaling(tuple(self.mean.tolist()), tuple(self.deviation.tolist()))

    def array(self, pixels: NDArray[np.uint8]) -> Array:
        """(n, height, width, channels)."""
        scaled: Array = (pixels.astype(np.float32) / 255 - self.mean) / self.deviation
        return scaled

    def tensor(self, pixels: NDArray[np.uint8]) -> Tensor:
        """(n, channels, height, width), channels last in memory."""
        return image_tensor(self.array(pixels))


class Batches:
    """The training batches of a set, shuffled anew in each epoch; what does not fill a batch waits for the next one."""

    def __init__(
        self,
        images: Images,
        batch: int,
        normalisation: Normalisation,
        augmentation: Augmentation,
        seed: tuple[int, int],
        ranks: Ranks = ALONE,
    ) -> None:
        self._images = images
        self._batch = min(batch, len(images))
        self._normalisation = normalisation
        self._augmentation = augmentation
        self._seed = seed
        self._ranks = ranks
        ranks.check_batch(self._batch)

    @property
    def per_epoch(self) -> int:
        return len(self._images) // self._batch

    def batch(self, step: int) -> Batch:
        """This rank's images and labels of the step, counted from 0 over all epochs."""
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng([*self._seed, _ORDER, epoch]).permutation(len(self._images))
        rows = order[place * self._batch : (place + 1) * self._batch]
        share = self._ranks.share(rows)
        images = self._images.take(rows[share])
        pixels = self._normalisation.tensor(images.pixels)
        if self._augmentation != NO_AUGMENTATION:
            draws = generator(*self._seed, _AUGMENTATION, step)
            crops = _crops(self._augmentation, len(rows), images.pixels.shape[1:3], draws)
            pixels = augmented(pixels, crops[share])
        return pixels, torch.from_numpy(images.labels)


def in_order(images: Images, normalisation: Normalisation, batch: int = _EVALUATION_BATCH) -> Iterator[Batch]:
    """Every image once, as it is."""
    for begin in range(0, len(images), batch):
        part = images.take(slice(begin, begin + batch))
        yield normalisation.tensor(part.pixels), torch.from_numpy(part.labels)


def augmented(images: Tensor, crops: Tensor) -> Tensor:
    """Each image seen through its own 2 x 3 transform of [-1, 1] coordinates; what lies outside is the mean colour."""
    grid = functional.affine_grid(crops, list(images.shape), align_corners=False)
    seen = functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    return seen.contiguous(memory_format=torch.channels_last)


def _crops(augmentation: Augmentation, count: int, size: tuple[int, int], draws: torch.Generator) -> Tensor:
    """Random transforms (count, 2, 3): a mirror image or not, a crop, a shift by whole pixels."""
    area, mirror, place, moved = (torch.rand((count, 2), generator=draws) for _ in range(4))
    side = (augmentation.smallest_crop + (1 - augmentation.smallest_crop) * area[:, :1]).sqrt()
    pixels = torch.floor(moved * (2 * augmentation.shift + 1)) - augmentation.shift
    shift = (1 - side) * (2 * place - 1) + 2 * pixels / torch.tensor([size[1], size[0]])
    flipped = torch.where((mirror[:, 0] < 0.5) & augmentation.flip, -1.0, 1.0)
    crops = torch.zeros((count, 2, 3))
    crops[:, 0, 0] = side[:, 0] * flipped
    crops[:, 1, 1] = side[:, 0]
    crops[:, :, 2] = shift
    return crops


def _channels(images: Images) -> range:
    return range(images.pixels.shape[3])
