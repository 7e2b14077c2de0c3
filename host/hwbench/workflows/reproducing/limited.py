"""Architectures under latency limits on a published target: chosen by prediction, or with a few of them measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import UsageError
from hwbench.search.quantities import ROUNDING
from hwbench.search.trials import SURE, Belief, best_by_trials
from hwbench.workflows.adapting.few_shot import Floats, GaussianProcess, Places, Predictor, Stage, no_places
from hwbench.workflows.reproducing.help import Options, Picks, check_references, picked_places
from hwbench.workflows.reproducing.help_study import Study

Way: TypeAlias = Literal["predicted", "sure", "verified"]
WAYS: tuple[Way, ...] = ("predicted", "sure", "verified")
# How sure `sure` is that the limit is kept.
CONFIDENCE = 0.95
_NORMAL_95 = 1.644854


class Candidates(msgspec.Struct, frozen=True):
    """Architectures to choose from, by place in the study's matrix, each once; accuracy in percent. Shape (n,) each."""

    places: Places
    accuracy: Floats


class Choice(msgspec.Struct, frozen=True):
    """An architecture by its place in the matrix, with its latency on the target; nothing where none was found.

    `measured` counts the measurements that finding it took at this limit.
    """

    place: int | None = None
    latency_us: float | None = None
    accuracy: float | None = None
    holds: bool = False
    measured: int = 0


class AtLimit(msgspec.Struct, frozen=True):
    """The most accurate candidate under a limit: `perfect` by the target's own latencies, then each way of choosing.

    `predicted` holds the predicted mean against the limit, `sure` what a measurement stays under with 95 %; `verified`
    is measured itself.
    """

    target: str
    seed: int
    limit_us: float
    perfect: Choice
    predicted: Choice
    sure: Choice
    verified: Choice

    def by(self, way: Way) -> Choice:
        chosen: Choice = getattr(self, way)
        return chosen

    def regret(self, way: Way) -> float | None:
        """Accuracy below that of the perfect choice; None where the limit is not held."""
        best, chosen = self.perfect.accuracy, self.by(way)
        return None if best is None or chosen.accuracy is None or not chosen.holds else best - chosen.accuracy


class Protocol(msgspec.Struct, frozen=True):
    """How a target is met: `samples` are measured to adapt, then at most `verify` at each limit; `seeds` times."""

    samples: int = 10
    picks: Picks = "active"
    seeds: int = 5
    verify: int = 3
    sure: float = SURE

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.verify < 1:
            raise UsageError("At least one seed, and one measurement a limit, are needed.")


class Summary(msgspec.Struct, frozen=True):
    """One way over all limits and seeds: how many are `held`, and the mean accuracy of what was chosen, held or not.

    `regret` is the mean accuracy lost where the limit is held; `measured` the mean number of measurements at a limit,
    `most_measured` the largest.
    """

    way: Way
    limits: int
    held: int
    accuracy: float | None
    regret: float | None
    measured: float
    most_measured: int


def under_limits(
    study: Study,
    sources: Sequence[str],
    limits_us: Mapping[str, Sequence[float]],
    candidates: Candidates,
    protocol: Protocol,
) -> tuple[AtLimit, ...]:
    """Every target, seed and limit, in this order. What is measured at one limit is known at the target's later ones.

    Raises DataError for an unknown target, UsageError for more reference architectures than there are.
    """
    options = Options(samples=protocol.samples, picks=protocol.picks, test="all")
    check_references(study, options)
    predictor = GaussianProcess(Stage(study.matrix, tuple(sources), (), no_places(), study.first))
    found: list[AtLimit] = []
    for target, limits in limits_us.items():
        latency = study.matrix.column(target)
        on_target = _Target(predictor, target, latency, candidates, protocol)
        for seed in range(protocol.seeds):
            adapted = picked_places(study, options, predictor, latency, np.random.default_rng(seed))
            found += on_target.at(limits, adapted, seed)
    return tuple(found)


def summaries(found: Sequence[AtLimit]) -> tuple[Summary, ...]:
    """One for each of WAYS."""
    return tuple(_summary(found, way) for way in WAYS)


class _Target:
    """A target whose latencies are only told for what is measured."""

    def __init__(
        self, predictor: Predictor, target: str, latency: Floats, candidates: Candidates, protocol: Protocol
    ) -> None:
        self._predictor, self._target, self._latency, self._protocol = predictor, target, latency, protocol
        known = np.isfinite(latency[candidates.places])
        self._places, self._accuracy = candidates.places[known], candidates.accuracy[known]
        self._truth = latency[self._places]

    def at(self, limits_us: Sequence[float], adapted: Places, seed: int) -> Iterator[AtLimit]:
        """Each limit, after the target was measured at `adapted`."""

        def believe(measured: Mapping[int, float]) -> Belief:
            trials = np.setdiff1d(self._places[list(measured)], adapted)
            return self._belief(np.concatenate([adapted, trials]))

        def measure(number: int) -> float:
            return float(self._truth[number])

        first = believe({})
        known = {number: measure(number) for number in np.flatnonzero(np.isin(self._places, adapted)).tolist()}
        asked = self._protocol
        for limit_us in limits_us:
            found = best_by_trials(self._accuracy, limit_us, believe, measure, asked.verify, known, asked.sure)
            known |= {trial.place: trial.latency_us for trial in found.trials}
            most = limit_us * (1 + ROUNDING)
            yield AtLimit(
                self._target,
                seed,
                limit_us,
                self._choice(self._best(self._truth <= most), most),
                self._choice(self._best(first.mean_us <= most), most),
                self._choice(self._best(first.chances(limit_us) >= CONFIDENCE), most),
                self._choice(found.place, most, len(found.trials)),
            )

    def _belief(self, measured: Places) -> Belief:
        guess = self._predictor.adapt(measured, self._latency[measured], self._places)
        assert guess.upper is not None  # A Gaussian process knows its intervals.
        return Belief(guess.mean, (guess.upper - guess.mean) / _NORMAL_95)

    def _best(self, allowed: NDArray[np.bool_]) -> int | None:
        """The most accurate of those, by number among the candidates."""
        offered = np.flatnonzero(allowed)
        return int(offered[np.argmax(self._accuracy[offered])]) if len(offered) else None

    def _choice(self, number: int | None, most_us: float, measured: int = 0) -> Choice:
        if number is None:
            return Choice(measured=measured)
        latency_us = float(self._truth[number])
        accuracy = float(self._accuracy[number])
        return Choice(int(self._places[number]), latency_us, accuracy, latency_us <= most_us, measured)


def _summary(found: Sequence[AtLimit], way: Way) -> Summary:
    choices = [one.by(way) for one in found]
    measured = [choice.measured for choice in choices]
    return Summary(
        way,
        len(found),
        sum(choice.holds for choice in choices),
        _mean([choice.accuracy for choice in choices if choice.accuracy is not None]),
        _mean([regret for one in found if (regret := one.regret(way)) is not None]),
        float(np.mean(measured)),
        max(measured),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
