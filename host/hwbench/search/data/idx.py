"""IDX, the format of MNIST and its kin: magic 0 0 type dimensions, big-endian sizes, then the values.

Source: Y. LeCun, "The MNIST database", section "File formats". Only unsigned bytes are read; gzip or plain.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from hwbench.errors import CorruptFile, DataError
from hwbench.search.data.images import LARGEST_BYTES, Dataset, dataset

_UNSIGNED_BYTE = 8
_MOST_DIMENSIONS = 4
_MOST_PACKED = 1032
_PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
_DIMENSIONS = {"images": "idx3", "labels": "idx1"}


def holds(folder: Path) -> bool:
    """Whether the folder looks like an IDX data set."""
    return _file(folder, _PARTS[0]) is not None


def load(folder: Path) -> Dataset:
    """The data set of a folder with the four files of MNIST's names. Raises DataError naming the wrong one."""
    arrays = []
    for part in _PARTS:
        path = _file(folder, part)
        if path is None:
            raise DataError(f"{folder} has no file {_names(part)[0]}.")
        arrays.append(read(path))
    train_pixels, train_labels, test_pixels, test_labels = arrays
    return dataset(folder.name, (train_pixels, train_labels), (test_pixels, test_labels))


def read(path: Path) -> NDArray[np.uint8]:
    """The array of one file. Raises DataError, or CorruptFile when it is not what its header says."""
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            return _parse(path, cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if packed else plain)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptFile(f"{path} is a damaged gzip file: {error}.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _parse(path: Path, file: BinaryIO) -> NDArray[np.uint8]:
    # A small file must not claim much memory: deflate packs at most 1032 to 1.
    largest = min(path.stat().st_size * _MOST_PACKED, LARGEST_BYTES)
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or not 1 <= head[3] <= _MOST_DIMENSIONS:
        raise CorruptFile(f"{path} is not an IDX file.")
    if head[2] != _UNSIGNED_BYTE:
        raise DataError(f"{path} holds values of type {head[2]}; only unsigned bytes (8) are read.")
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise CorruptFile(f"{path} ends in its header.")
    shape = struct.unpack(f">{head[3]}I", sizes)
    expected = math.prod(shape)
    if expected > largest:
        raise CorruptFile(f"{path} claims {expected} bytes, more than it can hold.")
    values = file.read(expected)
    if len(values) < expected or file.read(1):
        raise CorruptFile(f"{path} does not hold the {expected} values that its header claims.")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _names(part: str) -> tuple[str, ...]:
    dimensions = _DIMENSIONS[part.rpartition("-")[2]]
    return tuple(f"{part}{mark}{dimensions}-ubyte{end}" for mark in "-." for end in (".gz", ""))


def _file(folder: Path, part: str) -> Path | None:
    return next((path for name in _names(part) if (path := folder / name).is_file()), None)
