"""Weights in a safetensors file: named arrays without code, and the space and architecture they belong to."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench import files
from hwbench.errors import CorruptFile, UsageError
from hwbench.models.weights import Array, Weights

_RECORD = "hwbench.weights/1"


class Scaling(msgspec.Struct, frozen=True):
    """What a network's images went through: (value / 255 - mean) / deviation, one of each per channel."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class WeightsRecord(msgspec.Struct, frozen=True):
    """What the weights belong to; `notes` are the trainer's, such as its accuracy.

    `scaling` is that of the images they were trained on; None: not recorded.
    """

    space: str
    architecture: tuple[int, ...]
    notes: dict[str, str] = {}
    scaling: Scaling | None = None


def save(path: Path, weights: Weights, record: WeightsRecord) -> None:
    """Writes the file, replacing what was there. Raises DeviceError when the disk refuses."""
    files.write_atomically(path, encoded(weights, {_RECORD: msgspec.json.encode(record).decode()}))


def load(path: Path) -> tuple[dict[str, Array], WeightsRecord]:
    """The weights and their record. Raises DataError or CorruptFile naming the file."""
    weights, metadata = decoded(path, files.read(path))
    try:
        return weights, msgspec.json.decode(metadata[_RECORD], type=WeightsRecord)
    except (KeyError, msgspec.DecodeError, ValueError) as error:
        raise CorruptFile(f"{path} does not say which architecture its weights belong to.") from error


def encoded(arrays: Mapping[str, NDArray[Any]], metadata: dict[str, str]) -> bytes:
    """The bytes of a safetensors file."""
    try:
        from safetensors.numpy import save as serialise
    except ImportError as error:
        raise UsageError("Weight files need safetensors.", hint='pip install "hwbench[search]"') from error
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    data: bytes = serialise(contiguous, metadata)
    return data


def decoded(path: Path, data: bytes) -> tuple[dict[str, Array], dict[str, str]]:
    """Arrays and metadata of the bytes of a safetensors file. Raises CorruptFile naming `path`."""
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load as parse
    except ImportError as error:
        raise UsageError("Weight files need safetensors.", hint='pip install "hwbench[search]"') from error
    try:
        arrays: dict[str, Array] = parse(data)
        (length,) = struct.unpack("<Q", data[:8])
        metadata = msgspec.convert(json.loads(data[8 : 8 + length]).get("__metadata__", {}), dict[str, str])
    except (SafetensorError, struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptFile(f"{path} is not a readable safetensors file.") from error
    return arrays, metadata
