"""Real numbers as a model's input takes them, and what its output means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwbench.models.formats import Affine, Delegate
from hwbench.models.weights import Array


def input_bytes(images: Array, affine: Affine | None, delegate: Delegate) -> bytes:
    """Images (n, height, width, channels) one after the other in the memory order of the models, little-endian.

    float32, or int8 where the input has an `affine`: rounded half to even, and clipped.
    """
    # The portable kernels take channels first, everything else channels last.
    ordered = images.transpose(0, 3, 1, 2) if delegate == "portable" else images
    if affine is None:
        return np.ascontiguousarray(ordered, "<f4").tobytes()
    integers = np.clip(np.rint(ordered.astype(np.float64) / affine.scale) + affine.zero_point, -128, 127)
    stored: NDArray[np.int8] = integers.astype(np.int8)
    return stored.tobytes()


def real_values(stored: NDArray[np.float64], affine: Affine | None) -> NDArray[np.float64]:
    """What elements of an output stand for."""
    return stored if affine is None else (stored - affine.zero_point) * affine.scale
