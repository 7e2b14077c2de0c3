"""Trained predictors as files: safetensors, whose header says what was trained on what, and the data's hash.

Nothing in such a file is executed. It is read strictly: a tensor too many, of another shape or type, or with a value
that is not finite makes it corrupt.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import torch

from hwbench import files
from hwbench.errors import CorruptFile, DataError, SchemaTooNew
from hwbench.transfer.help.networks import Parameters
from hwbench.transfer.help.settings import Settings

KIND = "help"
VERSION = 1

_LARGEST = 64 << 20
_SCHEMA, _RECIPE, _HASH = "hwbench.schema", "hwbench.recipe", "hwbench.sha256"


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a state came about. `references` are architectures, (references, positions), `versions` of packages."""

    space: str
    sources: tuple[str, ...]
    validation: tuple[str, ...]
    references: tuple[tuple[Annotated[int, msgspec.Meta(ge=0, le=255)], ...], ...]
    first: int
    settings: Settings
    seed: int
    episodes: int
    spearman: float | None
    versions: dict[str, str]


def save(path: Path, recipe: Recipe, state: Parameters) -> None:
    """Writes the state, replacing what was there. Raises DeviceError when the disk refuses."""
    from safetensors.torch import save as encoded

    tensors = {name: value.detach().contiguous() for name, value in state.items()}
    header = {
        _SCHEMA: f"hwbench.{KIND}/{VERSION}",
        _RECIPE: msgspec.json.encode(recipe).decode(),
        _HASH: state_hash(tensors),
    }
    files.write_atomically(path, encoded(tensors, header))


def load(path: Path) -> tuple[Recipe, Parameters]:
    """Raises DataError, CorruptFile or SchemaTooNew naming the file. The caller checks names and shapes."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise DataError(f"{path} is not a file.")
    if (size := path.stat().st_size) > _LARGEST:
        raise CorruptFile(f"{path} is too large for a trained predictor: {size} bytes.")
    try:
        with safe_open(path, framework="pt") as opened:
            header = opened.metadata() or {}
            recipe = _recipe(path, header)
            state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, msgspec.DecodeError, OSError) as error:
        raise CorruptFile(f"{path} is not a readable trained predictor: {error}.") from error
    if any(value.dtype != torch.float32 or not torch.isfinite(value).all() for value in state.values()):
        raise CorruptFile(f"{path} holds values that are not finite 32-bit numbers.")
    if state_hash(state) != header.get(_HASH):
        raise CorruptFile(f"{path} is damaged: its content does not match its hash.", hint="Train it again.")
    return recipe, state


def _recipe(path: Path, header: dict[str, str]) -> Recipe:
    name, _, version = header.get(_SCHEMA, "").partition("/")
    if name != f"hwbench.{KIND}" or not version.isdigit():
        raise CorruptFile(f"{path} is not a trained predictor of hwbench.")
    if int(version[:6]) > VERSION:
        raise SchemaTooNew(
            f"{path} has schema {header[_SCHEMA]}; this hwbench reads up to {VERSION}.", hint="Upgrade hwbench."
        )
    return msgspec.json.decode(header.get(_RECIPE, ""), type=Recipe)


def state_hash(state: Parameters) -> str:
    """Of the values in the order of their names."""
    return files.sha256(b"".join(state[name].contiguous().numpy().tobytes() for name in sorted(state)))
