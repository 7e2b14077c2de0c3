"""Architectures as files: what a search found, and what else takes an architecture reads."""

from __future__ import annotations

from pathlib import Path

import msgspec
from numpy.typing import ArrayLike

from hwbench import files
from hwbench.errors import CorruptFile, DataError, Incomparable
from hwbench.spaces.space import Architectures, Space

KIND = "architecture"
VERSION = 1
SUFFIX = ".json"


class ArchitectureFile(msgspec.Struct, frozen=True):
    """Choices by number and, for whoever looks at the file, by label."""

    space: str
    choices: tuple[int, ...]
    labels: tuple[str, ...]


def save(space: Space, architecture: ArrayLike, path: Path) -> None:
    """Writes one architecture, replacing what was there. Raises DeviceError when the disk refuses."""
    (choices,) = space.check(architecture)
    content = ArchitectureFile(space.name, tuple(choices.tolist()), space.describe(choices))
    files.save(path, KIND, VERSION, content)


def load(path: Path) -> ArchitectureFile:
    """What lies in a file. Raises DataError, CorruptFile or SchemaTooNew naming it."""
    return files.load(path, KIND, VERSION, ArchitectureFile)


def read(space: Space, text: str) -> Architectures:
    """An architecture of the space as `Space.read` takes it, or the path of its file; shape (1, positions).

    Raises DataError naming what is wrong, Incomparable for a file of another space.
    """
    if not text.endswith(SUFFIX):
        return space.read(text)
    path = Path(text)
    found = load(path)
    if found.space != space.name:
        raise Incomparable(f"{path} is an architecture of {found.space}, not of {space.name}.")
    return choices_of(space, found, path)


def choices_of(space: Space, found: ArchitectureFile, path: Path) -> Architectures:
    """The choices that a file of this space holds, shape (1, positions). Raises CorruptFile naming it."""
    try:
        choices = space.check(found.choices)
    except (DataError, OverflowError) as error:
        raise CorruptFile(f"{path} holds no architecture of {space.name}: {error}") from error
    if space.describe(choices) != found.labels:
        raise CorruptFile(f"{path} contradicts itself: its choices are {', '.join(space.describe(choices))}.")
    return choices
