"""The first weights of a position's choices. Needs no torch.

Drawn independently, as the published code does, the choices of a position compute unrelated functions. A position
that has no shortcut then hands the next one another representation in each step, and a supernet of few thousand steps
does not get beyond chance. `alike` lets all begin as one function, from which each is trained on its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwbench.models.weights import Array, untrained_weights, without_residuals
from hwbench.search.supernet.settings import Beginning
from hwbench.spaces.blocks import MBConv
from hwbench.spaces.space import NamedBlock


def first_weights(choices: Sequence[NamedBlock | None], seed: int, beginning: Beginning) -> list[dict[str, Array]]:
    """Weights under the names of each choice of a position; none where the choice is the identity.

    `alike` nests the inverted residuals with an expansion: the smallest kernel and expansion is the centre of each
    larger kernel, whose rim is 0, and the first channels of each larger expansion, whose others add nothing. Where
    there is a shortcut the residual is 0 at first. Everything else begins on its own.
    """
    drawn = [{} if named is None else untrained_weights([named], seed) for named in choices]
    if beginning == "independent":
        return drawn
    nested = [
        (named, named.block, weights)
        for named, weights in zip(choices, drawn, strict=True)
        if named is not None and isinstance(named.block, MBConv) and f"{named.name}.expand.weight" in weights
    ]
    if not nested:
        return drawn
    inner_named, inner_block, inner = min(nested, key=lambda one: (one[1].kernel, one[1].mid_channels))
    for named, block, weights in nested:
        if block.kernel >= inner_block.kernel and block.mid_channels >= inner_block.mid_channels:
            _nest(inner, inner_named.name, weights, named.name)
        weights.update(without_residuals([named], weights))
    return drawn


def _nest(inner: dict[str, Array], inner_name: str, outer: dict[str, Array], name: str) -> None:
    """Makes `outer` compute what `inner` does, its further channels ready to be trained."""
    expand, depthwise, project = (inner[f"{inner_name}.{op}.weight"] for op in ("expand", "depthwise", "project"))
    mid = len(expand)
    outer[f"{name}.expand.weight"][:mid] = expand
    kernels = outer[f"{name}.depthwise.weight"]
    rim = (kernels.shape[2] - depthwise.shape[2]) // 2
    kernels[:mid] = np.pad(depthwise, ((0, 0), (0, 0), (rim, rim), (rim, rim)))
    outer[f"{name}.project.weight"][:, mid:] = 0
    outer[f"{name}.project.weight"][:, :mid] = project
