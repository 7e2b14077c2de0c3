"""Meta-training: episodes of source devices, the state kept that orders the validation devices best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwbench.errors import DataError
from hwbench.measure.statistics import spearman
from hwbench.transfer.help.encodings import Encoding, encode
from hwbench.transfer.help.learner import MetaLearner, Task, task_of, tensor_of
from hwbench.transfer.help.networks import Inputs, Parameters, tensors
from hwbench.transfer.help.settings import Settings
from hwbench.transfer.help.tasks import DeviceTasks, Floats, Measured, Places, measured_of

_VALIDATION_DRAWS = 3
_VALIDATION_TEST = 1000
_FEWEST_SOURCES = 2


class Pool(msgspec.Struct, frozen=True):
    """What a meta stage may know: `architectures` (n, positions), latencies of sources (n, sources) and of
    validation devices (n, validation) in microseconds, NaN where there are none.

    Tasks are drawn from the `first` architectures, and validation is on those after them. `references` are places.
    """

    space: str
    architectures: NDArray[np.uint8]
    sources: tuple[str, ...]
    latency_us: Floats
    validation: tuple[str, ...]
    validation_us: Floats
    references: Places
    first: int


class Outcome(msgspec.Struct, frozen=True):
    """`state` is the best one, found after `episodes`; `validation` Spearman of each look at it (NaN without any)."""

    state: Parameters
    episodes: int
    validation: tuple[float, ...]


def meta_train(pool: Pool, settings: Settings, seed: int = 0) -> tuple[MetaLearner, Outcome]:
    """The learner and its best state; the same for the same pool, settings, seed and version of torch.

    Without validation devices the last state is kept. Raises DataError for a pool that no tasks can be made of.
    """
    _check(pool, settings)
    encoding = encode(pool.space, pool.architectures, settings.totals)
    inputs = Architectures(encoding)
    learner = MetaLearner(encoding, len(pool.references), settings, seed)
    tasks = DeviceTasks(pool.latency_us, pool.references, pool.first, settings)
    rng, noise = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    with one_thread():
        return learner, _trained(learner, tasks, inputs, Validation(pool, inputs, settings), rng, noise)


class Architectures:
    """The encoded architectures as tensors, looked up by place."""

    def __init__(self, encoding: Encoding) -> None:
        self._tensors = tensors(encoding)

    def at(self, places: Places) -> Inputs:
        rows = torch.from_numpy(places)
        return tuple(tensor[rows] for tensor in self._tensors)

    def task(self, measured: Sequence[Measured], noise: Tensor) -> Task:
        return task_of(measured, self.at(np.stack([one.places for one in measured])), noise)


class Validation:
    """Spearman of validation devices under fixed random draws of their measurements."""

    def __init__(self, pool: Pool, inputs: Architectures, settings: Settings) -> None:
        self._inputs = inputs
        self._devices: list[tuple[tuple[Measured, ...], Places, Floats]] = []
        for latency in pool.validation_us.T:
            known = np.flatnonzero(np.isfinite(latency))
            drawable, following = known[known < pool.first], known[known >= pool.first]
            tested = (following if len(following) else drawable)[:_VALIDATION_TEST]
            measured = tuple(
                measured_of(latency, pool.references, rng.choice(drawable, settings.support, replace=False), settings)
                for rng in map(np.random.default_rng, range(_VALIDATION_DRAWS))
            )
            self._devices.append((measured, tested, latency[tested]))

    def __bool__(self) -> bool:
        return bool(self._devices)

    def agreement(self, learner: MetaLearner, state: Parameters) -> float:
        found = []
        for measured, tested, truth in self._devices:
            # z at its mean: no draw of it decides which state is kept.
            task = self._inputs.task(measured, torch.zeros(len(measured), learner.noise_size))
            predicted = learner.predict(state, task, self._inputs.at(tested))
            found += [spearman(one.numpy(), truth) for one in predicted]
        return float(np.nan_to_num(found).mean())


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order, so that a seed gives one result whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _trained(
    learner: MetaLearner,
    tasks: DeviceTasks,
    inputs: Architectures,
    validation: Validation,
    rng: np.random.Generator,
    noise: torch.Generator,
) -> Outcome:
    settings, state = learner.settings, learner.initial()
    optimiser = torch.optim.Adam(list(state.values()), lr=settings.outer_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda episode: _rate_share(settings, episode))
    best, found = Outcome(_copied(state), 0, ()), []
    for number in range(1, settings.episodes + 1):
        episode = tasks.draw(rng)
        task = inputs.task(episode.measured, torch.randn(len(episode.measured), learner.noise_size, generator=noise))
        loss = learner.losses(state, task, inputs.at(episode.query), tensor_of(episode.latency)).mean()
        optimiser.zero_grad()
        loss.backward()
        if settings.gradient_norm is not None:
            torch.nn.utils.clip_grad_norm_(list(state.values()), settings.gradient_norm)
        optimiser.step()
        schedule.step()
        if not validation or (number % settings.validate_every and number < settings.episodes):
            continue
        found.append(validation.agreement(learner, state))
        if found[-1] >= max(found):
            best = Outcome(_copied(state), number, ())
        if settings.patience and len(found) - found.index(max(found)) > settings.patience:
            break
    if not validation:
        best = Outcome(_copied(state), settings.episodes, ())
    return msgspec.structs.replace(best, validation=tuple(found))


def _rate_share(settings: Settings, episode: int) -> float:
    fallen = (1 + math.cos(math.pi * episode / settings.episodes)) / 2
    return settings.last_rate + (1 - settings.last_rate) * fallen


def _copied(state: Parameters) -> Parameters:
    return {name: value.detach().clone() for name, value in state.items()}


def _check(pool: Pool, settings: Settings) -> None:
    if pool.latency_us.shape[1] < _FEWEST_SOURCES:
        raise DataError(f"{pool.latency_us.shape[1]} source devices are too few to learn from several.")
    _check_known(pool.sources, pool.latency_us, pool, settings)
    _check_known(pool.validation, pool.validation_us, pool, settings)


def _check_known(names: Sequence[str], latency: Floats, pool: Pool, settings: Settings) -> None:
    for name, column in zip(names, latency.T, strict=True):
        if settings.embedding and not np.isfinite(column[pool.references]).all():
            raise DataError(f"{name} lacks the latency of a reference architecture.", hint="Leave that target out.")
        known = int(np.isfinite(column[: pool.first]).sum() * settings.central)
        if known <= settings.support:
            raise DataError(f"{name} has too few latencies to draw {settings.support} and test on the others.")
