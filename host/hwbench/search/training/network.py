"""Training one network, from scratch or from weights that a supernet shared, and using the latter as they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hwbench.models.torch_nets import Network, build, weights_of
from hwbench.models.weights import Array, Weights, untrained_weights, without_residuals
from hwbench.search.data.images import Images, check_fits
from hwbench.search.training import checkpoint
from hwbench.search.training.batches import Batches, Normalisation, in_order
from hwbench.search.training.optimiser import WeightOptimiser, check_finite, cosine
from hwbench.search.training.ranks import ALONE, Ranks
from hwbench.search.training.settings import TrainingSettings
from hwbench.spaces.space import NamedBlock

_KIND = "training"
_IMAGES, _RECALIBRATION = 0, 1


class Trained(msgspec.Struct, frozen=True):
    """Weights under the names of the network, and the mean loss of each epoch."""

    weights: dict[str, Array]
    losses: tuple[float, ...]


class TrainingEpoch(msgspec.Struct, frozen=True):
    """What an epoch, counted from 0, came to: its mean loss, and the seconds it took in this process."""

    epoch: int
    loss: float
    seconds: float


class State(msgspec.Struct, frozen=True):
    """How far a training is; `total` is the sum of the epoch's losses so far."""

    step: int = 0
    total: float = 0.0
    losses: tuple[float, ...] = ()


def train(
    network: Sequence[NamedBlock],
    images: Images,
    settings: TrainingSettings,
    *,
    weights: Weights | None = None,
    folder: Path | None = None,
    ranks: Ranks = ALONE,
    report: Callable[[TrainingEpoch], None] = lambda epoch: None,
) -> Trained:
    """Trains from `weights`, or from scratch where there are none, going on from the folder's checkpoint if it has one.

    The first rank reports after each epoch. The same settings, images and weights give the same result. Raises
    CorruptFile or Incomparable for a checkpoint that cannot be used, ModelError for weights that do not fit, DataError
    for images that do not or a loss that is no number any more.
    """
    check_fits(network, images)
    start = _first_weights(network, settings) if weights is None else weights
    module = build(network, start).to(memory_format=torch.channels_last)
    normalisation = Normalisation(images)
    seed = (settings.seed, _IMAGES)
    batches = Batches(images, settings.weights.batch, normalisation, settings.augmentation, seed, ranks)
    optimiser = WeightOptimiser(module, settings.weights)
    steps = settings.weights.epochs * batches.per_epoch
    kept = (
        None
        if folder is None
        else checkpoint.Folder(folder, _KIND, State, _identity(network, start, images, settings, ranks))
    )
    state = State()
    if kept is not None and (found := kept.load()):
        state, tensors = found
        optimiser.restore(tensors)
    begin = time.monotonic()
    while state.step < steps:
        pixels, labels = batches.batch(state.step)
        loss = optimiser.loss(module(pixels).flatten(1), labels)
        seen = loss.detach().double().reshape(1)
        optimiser.step(loss, cosine(settings.weights.learning_rate, state.step, steps), ranks)
        ranks.mean_([seen])
        check_finite(float(seen), state.step)
        state = _advanced(state, float(seen), batches.per_epoch)
        if kept is not None and state.step % (settings.checkpoint_steps or batches.per_epoch) == 0:
            _share_norms(module, ranks)
            if ranks.first:
                kept.save(state.step, state, optimiser.tensors())
        if state.step % batches.per_epoch == 0:
            if ranks.first:
                report(TrainingEpoch(len(state.losses) - 1, state.losses[-1], time.monotonic() - begin))
            begin = time.monotonic()
    _share_norms(module, ranks)
    return Trained(_weights(module), state.losses)


def recalibrated(
    network: Sequence[NamedBlock], weights: Weights, images: Images, normalisation: Normalisation
) -> dict[str, Array]:
    """The weights with the batch norms' means and variances those of the images.

    A derived network needs this before it is used as it is: its norms have seen the activations of other paths. The
    images are seen in a random order, since a variance within batches of one class is not that of all images.
    """
    module = build(network, weights)
    order = np.random.default_rng(_RECALIBRATION).permutation(len(images))
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # A plain mean over the batches.
    with torch.no_grad():
        for pixels, labels in in_order(images, normalisation, order):
            if len(labels) > 1:
                module(pixels)
    return _weights(module)


def scores(
    network: Sequence[NamedBlock], weights: Weights, images: Images, normalisation: Normalisation
) -> NDArray[np.float32]:
    """What the network says of each image, shape (images, classes); the largest is its answer."""
    module = build(network, weights).eval().to(memory_format=torch.channels_last)
    with torch.no_grad():
        found = [module(pixels).flatten(1).numpy() for pixels, _ in in_order(images, normalisation)]
    return np.concatenate(found)


def accuracy(network: Sequence[NamedBlock], weights: Weights, images: Images, normalisation: Normalisation) -> float:
    """Share of the images that the network classifies rightly."""
    return float((scores(network, weights, images, normalisation).argmax(1) == images.labels).mean())


def _first_weights(network: Sequence[NamedBlock], settings: TrainingSettings) -> Weights:
    drawn = untrained_weights(network, settings.seed)
    return without_residuals(network, drawn) if settings.residuals == "zero" else drawn


def _share_norms(module: nn.Module, ranks: Ranks) -> None:
    """Means over the ranks of what each one's batch norms have seen."""
    ranks.mean_([tensor for tensor in module.buffers() if tensor.is_floating_point()])


def _advanced(state: State, loss: float, per_epoch: int) -> State:
    step, total = state.step + 1, state.total + loss
    if step % per_epoch:
        return State(step, total, state.losses)
    return State(step, 0.0, (*state.losses, total / per_epoch))


def _weights(module: Network) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name, block in zip(module.names, module.blocks, strict=True):
        found |= weights_of(name, block)
    return found


def _identity(
    network: Sequence[NamedBlock], weights: Weights, images: Images, settings: TrainingSettings, ranks: Ranks
) -> str:
    blocks = [(named.name, named.block.key) for named in network]
    arrays = [array.tobytes() for _, array in sorted(weights.items())]
    pixels = [images.pixels.tobytes(), images.labels.tobytes()]
    return checkpoint.identity(blocks, settings, ranks.size, *arrays, *pixels)
