"""Accuracies of whole architectures from a CSV: a column `architecture`, and one with the accuracy.

An architecture is written as `Space.read` takes it: numbers or labels with blanks, a cell of NAS-Bench-201 also as its
string, for which the column may be called `arch_str` as in published files.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench import files
from hwbench.errors import DataError
from hwbench.spaces.space import Architectures, Space

DEFAULT_COLUMN = "accuracy"
_ARCHITECTURE = ("architecture", "arch_str")


class Accuracies(msgspec.Struct, frozen=True):
    """Accuracies by architecture, in whatever unit the file has; higher is better."""

    name: str
    known: Mapping[tuple[int, ...], float]

    @property
    def architectures(self) -> Architectures:
        """Shape (n, positions)."""
        return np.array(list(self.known), np.uint8)

    def of(self, architectures: ArrayLike) -> NDArray[np.float64]:
        """Shape (n,), NaN for architectures that the file does not have."""
        rows = np.asarray(architectures).tolist()
        return np.array([self.known.get(tuple(row), np.nan) for row in rows])


def read(text: str, space: Space) -> Accuracies:
    """The accuracies of a file, or of one column of it as `FILE:COLUMN`. Raises DataError naming what is wrong."""
    path, column = Path(text), DEFAULT_COLUMN
    if not os.path.exists(text) and ":" in text:
        head, _, column = text.rpartition(":")
        path = Path(head)
    known: dict[tuple[int, ...], float] = {}
    try:
        rows = csv.DictReader(io.StringIO(files.read(path).decode("utf-8-sig")), strict=True)
        fields = rows.fieldnames or ()
        named = next((name for name in _ARCHITECTURE if name in fields), _ARCHITECTURE[0])
        if missing := [name for name in (named, column) if name not in fields]:
            raise DataError(
                f"{path} lacks the column {missing[0]}; it has {', '.join(fields[:20]) or 'none'}.",
                hint="Another column of accuracies is named as FILE:COLUMN.",
            )
        for number, row in enumerate(rows, start=2):
            architecture = _read(space, row[named], f"Line {number} of {path}")
            accuracy = float(row[column])
            if not math.isfinite(accuracy):
                raise DataError(f"Line {number} of {path} has {accuracy} as an accuracy.")
            if architecture in known:
                raise DataError(f"Line {number} of {path} repeats an architecture.")
            known[architecture] = accuracy
    except (csv.Error, UnicodeDecodeError, AttributeError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} does not hold accuracies: {error}.", hint=f"Its columns are architecture,{DEFAULT_COLUMN}."
        ) from error
    if not known:
        raise DataError(f"{path} has no row.")
    return Accuracies(path.name if column == DEFAULT_COLUMN else f"{path.name}:{column}", known)


def _read(space: Space, text: str, where: str) -> tuple[int, ...]:
    try:
        (arch,) = space.read(text)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    return tuple(arch.tolist())
