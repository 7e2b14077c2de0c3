"""From measurements to a predictor, and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np

import hwbench
from hwbench.errors import DataError
from hwbench.spaces.space import Space
from hwbench.tables.source import LatencySource
from hwbench.transfer import agreement
from hwbench.transfer.agreement import Observed
from hwbench.transfer.predictor_file import Agreed, HeldOut, Network, Predictor, Repeat
from hwbench.transfer.predictor_source import half_width_of
from hwbench.workflows.adapting.few_shot import Floats, Places
from hwbench.workflows.adapting.methods import FEWEST, Adaptation
from hwbench.workflows.adapting.pool import Pool
from hwbench.workflows.adapting.targets import AdaptationTarget, Stage
from hwbench.workflows.sources import source_of

# So many held-out networks say enough without those that were left out in turn.
_ENOUGH_HELD_OUT = 30
# Random architectures of the space over which a target's own ceiling is taken.
_POPULATION, _POPULATION_SEED = 500, 2


class Fit(msgspec.Struct, frozen=True):
    """A predictor that is not yet checked. `left_out_us` (n,) are its networks, references aside, each predicted from
    the others."""

    predictor: Predictor
    left_out_us: Floats


def fit(pool: Pool, target: AdaptationTarget, adaptation: Adaptation, picked: Places, stage: Stage) -> Fit:
    """From what a first stage brought of the architectures `picked`, references first.

    Raises DataError when too many of them gave no latency.
    """
    places = _that_ran(pool, adaptation, picked, stage)
    latency = np.array([network.latency_us for network in stage.networks])
    known = len(adaptation.references)
    left_out = np.array(
        [
            adaptation.predict(np.delete(places, one), np.delete(latency, one), places[[one]])[0]
            for one in range(known, len(places))
        ]
    )
    notes = () if not stage.failures else (_failed(stage),)
    predictor = Predictor(
        space=pool.space.name,
        target=target.name,
        model=adaptation.model(places, latency, half_width_of(left_out, latency[known:])),
        measured=stage.networks,
        pool=pool.columns,
        hwbench_version=hwbench.__version__,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        origin=target.origin,
        prospect=adaptation.prospect(places, latency),
        samples=() if stage.samples is None else (stage.samples,),
        notes=(*target.notes, *notes),
        seconds=None if target.origin is None else stage.seconds,
    )
    return Fit(predictor, left_out)


def check(found: Fit, space: Space, stage: Stage) -> Predictor:
    """The predictor with what a second stage says of it: networks that had no part in the fit, and some that had."""
    predictor, source = found.predictor, source_of(found.predictor, space)
    fitted = {network.architecture: network for network in predictor.measured}
    others = [network for network in stage.networks if network.architecture not in fitted]
    held_out = _predicted(source, others)
    measured, predicted = others, [one.predicted_us for one in held_out]
    left_out = 0 if len(others) >= _ENOUGH_HELD_OUT else len(found.left_out_us)
    if left_out:
        measured = [*predictor.picked, *others]
        predicted = [*found.left_out_us.tolist(), *predicted]
    return msgspec.structs.replace(
        predictor,
        held_out=held_out,
        repeated=tuple(
            Repeat(network.architecture, fitted[network.architecture].latency_us, network.latency_us)
            for network in stage.networks
            if network.architecture in fitted
        ),
        agreement=_agreed(measured, np.array(predicted), left_out),
        ceiling=_ceiling(source, space, [*predictor.measured, *stage.networks]),
        samples=predictor.samples if stage.samples is None else (*predictor.samples, stage.samples),
        notes=predictor.notes if not stage.failures else (*predictor.notes, _failed(stage)),
        seconds=None if predictor.seconds is None else predictor.seconds + stage.seconds,
    )


def _that_ran(pool: Pool, adaptation: Adaptation, picked: Places, stage: Stage) -> Places:
    """The places of the stage's networks, in their order."""
    by_row = {tuple(row): place for row, place in zip(pool.architectures[picked].tolist(), picked, strict=True)}
    places = np.array([by_row[network.architecture] for network in stage.networks], np.int64)
    reason = stage.failures[0] if stage.failures else ""
    if not np.isin(adaptation.references, places).all():
        raise DataError(f"A reference network gave no latency: {reason}.", hint="Use --method gp, which needs none.")
    if len(places) - len(adaptation.references) < FEWEST:
        raise DataError(f"Only {len(places)} of {len(picked)} networks could be measured: {reason}.")
    return places


def _failed(stage: Stage) -> str:
    return f"{len(stage.failures)} of {stage.asked} networks gave no latency: {stage.failures[0]}."


def _predicted(source: LatencySource, networks: Sequence[Network]) -> tuple[HeldOut, ...]:
    if not networks:
        return ()
    spans = source.predict(np.array([network.architecture for network in networks]))
    numbers = zip(spans.mean_us.tolist(), spans.lower_us.tolist(), spans.upper_us.tolist(), strict=True)
    return tuple(HeldOut(network, *own) for network, own in zip(networks, numbers, strict=True))


def _agreed(measured: Sequence[Network], predicted_us: Floats, left_out: int) -> Agreed | None:
    """None where there are too few to say anything, or where noise leaves no order."""
    latency = np.array([network.latency_us for network in measured])
    if len(measured) < agreement.FEWEST or not np.ptp(latency) or not np.ptp(predicted_us):
        return None
    one = agreement.agreement(Observed("predicted", predicted_us), Observed("measured", latency, _deviations(measured)))
    if one.spearman is None:
        return None
    return Agreed(one.n, left_out, one.spearman, one.lower, one.upper)


def _ceiling(source: LatencySource, space: Space, networks: Sequence[Network]) -> float | None:
    """Spearman of the target with its own second run, over random architectures as they are predicted."""
    noise = _deviations(networks)
    if noise is None:
        return None
    archs = space.sample(_POPULATION, _POPULATION_SEED)
    predicted = source.predict(archs).mean_us
    if not np.ptp(predicted):
        return None
    return agreement.noise_ceiling(Observed("target", predicted, np.full(len(archs), np.median(noise))))


def _deviations(networks: Sequence[Network]) -> Floats | None:
    known = [network.deviation for network in networks if network.deviation is not None]
    return np.array(known) if known and len(known) == len(networks) else None
