"""The engines: what their model files are called, how they are recognised, what runs them, who writes them.

A new engine is one module with an `author` (the `Author` protocol) and one entry in `FORMATS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, cast

import msgspec

from hwbench.errors import ModelError, UsageError
from hwbench.models.weights import Array, Weights
from hwbench.spaces.space import NamedBlock

Engine: TypeAlias = Literal["litert", "executorch"]
Delegate: TypeAlias = Literal["xnnpack", "builtin", "portable"]
Precision: TypeAlias = Literal["fp32", "int8"]


class ModelJob(msgspec.Struct, frozen=True):
    """A model to write. `images` (n, height, width, channels) calibrate it when it is int8; `name` is for messages."""

    name: str
    network: tuple[NamedBlock, ...]
    weights: Weights
    images: Array


class Affine(msgspec.Struct, frozen=True):
    """real = (integer - zero_point) * scale."""

    scale: float
    zero_point: int


class Integers(msgspec.Struct, frozen=True):
    """How an int8 model's input and output stand for real numbers."""

    source: Affine
    target: Affine


class Authored(msgspec.Struct, frozen=True):
    """The bytes of a model file, and the share of its ops that the delegate runs where the exporter knows it.

    `integers` is None for fp32.
    """

    data: bytes
    delegated_share: float | None = None
    integers: Integers | None = None


class Author(Protocol):
    def __call__(
        self,
        jobs: Sequence[ModelJob],
        precision: Precision,
        delegate: Delegate,
        cache: Path,
        on_progress: Callable[[int, int], None],
    ) -> list[Authored]:
        """The models of `jobs`, in order; `cache` is a folder for what is worth keeping, progress is (done, total).

        Raises ModelError for a model that cannot be written.
        """


class Format(msgspec.Struct, frozen=True):
    """One engine. `delegates` gives the precisions that each delegate runs; `identifier` stands at bytes 4 to 8."""

    engine: Engine
    title: str
    suffix: str
    identifier: bytes
    delegates: dict[Delegate, tuple[Precision, ...]]
    module: str

    @property
    def author(self) -> Author:
        return cast(Author, importlib.import_module(self.module).author)


FORMATS: dict[Engine, Format] = {
    "litert": Format(
        "litert", "LiteRT", ".tflite", b"TFL3",
        {"xnnpack": ("fp32", "int8"), "builtin": ("fp32", "int8")}, "hwbench.models.litert_author",
    ),
    "executorch": Format(
        "executorch", "ExecuTorch", ".pte", b"ET12",
        {"xnnpack": ("fp32", "int8"), "portable": ("fp32",)}, "hwbench.models.exports",
    ),
}  # fmt: skip

SUFFIXES = tuple(known.suffix for known in FORMATS.values())


def check_combination(engine: Engine, delegate: Delegate, precision: Precision) -> None:
    """Raises UsageError for a combination that no engine runs."""
    known = FORMATS[engine]
    if delegate not in known.delegates:
        raise UsageError(f"{known.title} has no delegate {delegate!r}; it has {' and '.join(known.delegates)}.")
    if precision not in known.delegates[delegate]:
        raise UsageError(f"{known.title} does not run {precision} with the delegate {delegate!r}.")


def format_of(path: Path, data: bytes) -> Format:
    """The format of a model file, told from its bytes. Raises ModelError naming the file."""
    found = next((known for known in FORMATS.values() if data[4:8] == known.identifier), None)
    if found is None:
        expected = " or ".join(f"{known.suffix} ({known.identifier.decode()})" for known in FORMATS.values())
        raise ModelError(
            f"{path} is not {', nor '.join(f'a {suffix} model' for suffix in SUFFIXES)}.",
            hint=f"It should be a flatbuffer with the identifier of {expected}.",
        )
    return found
