"""Bytes that a supernet's step holds for its backward pass, with 1 to 7 choices per position: one path, two, DARTS."""

from __future__ import annotations

import msgspec
import torch

from benchmarks.common import parser, report
from hwbench.workflows.reproducing.memory import BATCH, SPACE, memory


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--space", default=SPACE)
    arguments.add_argument("--batch", type=int, default=BATCH)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    found = memory(options.space, options.batch)
    report("supernet_memory", msgspec.to_builtins(found), options.keep)
    if not found.agrees:
        raise SystemExit("the memory of a step is not what the documentation says")


if __name__ == "__main__":
    main()
