"""Writes a .pte file that adds one to a number, with and without XNNPACK, into a folder: what a call of ExecuTorch costs."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower


class AddOne(torch.nn.Module):
    def forward(self, number: torch.Tensor) -> torch.Tensor:
        return number + 1


def main() -> None:
    folder = Path(sys.argv[1])
    for name, partitioner in (("xnnpack", [XnnpackPartitioner()]), ("portable", None)):
        program = torch.export.export(AddOne(), (torch.ones(1),))
        lowered = to_edge_transform_and_lower(program, partitioner=partitioner).to_executorch()
        (folder / f"{name}.pte").write_bytes(bytes(lowered.buffer))


if __name__ == "__main__":
    main()
