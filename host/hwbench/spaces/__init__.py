"""What can be built: blocks, spaces, encodings. A new space is one file and one line in `FAMILIES`."""

from __future__ import annotations

from collections.abc import Callable

from hwbench.errors import UsageError
from hwbench.spaces import proxylessnas
from hwbench.spaces.blocks import Block, Classifier, ConvBlock, MBConv, block_from_key
from hwbench.spaces.space import Architectures, ChainSpace, NamedBlock, Position

FAMILIES: dict[str, Callable[[str], ChainSpace]] = {"proxylessnas": proxylessnas.from_name}
DEFAULT = "proxylessnas-w1.0-r224-c1000"


def get(name: str) -> ChainSpace:
    """The space of a full name, or of a family's name with its default parameters.

    >>> get("proxylessnas").name
    'proxylessnas-w1.0-r224-c1000'
    """
    family = name.split("-", maxsplit=1)[0]
    if family not in FAMILIES:
        raise UsageError(f"There is no space {name!r}.", hint=f"Known families: {', '.join(sorted(FAMILIES))}.")
    return proxylessnas.default() if name == "proxylessnas" else FAMILIES[family](name)


__all__ = [
    "DEFAULT",
    "FAMILIES",
    "Architectures",
    "Block",
    "ChainSpace",
    "Classifier",
    "ConvBlock",
    "MBConv",
    "NamedBlock",
    "Position",
    "block_from_key",
    "get",
]
