"""Images in an npz file: x_train, y_train, x_test, y_test. Object arrays, which would be pickles, are refused."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwbench.errors import CorruptFile, DataError
from hwbench.search.data.images import LARGEST_BYTES, Dataset, dataset

ARRAYS = ("x_train", "y_train", "x_test", "y_test")

# What zipfile and the header's reader raise for damaged files.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, struct.error, NotImplementedError, RuntimeError,
    SyntaxError, tokenize.TokenError, TypeError, OverflowError,
)  # fmt: skip


def load(path: Path) -> Dataset:
    """The data set of a file. Raises DataError or CorruptFile naming the file and the array."""
    try:
        with zipfile.ZipFile(path) as archive:
            x_train, y_train, x_test, y_test = (_array(path, archive, name) for name in ARRAYS)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except _DAMAGE as error:
        raise CorruptFile(f"{path} is not a readable npz file.") from error
    return dataset(path.name, (x_train, y_train), (x_test, y_test))


def _array(path: Path, archive: zipfile.ZipFile, name: str) -> NDArray[np.uint8]:
    member = f"{name}.npy"
    if member not in archive.namelist():
        raise DataError(f"{path} lacks the array {name}.", hint=f"It needs {', '.join(ARRAYS)}.")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise CorruptFile(f"{path}: the array {name} has an unknown npy version.")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read_header(file)
        if not np.issubdtype(dtype, np.integer):
            raise DataError(f"{path}: the array {name} holds {dtype}, not whole numbers.")
        size = math.prod(shape) * dtype.itemsize
        if not 0 < size <= LARGEST_BYTES:
            raise CorruptFile(f"{path}: the array {name} claims {size} bytes.")
        values = file.read(size)
        if len(values) < size or file.read(1):
            raise CorruptFile(f"{path}: the array {name} does not hold the {size} bytes that its header claims.")
    array: NDArray[np.uint8] = np.frombuffer(values, dtype).reshape(shape, order="F" if by_columns else "C")
    return array
