"""What can be built: blocks, spaces, encodings. A new space is one file and one line in `FAMILIES`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hwbench.errors import UsageError
from hwbench.spaces import fbnet, hat, nasbench201, ofa, proxylessnas
from hwbench.spaces.blocks import Block, Classifier, ConvBlock, MBConv, block_from_key
from hwbench.spaces.space import Architectures, ChainSpace, NamedBlock, Position, Space

DEFAULT = "proxylessnas-w1.0-r224-c1000"


class Family(msgspec.Struct, frozen=True):
    """A reader of the family's names, and the name that the family's own stands for."""

    from_name: Callable[[str], Space]
    default: str


FAMILIES = {
    "fbnet": Family(fbnet.from_name, fbnet.DEFAULT),
    "nasbench201": Family(nasbench201.from_name, nasbench201.DEFAULT),
    "ofa": Family(ofa.from_name, ofa.DEFAULT),
    "proxylessnas": Family(proxylessnas.from_name, DEFAULT),
}


def get(name: str) -> Space:
    """The space of a full name, or of a family's name with its default parameters.

    >>> get("proxylessnas").name
    'proxylessnas-w1.0-r224-c1000'
    """
    family = name.split("-", maxsplit=1)[0]
    if family == hat.NAME:
        raise UsageError(
            "HAT's space is known by ten features of a network, from which none can be built or profiled.",
            hint="Its published latencies can be imported: hwbench table import.",
        )
    if family not in FAMILIES:
        raise UsageError(f"There is no space {name!r}.", hint=f"Known families: {', '.join(sorted(FAMILIES))}.")
    found = FAMILIES[family]
    return found.from_name(found.default if name == family else name)


__all__ = [
    "DEFAULT",
    "FAMILIES",
    "Architectures",
    "Block",
    "ChainSpace",
    "Classifier",
    "ConvBlock",
    "Family",
    "MBConv",
    "NamedBlock",
    "Position",
    "Space",
    "block_from_key",
    "get",
]
