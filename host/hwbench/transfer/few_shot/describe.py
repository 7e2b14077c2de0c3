"""The description of a space by its name."""

from __future__ import annotations

from hwbench import spaces
from hwbench.errors import UsageError
from hwbench.spaces import hat
from hwbench.spaces.nasbench201 import CellSpace
from hwbench.spaces.space import ChainSpace, ResolutionSpace
from hwbench.transfer.few_shot.cells import CellDescription
from hwbench.transfer.few_shot.chains import ChainDescription
from hwbench.transfer.few_shot.description import Description
from hwbench.transfer.few_shot.transformers import TransformerDescription


def describe(space_name: str) -> Description:
    """Raises UsageError for a name that no space has, or a space that is neither chain nor cell."""
    if space_name == hat.NAME:
        return TransformerDescription()
    space = spaces.get(space_name)
    if isinstance(space, ChainSpace | ResolutionSpace):
        return ChainDescription(space)
    if isinstance(space, CellSpace):
        return CellDescription(space)
    raise UsageError(f"Space {space_name} has no features for a predictor.")
