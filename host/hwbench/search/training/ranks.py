"""The processes of one data-parallel run, as `torchrun` starts them; a run of its own is the only rank of one.

Every rank draws the same paths and the same order of images, and computes on its share of each batch; its batch
norms see that share, as those of the published multi-GPU code do. Gradients are reduced by one flattened call.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

from hwbench.errors import UsageError


class Ranks:
    """This process as one of `size`."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def first(self) -> bool:
        """Whether this rank writes the files and reports."""
        return self.rank == 0

    def check_batch(self, batch: int) -> None:
        """Raises UsageError for a batch that the ranks cannot share equally, or by less than two images each."""
        if batch % self.size or batch // self.size < 2:
            raise UsageError(f"A batch of {batch} images cannot be shared by {self.size} processes, two or more each.")

    def share(self, rows: NDArray[np.int64]) -> slice:
        """This rank's part of a joint batch; the last rank takes what is over."""
        part = len(rows) // self.size
        return slice(self.rank * part, len(rows) if self.rank == self.size - 1 else (self.rank + 1) * part)

    def mean_(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its mean over the ranks, all of them in one message."""
        self.sum_(tensors)
        if self.size > 1:
            for tensor in tensors:
                tensor.div_(self.size)

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its sum over the ranks; they must have one type, and the same shapes everywhere."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


ALONE = Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks that torchrun's environment describes, over gloo on the processor; without one, this process alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    distributed.init_process_group("gloo")
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
