"""Labelled images in memory, checked, and split without breaking the balance of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import DataError
from hwbench.spaces.space import NamedBlock, Space

# More than this is a damaged header, or a set that has to be streamed, which hwbench does not do.
LARGEST_BYTES = 8 << 30
LARGEST_SIDE = 1 << 14
MOST_CLASSES = 100_000


class Images(msgspec.Struct, frozen=True):
    """`pixels` is uint8 (n, height, width, channels), `labels` int64 (n,)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64] | slice) -> Images:
        return Images(self.pixels[rows], self.labels[rows])


class Dataset(msgspec.Struct, frozen=True):
    """Images to train on, and images that only the last report may use."""

    name: str
    train: Images
    test: Images
    classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        height, width, channels = self.train.pixels.shape[1:]
        return (height, width, channels)

    def check_fits(self, space: Space) -> None:
        """Raises DataError when networks of the space take other images or know fewer classes."""
        network = space.network(space.sample(1, seed=0)[0])
        for images in (self.train, self.test):
            check_fits(network, images, self.name)


def dataset(
    name: str, train: tuple[NDArray[np.uint8], NDArray[np.integer]], test: tuple[NDArray[np.uint8], NDArray[np.integer]]
) -> Dataset:
    """A data set of checked arrays; images without a channel axis get one. Raises DataError."""
    pairs = [_images(f"{name} ({part})", *arrays) for part, arrays in (("train", train), ("test", test))]
    if pairs[0].pixels.shape[1:] != pairs[1].pixels.shape[1:]:
        raise DataError(f"The training and test images of {name} differ in shape.")
    return Dataset(name, pairs[0], pairs[1], int(max(pair.labels.max() for pair in pairs)) + 1)


def check_fits(network: Sequence[NamedBlock], images: Images, name: str = "The data set") -> None:
    """Raises DataError when the network takes other images or knows fewer classes."""
    found, wanted = images.pixels.shape[1:], network[0].block.in_shape
    if found != wanted:
        raise DataError(
            f"{name} has images of {_by(found)}; the networks take {_by(wanted)}.",
            hint="Choose the space's resolution (-r) and input channels (-i) to match.",
        )
    classes, known = int(images.labels.max()) + 1, network[-1].block.out_shape[2]
    if classes > known:
        raise DataError(
            f"{name} has {classes} classes; the networks know {known}.",
            hint="Choose the space's classes (-c) to match.",
        )


def split(images: Images, held_out: int, seed: int) -> tuple[Images, Images]:
    """The images without `held_out` of them, and those; each class gives its share, to within one image.

    Both come shuffled: sets are often stored class by class, and batch norms that see one class at a time learn its
    statistics alone. Raises DataError when that leaves nothing on one side.
    """
    if not 0 < held_out < len(images):
        raise DataError(f"{held_out} images cannot be held out of {len(images)}.")
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(images))
    ordered = shuffled[np.argsort(images.labels[shuffled], kind="stable")]
    # Evenly spaced places of the class-by-class order.
    places = (np.arange(held_out) * len(images)) // held_out
    chosen = np.zeros(len(images), bool)
    chosen[ordered[places]] = True
    return images.take(shuffled[~chosen[shuffled]]), images.take(shuffled[chosen[shuffled]])


def _images(name: str, pixels: NDArray[np.uint8], labels: NDArray[np.integer]) -> Images:
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.ndim != 4 or pixels.dtype != np.uint8 or min(pixels.shape) < 1 or max(pixels.shape[1:]) > LARGEST_SIDE:
        raise DataError(f"The images of {name} are {pixels.dtype} {pixels.shape}; uint8 (n, height, width) is needed.")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"The labels of {name} are {labels.dtype} {labels.shape}; whole numbers (n,) are needed.")
    if len(labels) != len(pixels):
        raise DataError(f"{name} has {len(pixels)} images and {len(labels)} labels.")
    if labels.min() < 0 or labels.max() >= MOST_CLASSES:
        raise DataError(f"The labels of {name} go from {labels.min()} to {labels.max()}; classes count from 0.")
    return Images(pixels, labels.astype(np.int64))


def _by(shape: Sequence[int]) -> str:
    return " x ".join(str(size) for size in shape)
