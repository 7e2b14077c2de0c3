"""The supernet: the fixed blocks of a chain space, and every choice of every position beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike
from torch import Tensor, nn

from hwbench.errors import UsageError
from hwbench.models.torch_nets import BlockNet, weights_of
from hwbench.models.weights import Array, untrained_weights
from hwbench.search.supernet.beginnings import first_weights
from hwbench.search.supernet.routes import Route
from hwbench.search.supernet.settings import Beginning
from hwbench.spaces.space import ChainSpace, NamedBlock, Position, Space


class Supernet(nn.Module):
    """Untrained weights that depend on `seed` and their names; parameters and buffers are float32, in training mode."""

    def __init__(self, space: ChainSpace, seed: int, beginning: Beginning = "independent") -> None:
        super().__init__()
        self.space = space
        self.prologue = nn.Sequential(*(_block(named, seed) for named in space.prologue))
        self.positions = nn.ModuleList(
            nn.ModuleList(_choices(position, seed, beginning)) for position in space.positions
        )
        self.epilogue = nn.Sequential(*(_block(named, seed) for named in space.epilogue))

    def forward(self, images: Tensor, route: Route) -> Tensor:
        """Class scores (batch, classes) of images (batch, channels, height, width)."""
        image = self.prologue(images)
        for number, choices in enumerate(self.positions):
            image = route.through(number, choices, image)
        return self.epilogue(image).flatten(1)

    def derived_weights(self, architecture: ArrayLike) -> dict[str, Array]:
        """The shared weights of one architecture, under the names of its network in the space."""
        (choices,) = self.space.check(architecture)
        chosen = [modules[choice] for modules, choice in zip(self.positions, choices, strict=True)]
        blocks: Sequence[nn.Module] = [*self.prologue, *chosen, *self.epilogue]
        names = [
            *(named.name for named in self.space.prologue),
            *(position.name for position in self.space.positions),
            *(named.name for named in self.space.epilogue),
        ]
        found: dict[str, Array] = {}
        for name, block in zip(names, blocks, strict=True):
            if isinstance(block, BlockNet):
                found |= weights_of(name, block)
        return found


def chain_of(space: Space) -> ChainSpace:
    """The space, if a supernet can be made of it. Raises UsageError."""
    if not isinstance(space, ChainSpace):
        raise UsageError(f"{space.name} is not a chain of independent positions, which a supernet needs.")
    return space


def _choices(position: Position, seed: int, beginning: Beginning) -> list[nn.Module]:
    named = [
        None if block is None else NamedBlock(f"{position.name}/{label}", block)
        for label, block in zip(position.labels, position.blocks, strict=True)
    ]
    weights = first_weights(named, seed, beginning)
    return [nn.Identity() if one is None else BlockNet(one, own) for one, own in zip(named, weights, strict=True)]


def _block(named: NamedBlock, seed: int) -> BlockNet:
    return BlockNet(named, untrained_weights([named], seed))
