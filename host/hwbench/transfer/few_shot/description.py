"""What a predictor reads of architectures, per execution regime.

A regime is what an engine leaves out of a network: nothing (eager frameworks run dead edges too), what leads nowhere
(dead code elimination), or also what is fed by nothing (full pruning). A space without dead edges has one regime.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.transfer.few_shot.kernels import KernelTable

Floats = NDArray[np.float64]


class View(msgspec.Struct, frozen=True):
    """Architectures in one regime, one row each.

    `layers` say which layer is where (identical layers share a column), `counts` how often each kind of operator
    runs, `totals` what the hardware has to do in sum, among it the serial depth.
    """

    layers: Floats
    counts: Floats
    totals: Floats


class Description(Protocol):
    """One space as numbers."""

    @property
    def regimes(self) -> tuple[float, ...]:
        """Prior probability of each execution regime."""

    @property
    def kernels(self) -> KernelTable | None:
        """The kernels of the parts that `sums` adds up; None where the space has no known kernels."""

    def views(self, architectures: ArrayLike) -> tuple[View, ...]:
        """One per regime, (n, ...) each. Raises DataError for what is no architecture of the space."""

    def sums(self, values: Floats, architectures: ArrayLike) -> tuple[Floats, ...]:
        """Values of parts, shape (parts, k), summed over each architecture: (n, k) per regime."""
