"""Image files in folders, `train/<class>/*` and `test/<class>/*` (or `val`); Pillow reads them."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from hwbench.errors import DataError, UsageError
from hwbench.search.data.images import LARGEST_BYTES, LARGEST_SIDE, Dataset, dataset

RESOLUTION = 224
CHANNELS = 3
_MODES = {1: "L", 3: "RGB"}
_ENDINGS = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".webp"})
_TEST = ("test", "val")


def load(folder: Path, resolution: int, channels: int) -> Dataset:
    """Every image, its shorter side scaled to `resolution`, its middle square kept; classes in order of their names.

    Raises DataError naming the folder or image that cannot be used, UsageError without Pillow.
    """
    if channels not in _MODES:
        raise UsageError(f"Image files are read with 1 or 3 channels, not {channels}.")
    test = next((folder / name for name in _TEST if (folder / name).is_dir()), None)
    if not (folder / "train").is_dir() or test is None:
        raise DataError(
            f"{folder} holds no images that hwbench can read.",
            hint="It needs the four IDX files, or folders train/<class> and test/<class> with images.",
        )
    classes = _classes(folder / "train")
    if unknown := set(_classes(test)) - set(classes):
        raise DataError(f"{test / min(unknown)} is a class without training images.")
    parts = [_part(part, classes, resolution, channels) for part in (folder / "train", test)]
    return dataset(folder.name, parts[0], parts[1])


def read(path: Path, resolution: int, channels: int) -> NDArray[np.uint8]:
    """One image, (resolution, resolution, channels). Raises DataError naming it."""
    pillow = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pillow.open(path) as image:
                width, height = image.size
                if max(width, height) > LARGEST_SIDE:
                    raise DataError(f"{path} is {width} x {height} pixels, more than hwbench reads.")
                short = min(width, height)
                box = ((width - short) / 2, (height - short) / 2, (width + short) / 2, (height + short) / 2)
                square = image.convert(_MODES[channels]).resize(
                    (resolution, resolution), pillow.Resampling.BILINEAR, box
                )
                return np.asarray(square, np.uint8).reshape(resolution, resolution, channels)
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them trip over.
        raise DataError(f"{path} is not a readable image.") from error


def _part(
    folder: Path, classes: tuple[str, ...], resolution: int, channels: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    files = [(path, number) for number, name in enumerate(classes) for path in _files(folder / name)]
    if not files:
        raise DataError(f"{folder} holds no image files in folders of classes.")
    if len(files) * resolution**2 * channels > LARGEST_BYTES:
        raise DataError(f"The {len(files)} images of {folder} do not fit in memory at {resolution} pixels.")
    pixels = np.stack([read(path, resolution, channels) for path, _ in files])
    return pixels, np.array([number for _, number in files], np.int64)


def _classes(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS)


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError("Image files need Pillow.", hint="pip install pillow") from error
    return Image
