"""The state of a run on disk: arrays in safetensors, the rest in JSON that names them.

    checkpoint.json                    an own file (schema, hash): the record, and name and hash of the arrays
    checkpoint-<step>.safetensors      every tensor

The JSON is replaced last and atomically, so that a process killed at any moment leaves one whole checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import torch
from torch import Tensor

from hwbench import files
from hwbench.errors import CorruptFile, Incomparable
from hwbench.models import weight_files

VERSION = 1
_NAME = "checkpoint"
T = TypeVar("T")


class Checkpoint(msgspec.Struct, Generic[T], frozen=True):
    """`identity` is what the run was started with, `state` how far it is."""

    identity: str
    state: T
    arrays: str
    sha256: str


class Folder(Generic[T]):
    """Checkpoints of one run; `kind` names its sort, `identity` all that decides its results."""

    def __init__(self, path: Path, kind: str, state: type[T], identity: str) -> None:
        self._path = path
        self._kind = kind
        self._state = state
        self._identity = identity

    def save(self, step: int, state: T, tensors: Mapping[str, Tensor]) -> None:
        """Replaces the last checkpoint. Raises DeviceError when the disk refuses."""
        data = weight_files.encoded({name: tensor.detach().numpy() for name, tensor in tensors.items()}, {})
        name = f"{_NAME}-{step:08d}.safetensors"
        files.write_atomically(self._path / name, data)
        content = Checkpoint(self._identity, state, name, files.sha256(data))
        files.save(self._path / f"{_NAME}.json", self._kind, VERSION, content)
        self._remove_all_but(name)

    def load(self) -> tuple[T, dict[str, Tensor]] | None:
        """The last checkpoint, or None where there is none yet.

        Raises CorruptFile for a damaged one, Incomparable for that of another run.
        """
        path = self._path / f"{_NAME}.json"
        if not path.exists():
            return None
        found = files.load(path, self._kind, VERSION, Checkpoint[self._state])  # type: ignore[name-defined]
        if found.identity != self._identity:
            raise Incomparable(
                f"{path} belongs to a run with other settings, data or latencies.",
                hint="Repeat them as they were, or choose another folder.",
            )
        if Path(found.arrays).name != found.arrays:
            raise CorruptFile(f"{path} names arrays outside its folder.")
        data = files.read(self._path / found.arrays)
        if files.sha256(data) != found.sha256:
            raise CorruptFile(f"{self._path / found.arrays} is damaged: it does not match its hash.")
        self._remove_all_but(found.arrays)
        arrays, _ = weight_files.decoded(self._path / found.arrays, data)
        return found.state, {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}

    def _remove_all_but(self, name: str) -> None:
        for other in _arrays(self._path):
            if other.name != name:
                other.unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Removes the checkpoint of a folder, if it has one, and nothing else."""
    (folder / f"{_NAME}.json").unlink(missing_ok=True)
    for path in _arrays(folder):
        path.unlink(missing_ok=True)


def identity(*parts: object) -> str:
    """A hash of everything that decides a run's results: records, names, arrays as bytes."""
    encoded = [part if isinstance(part, bytes) else msgspec.json.encode(part) for part in parts]
    return files.sha256(msgspec.json.encode([files.sha256(part) for part in encoded]))


def _arrays(folder: Path) -> list[Path]:
    return list(folder.glob(f"{_NAME}-*.safetensors"))
