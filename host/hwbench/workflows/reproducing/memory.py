"""ProxylessNAS's claim on memory: a step over one path holds what a single network's does, however many choices."""

from __future__ import annotations

import msgspec

from hwbench import spaces
from hwbench.errors import UsageError
from hwbench.spaces.space import ChainSpace, Position
from hwbench.workflows.extras import need_torch
from hwbench.workflows.reproducing.reproduce import AtLeast, Check, Reproduction

SPACE = "proxylessnas-w0.5-r28-c10-i1-t1"
BATCH = 32
# The largest choice is always there, and on the path: the worst case of each number of choices.
LARGEST_FIRST = ("k7e6", "k7e3", "k5e6", "k5e3", "k3e6", "k3e3", "zero")
COUNTS = (1, 2, 4, 7)
# Section 3.2 of the paper: memory as if one compact model were trained, where DARTS's grows with the choices.
_FLAT = ("one_path", "two_paths_recomputed", "all_paths")
_TOLERANCE = 0.02
_DARTS = 4.0


class HeldBytes(msgspec.Struct, frozen=True):
    """Bytes that each kind of step holds where every position has so many choices, and the supernet's parameters."""

    choices: int
    parameters: int
    saved_bytes: dict[str, int]


class Memory(Reproduction, frozen=True):
    space: str
    batch: int
    held: tuple[HeldBytes, ...]


def memory(space: str = SPACE, batch: int = BATCH) -> Memory:
    """Saved activations with 1, 2, 4 and 7 choices per position. Raises UsageError without PyTorch or for no chain."""
    need_torch()
    if batch < 2:
        raise UsageError(f"A batch of {batch} images has no batch norms; at least 2 are needed.")
    from hwbench.search.supernet.memory import bytes_by_route
    from hwbench.search.supernet.network import Supernet, chain_of

    whole = chain_of(spaces.get(space))
    held = []
    for count in COUNTS:
        part = offering(whole, LARGEST_FIRST[:count])
        parameters = sum(parameter.numel() for parameter in Supernet(part, seed=0).parameters())
        held.append(HeldBytes(count, parameters, bytes_by_route(part, batch)))
    first, last = held[0].saved_bytes, held[-1].saved_bytes
    checks: list[Check] = [
        Check(f"{name.replace('_', ' ')}, 7 choices over 1", "ratio", 1.0, _TOLERANCE, last[name] / first[name])
        for name in _FLAT
    ]
    ratio = last["darts"] / last["one_path"]
    checks.append(AtLeast("DARTS over one path, 7 choices", "ratio", _DARTS, 0.0, ratio))
    return Memory("memory", tuple(checks), (), whole.name, batch, tuple(held))


def offering(space: ChainSpace, labels: tuple[str, ...]) -> ChainSpace:
    """The space with no other choices than these, in their order. Raises UsageError where a position has none."""
    positions = []
    for position in space.positions:
        kept = tuple(label for label in labels if label in position.labels)
        if not kept:
            raise UsageError(f"Position {position.name} of {space.name} has none of {', '.join(labels)}.")
        blocks = tuple(position.blocks[position.labels.index(label)] for label in kept)
        positions.append(Position(position.name, kept, blocks))
    return msgspec.structs.replace(space, positions=tuple(positions))
