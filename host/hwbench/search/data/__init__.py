"""Labelled images for training: IDX folders, npz files, folders of image files. Nothing is ever downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from hwbench.errors import DataError
from hwbench.search.data import folders, idx, npz
from hwbench.search.data.images import Dataset, Images, check_fits, split

FASHION_MNIST = "fashion-mnist"
# Where Debian's package of that name puts it.
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def load(path: Path, resolution: int | None = None, channels: int | None = None) -> Dataset:
    """The images of an npz file, an IDX folder, or a folder of image files.

    `resolution` and `channels` are what image files are brought to (defaults 224 and 3); the other forms hold arrays
    already and keep their own. Raises DataError naming the file that cannot be used.
    """
    if path.is_file():
        return npz.load(path)
    if not path.is_dir():
        raise DataError(f"{path} is neither a file nor a folder.")
    if idx.holds(path):
        return idx.load(path)
    return folders.load(path, resolution or folders.RESOLUTION, channels or folders.CHANNELS)


def find_fashion_mnist() -> Dataset:
    """Fashion-MNIST, from `HWBENCH_DATA` or where Debian installs it. Raises DataError when it is in neither place."""
    for path in _places():
        if path.is_file() or idx.holds(path):
            return load(path)
    raise DataError(
        "No images are named, and Fashion-MNIST is not on this computer.",
        hint="Name an npz file, an IDX folder or a folder of image files, or install Debian's package "
        f"dataset-fashion-mnist, or set HWBENCH_DATA to a folder that holds {FASHION_MNIST}/.",
    )


def _places() -> Iterable[Path]:
    if own := os.environ.get("HWBENCH_DATA"):
        yield Path(own) / FASHION_MNIST
    yield _DEBIAN
    if own:
        yield Path(own) / "images" / "fashion_mnist_8k.npz"


__all__ = ["FASHION_MNIST", "Dataset", "Images", "check_fits", "find_fashion_mnist", "load", "split"]
