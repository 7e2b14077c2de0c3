"""How well architectures do with the weights that a supernet shares, as they are."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from hwbench.search.data.images import Images
from hwbench.search.supernet.network import Supernet
from hwbench.search.supernet.routes import OnePath
from hwbench.search.training.batches import Normalisation, in_order
from hwbench.spaces.space import Architectures

Floats: TypeAlias = NDArray[np.float64]


def right_answers(
    supernet: Supernet, architecture: NDArray[np.uint8], images: Images, normalisation: Normalisation
) -> tuple[int, int]:
    """How many images one path classifies rightly, and of how many.

    Batch norms are those of each batch, since the running ones mix all paths; a last batch of one image is left out.
    """
    route, right, seen = OnePath(architecture), 0, 0
    with torch.no_grad():
        for pixels, labels in in_order(images, normalisation):
            if len(labels) > 1:
                right += int((supernet(pixels, route).argmax(1) == labels).sum())
                seen += len(labels)
    return right, seen


class SharedAccuracy:
    """A score for evolutions: the share of the images that each architecture classifies rightly.

    Processes can be given it; threads cannot, since the batch norms of the one supernet would be shared.
    """

    def __init__(self, supernet: Supernet, images: Images, normalisation: Normalisation) -> None:
        self._supernet = supernet
        self._images = images
        self._normalisation = normalisation

    def __call__(self, architectures: Architectures) -> Floats:
        """Accuracies of architectures (n, positions), shape (n,)."""
        counts = [
            right_answers(self._supernet, architecture, self._images, self._normalisation)
            for architecture in architectures
        ]
        return np.array([right / seen for right, seen in counts])
